"""Whatever a vendor sends in a field that OpenAI types, a typed client can read the response."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.wire.http import WireEvent, WireResponse

from .recorded_streams import MISSING, ODD, dump

HEAD = {"id": "c", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
# The gateway sets or completes the others; the choices have tests of their own.
NOT_HERE = {"choices", "created", "id", "model", "object"}
VALUES = [value for value in ODD if value is not MISSING]


def is_tier(name: str, odd: Any) -> bool:
    """A vendor's own tier is passed on as it is, and a number is its text."""
    return name == "service_tier" and isinstance(odd, str | int | float)


def odd_fields(model: Any) -> list[dict[str, Any]]:
    """Each field with each odd value, and each field of the usage."""
    names = set(model.model_fields) - NOT_HERE
    found = [{name: odd} for name in sorted(names) for odd in VALUES if not is_tier(name, odd)]
    for group in ("prompt_tokens_details", "completion_tokens_details"):
        (details,) = [
            one
            for one in CompletionUsage.model_fields[group].annotation.__args__  # type: ignore[union-attr]
            if one is not type(None)
        ]
        found += [
            {"usage": {**USAGE, group: {name: odd}}}
            for name in sorted(details.model_fields)
            for odd in VALUES
        ]
    return found


def test_every_field_of_a_chunk_has_openais_type() -> None:
    for fields in odd_fields(ChatCompletionChunk):
        decoder = registry.find("openai").chat.decoder(Target("our-name", "m"))
        for odd in ({}, fields, fields):
            choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
            event = WireEvent(dump({**HEAD, "choices": [choice], **odd}))
            for chunk in decoder.feed(event):
                ChatCompletionChunk.model_validate(
                    {**HEAD, **chunk, "object": "chat.completion.chunk"}
                )


def test_every_field_of_a_response_has_openais_type() -> None:
    codec = registry.find("openai").chat
    choice = {
        "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"},
    }  # fmt: skip
    for fields in odd_fields(ChatCompletion):
        body = dump({**HEAD, "choices": [choice], **fields})
        found = codec.decode(WireResponse(200, {}, body), Target("our-name", "m"))
        ChatCompletion.model_validate({**HEAD, **found, "object": "chat.completion"})


@pytest.mark.parametrize("odd", [0, [], {"odd": 1}])
def test_an_odd_obfuscation_costs_only_itself(odd: Any) -> None:
    decoder = registry.find("openai").chat.decoder(Target("our-name", "m"))
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    texts = []
    for value in ("x1", odd, "x2"):
        event = WireEvent(dump({**HEAD, "choices": [choice], "obfuscation": value}))
        texts += [chunk["choices"][0]["delta"]["content"] for chunk in decoder.feed(event)]
    assert texts == ["a", "a", "a"]
