"""Every key that a vendor's message may have, sent back to every other vendor in the next turn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fanout.errors import FanoutError
from fanout.providers import registry
from fanout.providers.base import BadWire, Target, WireError
from fanout.wire.http import WireEvent, WireResponse
from tests.providers.strict.openai_api import OTHERS
from tests.providers.test_history_grid import (
    TARGETS,
    Judge,
    U,
    encode,
    judged_as,
    with_results,
)

TARGET = Target("our-name", "their-model")
DECODERS = ["openai", "azure", "mistral", "openai_like"]  # each way to read OpenAI's API

CALL = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}
PARTS: list[Any] = [
    {"type": "text", "text": "Hi"},
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
    {"type": "reference", "reference_ids": [1]},
    {"type": "image_url", "image_url": {"url": "https://a.test/a.png"}},
    {"type": "tool_file", "tool": "image_generation", "file_id": "f_1"},
    {"type": "odd", "odd": {"a": 1}},
    "text",
    7,
]
ODD: list[Any] = ["hm", "", 7, {"a": 1}, [], [{"type": "odd"}], None]
KEYS = sorted(OTHERS | {"audio", "refusal", "tool_plan", "a_key_of_tomorrow"})
CONTENTS: list[Any] = ["", None, [], *([part] for part in PARTS), PARTS]
MESSAGES: list[dict[str, Any]] = [
    *({"content": content} for content in CONTENTS),
    *({"content": "Hi", key: value} for key in KEYS for value in ODD),
    *({"content": "", "tool_calls": [CALL], key: value} for key in KEYS for value in ODD[:4]),
]


def decoded(provider: str, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The messages that a client gets: plain, and from a stream of one chunk."""
    codec = registry.find(provider).chat
    head = {"id": "1", "created": 1, "model": "m"}
    whole = {**head, "object": "chat.completion"}
    whole["choices"] = [{"index": 0, "finish_reason": "stop", "message": message}]
    chunk = {**head, "object": "chat.completion.chunk"}
    chunk["choices"] = [{"index": 0, "finish_reason": "stop", "delta": message}]
    try:
        completion = codec.decode(WireResponse(200, {}, json.dumps(whole).encode()), TARGET)
        yield from (dict(choice["message"]) for choice in completion["choices"])
        for piece in codec.decoder(TARGET).feed(WireEvent(json.dumps(chunk).encode())):
            yield from ({**choice["delta"], "role": "assistant"} for choice in piece["choices"])
    except (BadWire, WireError):
        return  # no response, so no next turn


def answers() -> list[dict[str, Any]]:
    """Each different message that a client gets."""
    found = {
        json.dumps(answer, sort_keys=True): answer
        for message in MESSAGES
        for source in DECODERS
        for answer in decoded(source, {"role": "assistant", **message})
    }
    return [*found.values()]


ANSWERS = answers()


@pytest.mark.parametrize(
    ("provider", "model", "judge"), TARGETS, ids=[f"{name}/{model}" for name, model, _ in TARGETS]
)
def test_any_message_of_a_response_can_be_sent_in_the_next_turn(
    provider: str, model: str, judge: Judge
) -> None:
    failed = []
    for answer in ANSWERS:
        history = [U, *with_results(answer)]
        try:
            wire = encode(provider, model, [*history, U], stream=False)
            judge(judged_as(provider, model, judge), json.loads(wire.body))
        except (AssertionError, FanoutError, LookupError, TypeError, ValueError) as error:
            failed.append((answer, str(error)[:200]))
    assert not failed
