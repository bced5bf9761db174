"""A part of a call whose function is null: OpenAI's SDK for Python fails at it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.wire.http import WireEvent

START = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
END = {"index": 0, "function": {"arguments": "}"}}


@pytest.mark.parametrize("provider", ["openai", "azure", "openai_like", "groq"])
@pytest.mark.parametrize(
    "odd",
    [
        {"index": 0, "function": None},
        {"index": 0, "id": "c", "function": None},
        {"index": 0, "id": None, "type": "function", "function": None},
    ],
)
def test_the_null_field_is_left_out(provider: str, odd: dict[str, Any]) -> None:
    target = Target("name", "m", options={"api_base": "https://a.test"}, one_choice=True)
    decoder, state = registry.find(provider).chat.decoder(target), ChatCompletionStreamState()
    deltas: list[Any] = [{"role": "assistant", "content": None}]
    deltas += [{"tool_calls": [part]} for part in (START, odd, END)]
    head = {"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for delta, reason in [*((delta, None) for delta in deltas), ({}, "tool_calls")]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        for chunk in decoder.feed(WireEvent(json.dumps({**head, "choices": [choice]}).encode())):
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    final: Any = state.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("c", "f", "{}")
