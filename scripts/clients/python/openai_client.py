"""OpenAI's Python SDK against the gateway at `argv[1]`; `python -m scripts.clients` runs it."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import openai
from cases import (
    ALL,
    CALLS,
    PROMPT,
    SEEN,
    TOKENS,
    WEATHER,
    check,
    check_all,
    check_weather,
    for_each_vendor,
    run_cases,
)
from openai import InternalServerError, NotFoundError, OpenAI
from pydantic import BaseModel, Field

client = OpenAI(base_url=sys.argv[1], api_key="none")
completions = client.chat.completions
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
RACE = {"fastest_response": True}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "get_weather", "strict": True, "parameters": PARAMETERS},
    }
]


class Weather(BaseModel):
    city: str
    degrees: int = Field(ge=-90, le=60)


def plain() -> str:
    response = completions.create(model="gpt", messages=MESSAGES)
    check(
        response.model == "gpt" and response.usage and response.usage.completion_tokens == TOKENS,
        response,
    )
    return response.choices[0].message.content or ""


def streamed() -> str:
    usage = {"include_usage": True}
    with completions.stream(model="gpt", messages=MESSAGES, stream_options=usage) as stream:  # type: ignore[arg-type]
        words = [event.delta for event in stream if event.type == "content.delta"]
        response = stream.get_final_completion()
    check(len(words) > 1 and response.usage, response)
    check("".join(words) == response.choices[0].message.content, response)
    return "".join(words)


def all_plain() -> str:
    choices = completions.create(model=ALL, messages=MESSAGES).choices
    return check_all((c.finish_reason, c.message.content, c.message.refusal) for c in choices)


def all_streamed() -> str:
    with completions.stream(model=ALL, messages=MESSAGES) as stream:
        choices = stream.get_final_completion().choices
    check([choice.message.role for choice in choices] == ["assistant"] * 3, choices)
    return check_all((c.finish_reason, c.message.content, c.message.refusal) for c in choices)


def race() -> str:
    response = completions.create(model="slow, gpt", messages=MESSAGES, extra_body=RACE)
    check(response.model == "gpt", response)
    return response.model


def race_streamed() -> str:
    with completions.stream(model="slow, gpt", messages=MESSAGES, extra_body=RACE) as stream:
        response = stream.get_final_completion()
    check(response.model == "gpt", response)
    check(response.choices[0].message.content == "Hello from gpt-4o.", response)
    return response.model


def tools(model: str) -> str:
    """Two turns plain, then two turns streamed; the model's messages are sent back as they are."""
    for ask in (ask_plain, ask_streamed):
        messages = [{"role": "user", "content": WEATHER}]
        called = ask(model, messages)
        check(
            called.finish_reason == "tool_calls" and len(called.message.tool_calls) == CALLS, called
        )
        messages.append(called.message)
        for call in called.message.tool_calls:
            city = json.loads(call.function.arguments)["city"]
            found = f"7 degrees in {city}"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
        response = check_weather(ask(model, messages).message.content)
    return response


def ask_plain(model: str, messages: Any) -> Any:
    return completions.create(model=model, messages=messages, tools=TOOLS).choices[0]


def ask_streamed(model: str, messages: Any) -> Any:
    with completions.stream(model=model, messages=messages, tools=TOOLS) as stream:
        return stream.get_final_completion().choices[0]


def structured(model: str) -> str:
    response = completions.parse(model=model, messages=MESSAGES, response_format=Weather)
    found = response.choices[0].message.parsed
    check(found == Weather(city="Oslo", degrees=7), response)
    return repr(found)


def lists(model: str, **more: Any) -> str:
    """Lists that are not OpenAI's come in several chunks of the vendor."""
    with completions.stream(model=model, messages=MESSAGES, **more) as stream:
        message = stream.get_final_completion().choices[-1].message
    check((message.role, message.content) == ("assistant", "Hello from lists."), message)
    found = [one.text if hasattr(one, "text") else one["text"] for one in message.annotations or ()]
    check(found == ["Hello ", "from ", "lists."], message)
    return f"{len(found)} elements"


def embeddings() -> str:
    """As base64, which the SDK requests, and of tokens, which other libraries send."""
    found = [one.embedding[0] for one in vectors(["a", "bb", "ccc"])]
    tokens = [one.embedding[0] for one in vectors([[1, 2], [3]])]
    check((found, tokens) == ([1, 2, 3], [2, 1]), (found, tokens))
    return f"{len(found)} vectors"


def vectors(texts: Any) -> Any:
    return client.embeddings.create(model="vectors", input=texts).data


def unknown_model() -> str:
    try:
        completions.create(model="no-such-model", messages=MESSAGES)
    except NotFoundError as raised:
        check(raised.code == "model_not_found", raised.code)
        return f"{type(raised).__name__}: {raised.code}"
    raise AssertionError("no error was raised")


def error() -> str:
    try:
        completions.create(model="failing", messages=MESSAGES)
    except InternalServerError as raised:
        return f"{type(raised).__name__}: {raised.status_code}"
    raise AssertionError("no error was raised")


def cancelled() -> str:
    stream = completions.create(model="endless", messages=MESSAGES, stream=True)
    words = 0
    for chunk in stream:
        words += bool(chunk.choices and chunk.choices[0].delta.content)
        if words == SEEN:
            break
    stream.close()
    time.sleep(0.3)
    return f"after {words} words"


run_cases(
    f"openai {openai.__version__} (Python)",
    {
        "cancelled": cancelled,
        "plain": plain,
        "streamed": streamed,
        "all, one fails": all_plain,
        "all, one fails, streamed": all_streamed,
        "race": race,
        "race, streamed": race_streamed,
        **for_each_vendor("tools", tools),
        **for_each_vendor("structured", structured),
        "embeddings": embeddings,
        "lists": lambda: lists("lists"),
        "lists, race": lambda: lists("slow, lists", extra_body=RACE),
        "lists, all": lambda: lists("slow, lists"),
        "unknown model": unknown_model,
        "error": error,
    },
)
