"""Finish reasons of OpenAI-compatible servers become OpenAI's, plain and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target, WireError
from fanout.schema.accumulator import ChunkAccumulator
from fanout.wire.http import WireEvent, WireResponse

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TARGET = Target("name", "m")
PROVIDERS = ["openai", "azure", "openai_like", "mistral", "deepseek"]
PLAIN = {"openai", "azure"}
"""They say `stop` beside the call of a function that the request requires."""


def plain(provider: str, reason: object, *, calls: bool) -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": "Hello"}
    if calls:
        message["tool_calls"] = [CALL]
    body = {"id": "r", "choices": [{"index": 0, "message": message, "finish_reason": reason}]}
    response = WireResponse(200, {}, json.dumps(body).encode())
    return registry.find(provider).chat.decode(response, TARGET)["choices"][0]["finish_reason"]


def events(reason: object, *, calls: bool) -> Iterator[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "Hello"}]
    if calls:
        deltas.append({"tool_calls": [{"index": 0, **CALL}]})
    for delta, ending in [*((delta, None) for delta in deltas), ({}, reason)]:
        choice = {"index": 0, "delta": delta, "finish_reason": ending}
        yield json.dumps({"id": "r", "choices": [choice]}).encode()
    yield b"[DONE]"


def streamed(provider: str, reason: object, *, calls: bool) -> Any:
    decoder, accumulator = registry.find(provider).chat.decoder(TARGET), ChunkAccumulator()
    for data in events(reason, calls=calls):
        for chunk in decoder.feed(WireEvent(data)):
            accumulator.add(chunk)
    return accumulator.completion()["choices"][0]["finish_reason"]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("reason", "alone", "with_calls"),
    [
        ("stop", "stop", "tool_calls"),
        ("tool_calls", "tool_calls", "tool_calls"),
        ("length", "length", "length"),
        ("MAX_TOKENS", "length", "length"),
        ("Length", "length", "length"),
        ("model_context_window_exceeded", "length", "length"),
        ("SAFETY", "content_filter", "content_filter"),
        ("content-filter", "content_filter", "content_filter"),
        ("sensitive", "content_filter", "content_filter"),
        ("refusal", "content_filter", "content_filter"),
        ("STOP", "stop", "tool_calls"),
        ("eos", "stop", "tool_calls"),
        ("end_turn", "stop", "tool_calls"),
        ("tool_use", "stop", "tool_calls"),
        ("tool_call", "stop", "tool_calls"),
        ("TOOL_CALLS", "tool_calls", "tool_calls"),
        (None, "stop", "tool_calls"),
        ("", "stop", "tool_calls"),
        ("null", "stop", "tool_calls"),
    ],
)
def test_every_finish_reason_is_one_of_openais(
    provider: str, reason: str | None, alone: str, with_calls: str
) -> None:
    for read in (plain, streamed):
        assert read(provider, reason, calls=False) == alone
        is_kept = provider in PLAIN and str(reason).lower() == "stop"
        assert read(provider, reason, calls=True) == ("stop" if is_kept else with_calls)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("reason", ["error", "network_error", "NETWORK_ERROR", "abort"])
def test_a_reason_that_means_failure_is_an_error(provider: str, reason: str) -> None:
    for read in (plain, streamed):
        with pytest.raises(WireError, match=reason):
            read(provider, reason, calls=False)


NOT_YET: list[object] = ["", " ", "null", "NULL", "none", "None", None, 0, False, [], {}]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("reason", NOT_YET, ids=repr)
def test_a_word_for_not_yet_does_not_end_a_choice(provider: str, reason: object) -> None:
    decoder = registry.find(provider).chat.decoder(TARGET)
    found: list[Any] = []
    for text, ending in [("Hel", reason), ("lo", reason), ("", "length")]:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": ending}
        data = json.dumps({"id": "r", "choices": [choice]}).encode()
        found += [chunk["choices"][0] for chunk in decoder.feed(WireEvent(data))]
    assert [one["finish_reason"] for one in found] == [None, None, "length"]
    assert [one["delta"]["content"] for one in found] == ["Hel", "lo", ""]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("delta", [{"content": "Hel"}, {"role": "assistant"}, {}], ids=str)
def test_a_chunk_without_a_finish_reason_gets_null(provider: str, delta: dict[str, str]) -> None:
    decoder = registry.find(provider).chat.decoder(TARGET)
    for _ in range(3):  # the first, and one like the one before
        data = json.dumps({"id": "r", "choices": [{"index": 0, "delta": delta}]}).encode()
        (chunk,) = decoder.feed(WireEvent(data))
        assert chunk["choices"] == [{"index": 0, "delta": delta, "finish_reason": None}]
