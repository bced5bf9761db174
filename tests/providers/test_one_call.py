"""`parallel_tool_calls: false`: kept by the provider, or by passing on the first call alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.chat import ChatChunk
from fanout.schema.one_call import keep_first_call, keep_first_calls
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.test_contract import GOLDEN, load

U = {"role": "user", "content": "Hello."}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
CASES = sorted(GOLDEN.glob("*/parallel-tools"))


def encode(provider: str, model: str, *, asked: bool | None) -> WireRequest:
    body = {"model": "our-name", "messages": [U], "tools": TOOLS, "parallel_tool_calls": asked}
    return registry.find(provider).chat.encode(parse_chat(body), Target("our-name", model), False)


@pytest.mark.parametrize(
    ("provider", "model", "is_kept_here"),
    [
        ("openai", "gpt-4o", False), ("openai", "o3-mini", True), ("groq", "m", False),
        ("anthropic", "claude-x", False), ("bedrock", "us.anthropic.claude-x", False),
        ("bedrock", "meta.llama", True), ("gemini", "gemini-2.5-flash", True),
        ("cohere", "m", True), ("deepseek", "m", True), ("ollama", "m", True),
    ],
)  # fmt: skip
def test_a_provider_that_cannot_be_asked_is_not_asked(
    provider: str, model: str, *, is_kept_here: bool
) -> None:
    wire = encode(provider, model, asked=False)
    assert wire.one_call == is_kept_here
    assert (b"parallel" in wire.body) != is_kept_here
    assert wire.dropped == ()
    assert not encode(provider, model, asked=True).one_call
    assert not encode(provider, model, asked=None).one_call


async def _each(chunks: list[ChatChunk]) -> AsyncIterator[ChatChunk]:
    for chunk in chunks:
        yield chunk


def first_only(chunks: list[ChatChunk]) -> list[ChatChunk]:
    async def collect() -> list[ChatChunk]:
        return [chunk async for chunk in keep_first_calls(_each(chunks))]

    return asyncio.run(collect())


@pytest.mark.parametrize("case", CASES, ids=[case.parent.name for case in CASES])
def test_only_the_first_call_is_passed_on_plain_and_streamed(case: Any) -> None:
    whole = load(case / "chat.json")
    kept: Any = keep_first_call(whole)
    calls = whole["choices"][0]["message"]["tool_calls"]
    assert len(calls) > 1
    assert kept["choices"][0]["message"]["tool_calls"] == calls[:1]
    assert kept["choices"][0]["finish_reason"] == "tool_calls"
    assert kept.get("usage") == whole.get("usage")
    if (case / "chunks.json").exists():
        assembly = ChunkAccumulator()
        for chunk in first_only(load(case / "chunks.json")):
            assembly.add(chunk)
        assert assembly.completion()["choices"] == kept["choices"]
        assert assembly.usage == whole.get("usage")


def test_a_response_without_calls_is_the_same_object() -> None:
    case = GOLDEN / "anthropic" / "text"
    whole, chunks = load(case / "chat.json"), load(case / "chunks.json")
    assert keep_first_call(whole) is whole
    assert first_only(chunks) == chunks
