"""
A raced response, which is received as a stream, equals what OpenAI's SDK makes of that stream.

Each recorded stream of the golden files is decoded, and its chunks are put together twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.choice_deltas import ChoiceDeltas
from fanout.wire.http import WireEvent

from .test_contract import cases, chunks_of

STREAMS = cases("stream.txt") + cases("stream.hex")


def by_sdk(chunks: list[Any]) -> Any:
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in as_clients_get(chunks):
        value = {"id": "x", "created": 0} | chunk
        state.handle_chunk(ChatCompletionChunk.model_validate(value))
    return state.current_completion_snapshot.to_dict()


def as_clients_get(chunks: list[Any]) -> Iterator[Any]:
    """The chunks of the gateway's stream, for the ones of the codec."""
    deltas = ChoiceDeltas()
    for chunk in chunks:
        yield {**chunk, "choices": deltas.shape(chunk["choices"])}
    for choice in deltas.rest():
        yield {**chunks[-1], "choices": [choice]}


def by_us(chunks: list[Any]) -> Any:
    accumulator = ChunkAccumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.completion()


def tidy(value: Any) -> Any:
    """Without empty values."""
    if isinstance(value, dict):
        kept = {name: tidy(one) for name, one in value.items() if name != "index"}
        return {name: one for name, one in kept.items() if one not in (None, "", [], {})}
    return [tidy(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_is_collected_as_the_sdk_collects_it(case: Path) -> None:
    chunks, _ = chunks_of(case, 1 << 30)
    theirs, ours = by_sdk(chunks), by_us(chunks)
    for one, other in zip(theirs["choices"], ours["choices"], strict=True):
        assert tidy(other["message"]) == tidy(one["message"])
        assert other["finish_reason"] == one["finish_reason"]
        assert tidy(other.get("logprobs")) == tidy(one.get("logprobs"))


def streamed(*choices: dict[str, Any]) -> list[Any]:
    decoder = registry.find("openai_like").chat.decoder(Target("our-name", "m"))
    events = [json.dumps({"id": "c", "model": "m", "choices": [one]}).encode() for one in choices]
    return [chunk for data in [*events, b"[DONE]"] for chunk in decoder.feed(WireEvent(data))]


def call_part(call_id: str | None, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    given = {"id": call_id} if call_id else {}
    return {"delta": {"tool_calls": [{**given, "function": function, **more}]}, "index": 0}


CALLS = {
    "whole calls without an index": [call_part("a", "f", "{}"), call_part("b", "g", "{}")],
    "whole calls at one index": [
        call_part("a", "f", "{}", index=0), call_part("b", "g", "{}", index=0),
    ],
    "parts without an index": [
        call_part("a", "f", ""), call_part(None, "", "{}"), call_part("b", "g", "{}"),
    ],
    "an id in each part": [
        call_part("a", "f", "{", index=0), call_part("a", "", "}", index=0),
        call_part("b", "g", "{}", index=1),
    ],
    "a new id in each part, as older vLLM": [
        call_part("a", "f", "{", index=0), call_part("x", "", "}", index=0),
        call_part("b", "g", "{}", index=1),
    ],
    "the name in each part": [
        call_part("a", "f", "{", index=0), call_part(None, "f", "}", index=0),
        call_part("b", "g", "{}", index=1),
    ],
    "no ids at all": [call_part(None, "f", "{}"), call_part(None, "g", "{}")],
}  # fmt: skip


@pytest.mark.parametrize("parts", CALLS.values(), ids=CALLS)
def test_each_tool_call_has_an_index_of_its_own(parts: list[dict[str, Any]]) -> None:
    chunks = streamed(*parts)
    (ours,), (theirs,) = by_us(chunks)["choices"], by_sdk(chunks)["choices"]
    calls = [
        (c["function"]["name"], c["function"]["arguments"]) for c in ours["message"]["tool_calls"]
    ]
    assert calls == [("f", "{}"), ("g", "{}")]
    assert tidy(theirs["message"]) == tidy(ours["message"])
    assert {c["type"] for c in ours["message"]["tool_calls"]} == {"function"}
    ids = [c["id"] for c in ours["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    assert ids in (["a", "b"], ["call_c_0", "call_c_1"])
    assert ours["finish_reason"] == "tool_calls"


def test_pieces_of_audio_and_of_vendors_own_objects_are_joined() -> None:
    first = {
        "audio": {"id": "a", "data": "AA", "transcript": "He"},
        "own": [{"index": 0, "text": "x"}],
    }
    second = {"audio": {"data": "BB", "transcript": "llo"}, "own": [{"index": 0, "text": "y"}]}
    (choice,) = by_us(streamed({"index": 0, "delta": first}, {"index": 0, "delta": second}))[
        "choices"
    ]
    assert choice["message"]["audio"] == {"id": "a", "data": "AABB", "transcript": "Hello"}
    assert choice["message"]["own"] == [{"index": 0, "text": "xy"}]
