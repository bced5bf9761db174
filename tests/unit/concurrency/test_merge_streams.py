from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fanout.concurrency import Ended, Opener, merge_streams
from tests.support.virtual_clock import now, run
from tests.unit.concurrency.scripted_calls import ScriptedCalls


async def merged(openers: list[Opener[str]], limit: int = 9) -> list[Any]:
    async with merge_streams(openers, limit=limit) as items:
        return [item async for item in items]


def test_items_are_yielded_as_they_arrive_each_with_its_streams_index() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        streams = [scripted.stream("a", 1.0, "a1", 2.0, "a2"), scripted.stream("b", 2.0, "b1")]
        assert await merged(streams) == [
            (0, "a1"), (1, "b1"), Ended(1), (0, "a2"), Ended(0),
        ]  # fmt: skip
        assert now() == 3.0

    run(main())


def test_a_stream_that_breaks_ends_with_its_error_and_the_others_go_on() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        error = OSError("cut")
        streams = [scripted.stream("a", "a1", error), scripted.stream("b", 1.0, "b1")]
        assert await merged(streams) == [(0, "a1"), Ended(0, error), (1, "b1"), Ended(1)]

    run(main())


def test_at_most_limit_streams_are_open() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        streams = [scripted.stream(name, 1.0, name) for name in "abcde"]
        assert len(await merged(streams, limit=2)) == 10
        assert now() == 3.0
        opened = [at for at, what in scripted.log if what.endswith("opens")]
        assert opened == [0.0, 0.0, 1.0, 1.0, 2.0]

    run(main())


def test_a_stream_is_closed_before_its_end_is_yielded() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        async with merge_streams([scripted.stream("a", "x")], limit=1) as items:
            async for item in items:
                if isinstance(item, Ended):
                    assert scripted.events[-1] == "a is closed"

    run(main())


def test_a_slow_reader_holds_the_streams_back() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        streams = [scripted.stream(name, *["x"] * 1_000) for name in "ab"]
        async with merge_streams(streams, limit=2) as items:
            await anext(items)
            await asyncio.sleep(3600)
            assert scripted.events.count("a says x") + scripted.events.count("b says x") < 80
            rest = [item async for item in items]
        assert len(rest) == 2_001

    run(main())


def test_leaving_early_closes_every_stream_and_opens_no_more() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        streams = [scripted.stream(name, name, 9.0) for name in "abc"]
        async with merge_streams(streams, limit=2) as items:
            await anext(items)
        assert sorted(scripted.events[-2:]) == ["a is closed", "b is closed"]
        assert "c opens" not in scripted.events
        assert now() == 0.0

    run(main())


def test_an_error_of_the_reader_closes_every_stream_and_is_raised_as_it_is() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        streams = [scripted.stream(name, name, 9.0) for name in "ab"]
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with merge_streams(streams, limit=2) as items:
                await anext(items)
                raise ZeroDivisionError
        assert sorted(scripted.events[-2:]) == ["a is closed", "b is closed"]

    run(main())


def test_cancelling_the_reader_closes_every_stream() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        streams = [scripted.stream(name, 99.0) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await merged(streams)
        assert sorted(scripted.log[-2:]) == [(1.0, "a is closed"), (1.0, "b is closed")]

    run(main())


def test_nothing_merged_is_nothing() -> None:
    assert run(merged([])) == []
