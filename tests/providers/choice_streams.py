"""Responses and streams of OpenAI-compatible vendors whose choices have the indexes of a test."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.wire.http import WireEvent, WireResponse

STEADY = settings(derandomize=True, deadline=None, max_examples=60)
PROVIDERS = ["openai", "azure", "openai_like", "mistral", "groq", "bedrock"]
OPTIONS = {"api_base": "https://a.test"}
INDEXES: list[Any] = [0, 1, 2, 7, -1, "1", None, "absent"]
UNREADABLE = [-1, None, "absent"]


def target_of(provider: str, *, one_choice: bool) -> Target:
    model = "openai.gpt-oss-20b-1:0" if provider == "bedrock" else "m"
    return Target("name", model, options=OPTIONS, one_choice=one_choice)


def choice_of(index: Any, **fields: Any) -> dict[str, Any]:
    return fields | ({} if index == "absent" else {"index": index})


def whole(provider: str, indexes: list[Any]) -> Any:
    """The choices of a plain response, each with its place as its text."""
    choices = [
        choice_of(index, message={"role": "assistant", "content": str(place)}, finish_reason="stop")
        for place, index in enumerate(indexes)
    ]
    body = json.dumps({"id": "r", "choices": choices}).encode()
    codec = registry.find(provider).chat
    return codec.decode(WireResponse(200, {}, body), target_of(provider, one_choice=False))


def streamed(provider: str, choices: list[list[Any]], *, one_choice: bool = True) -> Any:
    decoder = registry.find(provider).chat.decoder(target_of(provider, one_choice=one_choice))
    chunks: list[Any] = []
    for each in choices:
        data = json.dumps({"id": "r", "choices": each}).encode()
        chunks += decoder.feed(WireEvent(data))
    chunks += decoder.feed(WireEvent(b"[DONE]"))
    assert decoder.ended
    return chunks


def collected(chunks: list[Any]) -> Any:
    accumulator = ChunkAccumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.completion()["choices"]


def texts(choices: Any) -> list[tuple[int, str]]:
    return [(one["index"], one["message"]["content"]) for one in choices]
