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
"""Their own reasons stay: they say `stop` beside the call of a function that is required."""


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
        ("tool_calls", "stop", "tool_calls"),
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
        ("TOOL_CALLS", "stop", "tool_calls"),
        (None, "stop", "tool_calls"),
        ("", "stop", "tool_calls"),
        ("null", "stop", "tool_calls"),
    ],
)
def test_every_finish_reason_is_one_of_openais(
    provider: str, reason: str | None, alone: str, with_calls: str
) -> None:
    word = str(reason).lower()
    is_kept = provider in PLAIN and word in {"stop", "tool_calls"}
    for read in (plain, streamed):
        assert read(provider, reason, calls=False) == (word if is_kept else alone)
        assert read(provider, reason, calls=True) == (word if is_kept else with_calls)


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


# ---- vendors with another API ----

CLAUDE = Target("name", "claude-sonnet-4-5")
NOVA = Target("name", "amazon.nova-pro-v1:0", options={"region": "us-east-1"})


def body_of(provider: str, reason: str, *, calls: bool) -> Any:
    """A plain response of Anthropic's, Converse or Cohere; its call has no id."""
    if provider == "anthropic":
        block = {"type": "tool_use", "name": "f", "input": {}}
        text = {"type": "text", "text": "Hi"}
        return {
            "type": "message", "id": "m", "model": "m", "content": [text, *[block][: int(calls)]],
            "usage": {"input_tokens": 1, "output_tokens": 1}, "stop_reason": reason,
        }  # fmt: skip
    if provider == "bedrock":
        content = [{"text": "Hi"}, *[{"toolUse": {"name": "f", "input": {}}}][: int(calls)]]
        usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
        message = {"role": "assistant", "content": content}
        return {"output": {"message": message}, "stopReason": reason, "usage": usage}
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    parts = {"content": [{"type": "text", "text": "Hi"}], "tool_calls": [call] * int(calls)}
    return {"id": "m", "message": parts, "finish_reason": reason}


@pytest.mark.parametrize(
    ("provider", "target", "reasons"),
    [
        ("anthropic", CLAUDE, ["end_turn", "tool_use"]),
        ("bedrock", NOVA, ["end_turn", "tool_use"]),
        ("cohere", Target("name", "command-a"), ["COMPLETE", "TOOL_CALL"]),
    ],
)
@pytest.mark.parametrize("calls", [False, True])
def test_a_reason_says_whether_there_are_calls_and_each_call_has_an_id(
    provider: str, target: Target, reasons: list[str], *, calls: bool
) -> None:
    for reason in reasons:
        body = json.dumps(body_of(provider, reason, calls=calls)).encode()
        found = registry.find(provider).chat.decode(WireResponse(200, {}, body), target)
        choice: Any = found["choices"][0]
        assert choice["finish_reason"] == ("tool_calls" if calls else "stop")
        ids = [call["id"] for call in choice["message"].get("tool_calls") or ()]
        assert ids == [ids[0]] * int(calls) if calls else not ids
        assert all(one.startswith("call_") for one in ids)


@pytest.mark.parametrize("has_id", [None, "", "absent"])
def test_a_streamed_call_of_claudes_without_an_id_gets_the_same_one(has_id: str | None) -> None:
    block: dict[str, Any] = {"type": "tool_use", "name": "f", "input": {}}
    block |= {} if has_id == "absent" else {"id": has_id}
    sent: list[Any] = [
        {"type": "message_start", "message": {"id": "m", "model": "m", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    decoder, accumulator = registry.find("anthropic").chat.decoder(CLAUDE), ChunkAccumulator()
    for event in sent:
        for chunk in decoder.feed(WireEvent(json.dumps(event).encode(), event["type"])):
            accumulator.add(chunk)
    choice: Any = accumulator.completion()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert [call["id"] for call in choice["message"]["tool_calls"]] == ["call_m_0"]
