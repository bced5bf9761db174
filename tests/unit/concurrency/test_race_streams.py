from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from fanout.concurrency import Cancelled, Failure, Opener, race_streams
from tests.support.virtual_clock import now, run
from tests.unit.concurrency.stage import Stage


class Silent(Exception):
    """The stream at this index said nothing."""


def is_upper(item: str) -> bool:
    """What counts in these tests: `role` does not, `HELLO` does."""
    return item.isupper()


def racing(
    *openers: Opener[str], stagger: float | None = 0.0
) -> AbstractAsyncContextManager[tuple[Any, AsyncIterator[str]]]:
    return race_streams(openers, stagger=stagger, counts=is_upper, silent=Silent)


def test_the_first_item_that_counts_wins_and_not_the_first_item() -> None:
    async def main() -> None:
        stage = Stage()
        early = stage.stream("early", "role", 3.0, "A")
        late = stage.stream("late", 0.6, "B", "C", "d")
        async with racing(early, late) as (contest, items):
            assert (contest.winner, now()) == (1, 0.6)
            assert [item async for item in items] == ["B", "C", "d"]

    run(main())


def test_what_came_before_the_first_that_counts_is_handed_on_too() -> None:
    async def main() -> None:
        stream = Stage().stream("a", "role", "x", "A", "b")
        async with racing(stream) as (_, items):
            assert [item async for item in items] == ["role", "x", "A", "b"]

    run(main())


def test_losers_are_closed_before_the_first_item_is_handed_on() -> None:
    async def main() -> None:
        stage = Stage()
        slow = stage.stream("slow", 9.0, "S", closing=0.25)
        fast = stage.stream("fast", 1.0, "F")
        async with racing(slow, fast) as (contest, _):
            assert stage.log[-1] == (1.25, "slow is closed")
            assert isinstance(contest.fates[0], Cancelled)
            assert "fast is closed" not in stage.said
        assert stage.said[-1] == "fast is closed"

    run(main())


def test_the_winner_is_read_no_further_than_its_reader_wants() -> None:
    async def main() -> None:
        stage = Stage()
        async with racing(stage.stream("a", "A", "b", "c")) as (_, items):
            assert stage.said == ["a opens", "a says A"]
            assert await anext(items) == "A"
            assert await anext(items) == "b"
        assert stage.said == ["a opens", "a says A", "a says b", "a is closed"]

    run(main())


def test_a_stream_that_ends_without_what_counts_has_failed() -> None:
    async def main() -> None:
        stage = Stage()
        empty, roles = stage.stream("empty"), stage.stream("roles", "role", 0.5)
        async with racing(empty, roles, stage.stream("good", 1.0, "G")) as (contest, items):
            assert contest.winner == 2
            assert [item async for item in items] == ["G"]
            said = [fate.error.args for fate in contest.fates if isinstance(fate, Failure)]
            assert said == [(0,), (1,)]
        assert "empty is closed" in stage.said

    run(main())


def test_a_stream_that_breaks_before_what_counts_has_failed_and_is_closed() -> None:
    async def main() -> None:
        stage = Stage()
        broken = stage.stream("broken", "role", OSError("cut"))
        async with racing(broken, stage.stream("good", 1.0, "G")) as (contest, _):
            assert contest.winner == 1
            assert (0.0, "broken is closed") in stage.log
            fate = contest.fates[0]
            assert isinstance(fate, Failure)
            assert str(fate.error) == "cut"

    run(main())


def test_a_winner_that_breaks_later_breaks_for_its_reader() -> None:
    async def main() -> None:
        stage = Stage()
        heard = []
        winner, spare = stage.stream("w", "A", OSError("cut")), stage.stream("spare", 9.0, "S")
        with pytest.raises(OSError, match="cut"):  # noqa: PT012
            async with racing(winner, spare) as (_, items):
                async for item in items:
                    heard.append(item)  # noqa: PERF401 -- what was heard before it broke
        assert heard == ["A"]
        assert stage.said[-1] == "w is closed"

    run(main())


def test_when_nobody_says_what_counts_nobody_wins_and_there_is_nothing_to_read() -> None:
    async def main() -> None:
        stage = Stage()
        async with racing(stage.stream("a", "role"), stage.stream("b", OSError())) as (c, items):
            assert c.winner is None
            assert [type(f.error) for f in c.fates if isinstance(f, Failure)] == [Silent, OSError]
            assert [item async for item in items] == []

    run(main())


def test_of_two_that_speak_in_the_same_tick_the_second_is_closed() -> None:
    async def main() -> None:
        stage = Stage()
        twins = [stage.stream(name, 1.0, name.upper()) for name in "ab"]
        async with racing(*twins) as (contest, items):
            assert contest.winner == 0
            assert "b is closed" in stage.said
            assert [item async for item in items] == ["A"]

    run(main())


def test_a_hedge_starts_the_next_when_the_first_only_opens() -> None:
    async def main() -> None:
        stage = Stage()
        mute, spare = stage.stream("mute", "role", 99.0), stage.stream("spare", 0.1, "S")
        async with racing(mute, spare, stagger=0.5) as (contest, _):
            assert (contest.winner, now()) == (1, 0.6)

    run(main())


def test_a_fallback_opens_the_next_only_when_one_has_failed() -> None:
    async def main() -> None:
        stage = Stage()
        bad, good = stage.stream("bad", 7.0, OSError()), stage.stream("good", "G")
        never = stage.stream("never", "N")
        async with racing(bad, good, never, stagger=None) as (contest, _):
            assert contest.winner == 1
            assert (7.0, "good opens") in stage.log
        assert "never opens" not in stage.said

    run(main())


def test_cancelling_the_caller_of_an_undecided_race_closes_every_stream() -> None:
    async def main() -> None:
        stage = Stage()
        openers = [stage.stream(name, "role", 99.0) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0), racing(*openers):
                pytest.fail("nobody has won")
        assert sorted(stage.log[-2:]) == [(1.0, "a is closed"), (1.0, "b is closed")]

    run(main())


def test_cancelling_the_caller_while_losers_are_closing_closes_the_winner_too() -> None:
    async def main() -> None:
        stage = Stage()
        slow = stage.stream("slow", 99.0, closing=1.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5), racing(slow, stage.stream("fast", 1.0, "F")):
                pytest.fail("the losers are not closed yet")
        assert {"slow is closed", "fast is closed"} <= set(stage.said)

    run(main())


def test_cancelling_the_reader_closes_the_winner() -> None:
    async def main() -> None:
        stage = Stage()
        with pytest.raises(TimeoutError):  # noqa: PT012
            async with asyncio.timeout(2.0), racing(stage.stream("a", "A", 99.0)) as (_, items):
                async for _ in items:
                    pass
        assert stage.log[-1] == (2.0, "a is closed")

    run(main())


def test_an_error_of_the_reader_closes_the_winner_and_is_raised_as_it_is() -> None:
    async def main() -> None:
        stage = Stage()
        with pytest.raises(ZeroDivisionError):
            async with racing(stage.stream("a", "A", "b")):
                raise ZeroDivisionError
        assert stage.said[-1] == "a is closed"

    run(main())
