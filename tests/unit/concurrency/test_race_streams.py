from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from fanout.concurrency import Cancelled, Failure, Opener, race_streams
from tests.support.virtual_clock import now, run
from tests.unit.concurrency.scripted_calls import ScriptedCalls


class Empty(Exception):
    """The stream at this index granted_at no item that qualifies."""


def is_upper(item: str) -> bool:
    """What qualifies in these tests: `role` does not, `HELLO` does."""
    return item.isupper()


def racing(
    *openers: Opener[str], stagger: float | None = 0.0
) -> AbstractAsyncContextManager[tuple[Any, AsyncIterator[str]]]:
    return race_streams(openers, stagger=stagger, qualifies=is_upper, empty_error=Empty)


def test_the_first_item_that_qualifies_wins_and_not_the_first_item() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        early = scripted.stream("early", "role", 3.0, "A")
        late = scripted.stream("late", 0.6, "B", "C", "d")
        async with racing(early, late) as (result, items):
            assert (result.winner, now()) == (1, 0.6)
            assert [item async for item in items] == ["B", "C", "d"]

    run(main())


def test_the_items_before_the_one_that_qualifies_are_yielded_too() -> None:
    async def main() -> None:
        stream = ScriptedCalls().stream("a", "role", "x", "A", "b")
        async with racing(stream) as (_, items):
            assert [item async for item in items] == ["role", "x", "A", "b"]

    run(main())


def test_losers_are_closed_before_the_first_item_is_yielded() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        slow = scripted.stream("slow", 9.0, "S", closing=0.25)
        fast = scripted.stream("fast", 1.0, "F")
        async with racing(slow, fast) as (result, _):
            assert scripted.log[-1] == (1.25, "slow is closed")
            assert isinstance(result.outcomes[0], Cancelled)
            assert "fast is closed" not in scripted.events
        assert scripted.events[-1] == "fast is closed"

    run(main())


def test_the_winner_is_read_no_further_than_its_reader_wants() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        async with racing(scripted.stream("a", "A", "b", "c")) as (_, items):
            assert scripted.events == ["a opens", "a says A"]
            assert await anext(items) == "A"
            assert await anext(items) == "b"
        assert scripted.events == ["a opens", "a says A", "a says b", "a is closed"]

    run(main())


def test_a_stream_without_an_item_that_qualifies_has_failed() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        empty, roles = scripted.stream("empty"), scripted.stream("roles", "role", 0.5)
        async with racing(empty, roles, scripted.stream("good", 1.0, "G")) as (result, items):
            assert result.winner == 2
            assert [item async for item in items] == ["G"]
            errors = [
                outcome.error.args for outcome in result.outcomes if isinstance(outcome, Failure)
            ]
            assert errors == [(0,), (1,)]
        assert "empty is closed" in scripted.events

    run(main())


def test_a_stream_that_breaks_before_an_item_that_qualifies_has_failed_and_is_closed() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        broken = scripted.stream("broken", "role", OSError("cut"))
        async with racing(broken, scripted.stream("good", 1.0, "G")) as (result, _):
            assert result.winner == 1
            assert (0.0, "broken is closed") in scripted.log
            outcome = result.outcomes[0]
            assert isinstance(outcome, Failure)
            assert str(outcome.error) == "cut"

    run(main())


def test_a_winner_that_breaks_later_breaks_for_its_reader() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        received = []
        winner, other = (
            scripted.stream("w", "A", OSError("cut")),
            scripted.stream("other", 9.0, "S"),
        )
        with pytest.raises(OSError, match="cut"):  # noqa: PT012
            async with racing(winner, other) as (_, items):
                async for item in items:
                    received.append(item)  # noqa: PERF401 -- what arrived before it broke
        assert received == ["A"]
        assert scripted.events[-1] == "w is closed"

    run(main())


def test_if_no_stream_has_an_item_that_qualifies_none_wins_and_there_are_no_items() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        async with racing(scripted.stream("a", "role"), scripted.stream("b", OSError())) as (
            c,
            items,
        ):
            assert c.winner is None
            assert [type(f.error) for f in c.outcomes if isinstance(f, Failure)] == [
                Empty,
                OSError,
            ]
            assert [item async for item in items] == []

    run(main())


def test_of_two_that_yield_in_the_same_tick_the_second_is_closed() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        twins = [scripted.stream(name, 1.0, name.upper()) for name in "ab"]
        async with racing(*twins) as (result, items):
            assert result.winner == 0
            assert "b is closed" in scripted.events
            assert [item async for item in items] == ["A"]

    run(main())


def test_a_hedge_starts_the_next_when_the_first_only_opens() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        empty, other = scripted.stream("empty", "role", 99.0), scripted.stream("other", 0.1, "S")
        async with racing(empty, other, stagger=0.5) as (result, _):
            assert (result.winner, now()) == (1, 0.6)

    run(main())


def test_a_fallback_opens_the_next_only_when_one_has_failed() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        bad, good = scripted.stream("bad", 7.0, OSError()), scripted.stream("good", "G")
        never = scripted.stream("never", "N")
        async with racing(bad, good, never, stagger=None) as (result, _):
            assert result.winner == 1
            assert (7.0, "good opens") in scripted.log
        assert "never opens" not in scripted.events

    run(main())


def test_cancelling_an_undecided_race_closes_every_stream() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        openers = [scripted.stream(name, "role", 99.0) for name in "ab"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0), racing(*openers):
                pytest.fail("no stream has won")
        assert sorted(scripted.log[-2:]) == [(1.0, "a is closed"), (1.0, "b is closed")]

    run(main())


def test_cancelling_a_race_while_losers_are_closing_closes_the_winner_too() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        slow = scripted.stream("slow", 99.0, closing=1.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5), racing(slow, scripted.stream("fast", 1.0, "F")):
                pytest.fail("the losers are not closed yet")
        assert {"slow is closed", "fast is closed"} <= set(scripted.events)

    run(main())


def test_cancelling_the_reader_closes_the_winner() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        with pytest.raises(TimeoutError):  # noqa: PT012
            async with asyncio.timeout(2.0), racing(scripted.stream("a", "A", 99.0)) as (_, items):
                async for _ in items:
                    pass
        assert scripted.log[-1] == (2.0, "a is closed")

    run(main())


def test_an_error_of_the_reader_closes_the_winner_and_is_raised_as_it_is() -> None:
    async def main() -> None:
        scripted = ScriptedCalls()
        with pytest.raises(ZeroDivisionError):
            async with racing(scripted.stream("a", "A", "b")):
                raise ZeroDivisionError
        assert scripted.events[-1] == "a is closed"

    run(main())
