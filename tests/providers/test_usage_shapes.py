"""
Usage in odd shapes, of every vendor with OpenAI's API: its three counts are right, or it is none.

It may be in any chunk, in several, or in none; the text arrives in any case.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.wire.http import WireEvent, WireResponse

STEADY = settings(derandomize=True, deadline=None, max_examples=300)
PROVIDERS = ["openai", "openai_like", "groq", "minimax", "azure"]
TARGET = Target("name", "m", options={"api_base": "https://a.test"}, one_choice=True)

SHAPES: dict[str, tuple[Any, tuple[int, int, int] | None]] = {
    "OpenAI's": ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, (3, 4, 7)),
    "texts": ({"prompt_tokens": "3", "completion_tokens": " 4 ", "total_tokens": "7"}, (3, 4, 7)),
    "reals": ({"prompt_tokens": 3.0, "completion_tokens": 4.0, "total_tokens": "7.0"}, (3, 4, 7)),
    "no total": ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4, 7)),
    "a null total": (
        {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": None}, (3, 4, 7),
    ),
    "no completion": ({"prompt_tokens": 3, "total_tokens": 7}, (3, 4, 7)),
    "no prompt": ({"completion_tokens": 4, "total_tokens": 7}, (3, 4, 7)),
    "a completion below zero": (
        {"prompt_tokens": 3, "completion_tokens": -1, "total_tokens": 7}, (3, 4, 7),
    ),
    "half a token": ({"prompt_tokens": 3, "completion_tokens": 4.5, "total_tokens": 7}, (3, 4, 7)),
    "camelCase": ({"promptTokens": 3, "completionTokens": 4, "totalTokens": 7}, (3, 4, 7)),
    "other names": ({"input_tokens": 3, "output_tokens": 4}, (3, 4, 7)),
    "other names in camelCase": ({"inputTokens": "3", "outputTokens": 4}, (3, 4, 7)),
    "details of another type": (
        {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": "none",
         "completion_tokens_details": {"reasoning_tokens": -1, "audio_tokens": None}}, (3, 4, 7),
    ),
    "a total alone": ({"total_tokens": 7, "total_characters": 0}, None),
    "a prompt alone": ({"prompt_tokens": 3}, None),
    "more than the total": (
        {"prompt_tokens": 9, "completion_tokens": None, "total_tokens": 7}, None,
    ),
    "nothing": ({}, None),
    "null": (None, None),
    "a text": ("7", None),
    "a number": (7, None),
    "a list": ([3, 4, 7], None),
}  # fmt: skip


def counts_of(usage: Any) -> tuple[int, int, int] | None:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return usage and tuple(usage[name] for name in names)


def message_of(**more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}}
    return {"id": "r", "model": "m", "choices": [choice | {"finish_reason": "stop"}], **more}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_plain_response_has_the_counts_or_none(provider: str, shape: str) -> None:
    usage, counts = SHAPES[shape]
    body = json.dumps(message_of(usage=usage)).encode()
    found = registry.find(provider).chat.decode(WireResponse(200, {}, body), TARGET)
    assert found["choices"][0]["message"]["content"] == "Hi"
    assert counts_of(found.get("usage")) == counts


def streamed(provider: str, chunks: list[dict[str, Any]]) -> Any:
    decoder, accumulator = registry.find(provider).chat.decoder(TARGET), ChunkAccumulator()
    for data in [*(json.dumps({"id": "r", **one}).encode() for one in chunks), b"[DONE]"]:
        for chunk in decoder.feed(WireEvent(data)):
            accumulator.add(chunk)
    assert decoder.ended
    return accumulator.completion()


def choice_of(delta: dict[str, Any], reason: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "finish_reason": reason}]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("place", ["first", "text", "end", "after the end"])
@pytest.mark.parametrize("shape", SHAPES)
def test_so_has_a_stream_wherever_it_is(provider: str, place: str, shape: str) -> None:
    usage, counts = SHAPES[shape]
    chunks = {
        "first": {"choices": choice_of({"role": "assistant", "content": ""})},
        "text": {"choices": choice_of({"content": "Hi"})},
        "end": {"choices": choice_of({}, "stop")},
    }
    chunks[place] = {**chunks.get(place, {"choices": []}), "usage": usage}
    found = streamed(provider, list(chunks.values()))
    assert found["choices"][0]["message"]["content"] == "Hi"
    assert counts_of(found["usage"]) == counts


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_last_usage_of_a_stream_counts(provider: str) -> None:
    """MiniMax's first chunks have a total of 0; vLLM's have the usage so far."""
    usages = [{"total_tokens": 0}, {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}]
    last = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    chunks: list[dict[str, Any]] = [
        {"choices": choice_of({"content": text}), "usage": usage}
        for text, usage in zip("Hi", usages, strict=True)
    ]
    end = {"choices": choice_of({}, "stop"), "usage": last}
    assert counts_of(streamed(provider, [*chunks, end])["usage"]) == (3, 4, 7)
    end = {"choices": choice_of({}, "stop")}
    assert counts_of(streamed(provider, [*chunks, end])["usage"]) == (3, 1, 4)


NUMBERS: st.SearchStrategy[Any] = st.sampled_from(
    [0, 3, 4, 7, -1, 1.5, 2.0, "5", "x", "", None, True, [], {}]
)
NAMES = st.sampled_from(
    [
        "prompt_tokens", "completion_tokens", "total_tokens", "promptTokens", "output_tokens",
        "prompt_tokens_details", "completion_tokens_details", "input_tokens", "own",
    ]
)  # fmt: skip


@STEADY
@given(usage=st.dictionaries(NAMES, NUMBERS), provider=st.sampled_from(PROVIDERS))
def test_any_usage_is_three_counts_or_none(usage: dict[str, Any], provider: str) -> None:
    body = json.dumps(message_of(usage=usage)).encode()
    found = registry.find(provider).chat.decode(WireResponse(200, {}, body), TARGET).get("usage")
    if found is not None:
        counts = counts_of(found)
        assert counts is not None
        assert all(type(count) is int and count >= 0 for count in counts)
