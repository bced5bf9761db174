"""
What a user writes, type-checked by mypy and pyright; never run.

`assert_type` holds the exact types. A line with an expected error has a comment that ignores just
that error; a comment that ignores nothing is an error itself.
"""

from __future__ import annotations

from typing import Literal, assert_type

from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

import fanout
from fanout import (
    AllFailed,
    ChatCompletion,
    ChatCompletionChunk,
    ChatOptions,
    Choice,
    ChunkIterator,
    ChunkStream,
    Deployments,
    EmbeddingOptions,
    EmbeddingResponse,
    FanoutError,
    FinishReason,
    Function,
    HTTPClient,
    Message,
    MessageParam,
    Messages,
    MessagesOrLists,
    ParsedChatCompletion,
    ToolCall,
    ToolParam,
    Usage,
    abatch_completion,
    abatch_completion_models,
    acompletion,
    batch_completion,
    batch_completion_models,
    batch_completion_models_all_responses,
    completion,
    embedding,
    stream_chunk_builder,
)


class Person(BaseModel):
    name: str
    age: int


HI = [{"role": "user", "content": "Hi"}]


def one_response() -> str | None:
    response = completion("openai/m", HI, temperature=0.5, max_tokens=10, tools=[Person])
    assert_type(response, ChatCompletion)
    assert_type(response.choices[0].message.content, str | None)
    assert_type(
        response.choices[0].finish_reason,
        Literal["stop", "length", "tool_calls", "content_filter", "function_call"] | None,
    )
    if response.usage:
        assert_type(response.usage.total_tokens, int)
    for call in response.choices[0].message.tool_calls or []:
        if call.type == "function":
            assert_type(call, ToolCall)
            assert_type(call.function.name, str)
    if response.fanout:
        assert_type(
            response.fanout.attempts[0].outcome,
            Literal[
                "won",
                "cancelled",
                "failed",
                "not_started",
                "invalid",
                "agreed",
                "dissented",
                "no_vote",
                "lost",
                "merged",
                "judged",
            ],
        )
    return response.choices[0].message.content


def next_turn() -> None:
    messages: list[MessageParam] = [*HI]
    response = completion("openai/m", messages)
    messages.append(response.choices[0].message)
    assert_type(completion("openai/m", messages), ChatCompletion)


def openais_messages(messages: list[ChatCompletionMessageParam]) -> None:
    assert_type(completion("openai/m", messages), ChatCompletion)


def parsed() -> None:
    response = completion("openai/m", HI, response_format=Person)
    assert_type(response, ParsedChatCompletion[Person])
    assert_type(response.choices[0].message.parsed, Person | None)
    schema = completion("openai/m", HI, response_format={"type": "json_object"})
    assert_type(schema, ChatCompletion)


def streams(flag: bool) -> None:  # noqa: FBT001
    stream = completion("openai/m", HI, stream=True)
    assert_type(stream, ChunkIterator)
    for chunk in stream:
        assert_type(chunk, ChatCompletionChunk)
        assert_type(chunk.choices[0].delta.content, str | None)
    assert_type(completion("openai/m", HI, stream=False), ChatCompletion)
    assert_type(completion("openai/m", HI, stream=flag), ChatCompletion | ChunkIterator)


def batches() -> None:
    responses = batch_completion("openai/m", [HI, HI], progress=True, checkpoint="run.jsonl")
    assert_type(responses, list[ChatCompletion | FanoutError])
    for response in responses:
        if isinstance(response, FanoutError):
            assert_type(response.status, int)
        else:
            assert_type(response, ChatCompletion)
    people = batch_completion("openai/m", (HI for _ in range(3)), response_format=Person)
    assert_type(people, list[ParsedChatCompletion[Person] | FanoutError])
    assert_type(batch_completion("openai/m", [HI], stream=True), list[ChunkIterator])


def races() -> None:
    try:
        fastest = batch_completion_models(["openai/a", "groq/b"], HI, stagger=0.5)
    except AllFailed as error:
        assert_type(error.failures[0].model, str)
        raise
    assert_type(fastest, ChatCompletion)
    assert_type(batch_completion_models("openai/a, groq/b", HI, stream=True), ChunkIterator)
    every = batch_completion_models_all_responses(models=["openai/a"], messages=HI)
    assert_type(every, list[ChatCompletion | FanoutError])
    deployments = [{"model": "openai/a", "api_base": "http://127.0.0.1:1/v1"}]
    assert_type(batch_completion_models(deployments=deployments, messages=HI), ChatCompletion)


async def asynchronous() -> None:
    assert_type(await acompletion("openai/m", HI), ChatCompletion)
    stream = await acompletion("openai/m", HI, stream=True)
    assert_type(stream, ChunkStream)
    async for chunk in stream:
        assert_type(chunk, ChatCompletionChunk)
    parsed = await abatch_completion_models(["openai/a"], HI, response_format=Person)
    assert_type(parsed, ParsedChatCompletion[Person])
    found = await abatch_completion("openai/m", [HI])
    assert_type(found, list[ChatCompletion | FanoutError])


def options_in_a_dict() -> None:
    options: ChatOptions = {"temperature": 0.5, "api_key": "k"}
    assert_type(completion("openai/m", HI, **options), ChatCompletion)
    more: EmbeddingOptions = {"aws_region_name": "eu-west-1", "extra_body": {"truncate": "END"}}
    assert_type(embedding("bedrock/e", ["Hi"], 256, **more), EmbeddingResponse)


def chunks_are_kept() -> None:
    chunks = list(completion("openai/m", HI, stream=True))
    assert_type(stream_chunk_builder(chunks, messages=HI), ChatCompletion)
    assert_type(stream_chunk_builder(chunks, response_format={}), ChatCompletion)
    person = stream_chunk_builder(chunks, response_format=Person)
    assert_type(person, ParsedChatCompletion[Person])
    assert_type(person.choices[0].message.parsed, Person | None)


def arguments_have_names(client: HTTPClient) -> None:
    messages: Messages = HI
    conversations: MessagesOrLists = [messages, messages]
    tools: list[ToolParam] = [Person, {"type": "function", "function": {"name": "f"}}]
    deployments: Deployments = [{"model": "openai/a"}]
    response = completion("openai/m", conversations, tools=tools, http_client=client)
    reason: FinishReason | None
    reason = response.choices[0].finish_reason
    assert_type(reason, FinishReason | None)
    assert_type(batch_completion_models(deployments=deployments, messages=messages), ChatCompletion)


def models_are_pydantic(response: ChatCompletion) -> None:
    assert_type(ChatCompletion.model_validate(response.model_dump(include={"id"})), ChatCompletion)
    assert_type(response.model_copy(update={"model": "b"}), ChatCompletion)


def types_are_constructors() -> None:
    call = ToolCall(id="c", type="function", function=Function(name="f", arguments="{}"))
    message = Message(role="assistant", content=None, tool_calls=[call])
    assert_type(message, Message)
    assert_type(Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3), Usage)
    choice = Choice(index=0, message=message, finish_reason="tool_calls")
    made = ChatCompletion(id="x", object="chat.completion", created=1, model="m", choices=[choice])
    completion("openai/m", [*HI, made.choices[0].message])


def mistakes(response: ChatCompletion) -> None:
    completion("openai/m", HI, temprature=0.5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    completion("openai/m", HI, temperature="hot")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    completion("openai/m", HI, checkpoint="f")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    batch_completion("openai/m", [HI], progess=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    embedding("openai/e", "Hi", dimension=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    completion("openai/m", "Hi")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    completion("openai/m", HI, reasoning_effort="huge")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    _ = response.choises  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    _ = response.choices[0].massage  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    _ = fanout.completions  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
