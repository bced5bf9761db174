"""`stream=True`: chunks as they come, and streams that are left, broken or closed."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import fanout
from fanout.errors import Broken, ProviderError
from tests.library.ways import HI, Way, at, spoken
from tests.support.provider_steps import answers, cut, hang, refuse, reset, role, say, stop, wait
from tests.support.scripted_provider import Upstream


def test_chunks_come_as_they_are_said(upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("m", [role, say("one"), wait(gate), say("two"), stop])
    stream = fanout.completion("openai/m", HI, stream=True, **at(upstream))
    seen = []
    for chunk in stream:
        seen += [c.delta.content for c in chunk.choices if c.delta.content]
        if seen == ["one"]:
            gate.open()
    assert seen == ["one", "two"]


def test_chunks_of_an_async_stream_come_as_they_are_said(upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("m", [role, say("one"), wait(gate), say("two"), stop])

    async def main() -> list[str]:
        seen: list[str] = []
        async for chunk in await fanout.acompletion("openai/m", HI, stream=True, **at(upstream)):
            seen += [c.delta.content for c in chunk.choices if c.delta.content]
            if seen == ["one"]:
                gate.open()
        return seen

    assert asyncio.run(main()) == ["one", "two"]


def test_a_chunk_reads_like_openais_and_usage_comes_last_if_asked_for(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers("A"))
    usage = {"include_usage": True}
    chunks = call.read("completion", "openai/m", HI, stream_options=usage, **at(upstream))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.model for chunk in chunks} == {"openai/m"}
    assert [c.finish_reason for chunk in chunks for c in chunk.choices][-1] == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 12)
    without = call.read("completion", "openai/m", HI, **at(upstream))
    assert all(chunk.usage is None for chunk in without)


def test_an_error_before_the_first_content_is_the_calls_own(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [refuse(429, "busy")])
    with pytest.raises(ProviderError, match="busy"):
        call("completion", "openai/m", HI, stream=True, num_retries=0, **at(upstream))


@pytest.mark.parametrize("end", [cut, reset])
def test_a_stream_that_breaks_is_broken_whatever_broke_it(
    upstream: Upstream, call: Way, end: Any
) -> None:
    upstream.script("m", [role, say("half"), end])
    with pytest.raises(Broken):
        call.read("completion", "openai/m", HI, **at(upstream))


def test_a_stream_that_is_over_stays_over(upstream: Upstream) -> None:
    upstream.script("m", answers("A"))
    stream = fanout.completion("openai/m", HI, stream=True, **at(upstream))
    assert spoken(list(stream)) == "A"
    assert list(stream) == []
    stream.close()
    assert list(stream) == []


def test_leaving_a_stream_closes_it(upstream: Upstream) -> None:
    upstream.script("m", [role, say("one"), hang])
    with fanout.completion("openai/m", HI, stream=True, **at(upstream)) as stream:
        next(stream)
    upstream.wait_disconnected("m")
    assert list(stream) == []


def test_leaving_an_async_stream_closes_it(upstream: Upstream) -> None:
    upstream.script("m", [role, say("one"), hang])

    async def main() -> None:
        async with await fanout.acompletion("openai/m", HI, stream=True, **at(upstream)) as stream:
            await anext(stream)
        assert [chunk async for chunk in stream] == []

    asyncio.run(main())
    upstream.wait_disconnected("m")


def test_a_stream_without_references_is_closed(upstream: Upstream) -> None:
    upstream.script("m", [role, say("one"), hang])
    stream = fanout.completion("openai/m", HI, stream=True, **at(upstream))
    next(stream)
    del stream
    gc.collect()
    upstream.wait_disconnected("m")


def test_closing_a_stream_that_was_never_opened_sends_nothing(upstream: Upstream) -> None:
    upstream.script("m", answers("A"))
    (stream,) = fanout.batch_completion("openai/m", [HI], stream=True, **at(upstream))
    stream.close()
    assert list(stream) == []
    assert upstream.calls == []
