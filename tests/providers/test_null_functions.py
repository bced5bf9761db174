"""Parts of a call that OpenAI's SDK for Python fails at, and calls without arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.wire.http import WireEvent, WireResponse

START = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
END = {"index": 0, "function": {"arguments": "}"}}


@pytest.mark.parametrize("provider", ["openai", "azure", "openai_like", "groq"])
@pytest.mark.parametrize(
    "odd",
    [
        {"index": 0, "function": None},
        {"index": 0, "id": "c", "function": None},
        {"index": 0, "id": None, "type": "function", "function": None},
        {"index": 0},
        {"index": 0, "function": ""},
        {"index": 0, "function": []},
        {"index": 0, "type": "function"},
    ],
)
def test_a_later_part_without_a_function_is_left_out(provider: str, odd: dict[str, Any]) -> None:
    assert called(provider, [START, odd, END]) == ("c", "f", "{}")


def called(provider: str, parts: list[dict[str, Any]], *, reason: str = "tool_calls") -> Any:
    """The id, name and arguments of the only call, as OpenAI's SDK accumulates its parts."""
    target = Target("name", "m", options={"api_base": "https://a.test"}, one_choice=True)
    decoder, state = registry.find(provider).chat.decoder(target), ChatCompletionStreamState()
    deltas: list[Any] = [{"role": "assistant", "content": None}]
    deltas += [{"tool_calls": [part]} for part in parts]
    head = {"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for delta, ending in [*((delta, None) for delta in deltas), ({}, reason)]:
        choice = {"index": 0, "delta": delta, "finish_reason": ending}
        for chunk in decoder.feed(WireEvent(json.dumps({**head, "choices": [choice]}).encode())):
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    final: Any = state.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    return call.id, call.function.name, call.function.arguments


@pytest.mark.parametrize("provider", ["openai", "azure", "openai_like", "groq"])
@pytest.mark.parametrize("fields", [{}, {"function": ""}, {"function": []}])
def test_the_function_may_be_in_the_next_part(provider: str, fields: dict[str, Any]) -> None:
    first = {"index": 0, "id": "c", "type": "function", **fields}
    named = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
    assert called(provider, [first, named]) == ("c", "f", "{}")


NO_ARGUMENTS = [{"name": "f", "arguments": ""}, {"name": "f"}, {"name": "f", "arguments": None}]


@pytest.mark.parametrize("provider", ["openai", "azure", "openai_like", "groq"])
@pytest.mark.parametrize("function", NO_ARGUMENTS)
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_a_call_without_arguments_gets_an_empty_object(
    provider: str, function: dict[str, Any], reason: str
) -> None:
    start = {"index": 0, "id": "c", "type": "function", "function": function}
    assert called(provider, [start], reason=reason) == ("c", "f", "{}")
    message = {"role": "assistant", "content": None, "tool_calls": [start]}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    body = json.dumps({"id": "r", "model": "m", "choices": [choice]}).encode()
    target = Target("name", "m", options={"api_base": "https://a.test"})
    found: Any = registry.find(provider).chat.decode(WireResponse(200, {}, body), target)
    assert found["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("end", [b"[DONE]", b'{"choices": []}'])
@pytest.mark.parametrize("provider", ["openai", "openai_like"])
def test_so_do_several_calls_of_which_some_have_arguments_later(provider: str, end: bytes) -> None:
    parts: list[Any] = [
        {"index": i, "id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": ""}}
        for i in range(3)
    ]
    parts.append({"index": 1, "function": {"arguments": '{"a": 1}'}})
    target = Target("name", "m", one_choice=True)
    decoder, accumulator = registry.find(provider).chat.decoder(target), ChunkAccumulator()
    reason = None if end == b"[DONE]" else "tool_calls"
    for delta, ending in [*(({"tool_calls": [one]}, None) for one in parts), ({}, reason)]:
        choice = {"index": 0, "delta": delta, "finish_reason": ending}
        for chunk in decoder.feed(WireEvent(json.dumps({"id": "r", "choices": [choice]}).encode())):
            accumulator.add(chunk)
    for chunk in decoder.feed(WireEvent(end)):
        accumulator.add(chunk)
    calls: Any = accumulator.completion()["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ["{}", '{"a": 1}', "{}"]


@pytest.mark.parametrize("arguments", [None, "", {}, {"a": 1}, "absent"])
def test_coheres_calls_have_arguments(arguments: Any) -> None:
    function = {"name": "f"} | ({} if arguments == "absent" else {"arguments": arguments})
    call = {"id": "c", "type": "function", "function": function}
    body = {"id": "m", "message": {"tool_calls": [call]}, "finish_reason": "TOOL_CALL"}
    expected = json.dumps(arguments if isinstance(arguments, dict) else {}, separators=(",", ":"))
    codec, target = registry.find("cohere").chat, Target("name", "command-a")
    whole: Any = codec.decode(WireResponse(200, {}, json.dumps(body).encode()), target)
    decoder, accumulator = codec.decoder(target), ChunkAccumulator()
    for event in [
        {"type": "message-start", "id": "m"},
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    ]:
        for chunk in decoder.feed(WireEvent(json.dumps(event).encode())):
            accumulator.add(chunk)
    for found in (whole, accumulator.completion()):
        (made,) = found["choices"][0]["message"]["tool_calls"]
        assert made["function"] == {"name": "f", "arguments": expected}
