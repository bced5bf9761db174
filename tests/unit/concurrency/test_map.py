from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fanout.concurrency import Failure, Outcome, Success, map_all, map_each
from tests.support.virtual_clock import now, run


class Work:
    """An item is the seconds that it takes; a negative one fails after as many."""

    def __init__(self) -> None:
        self.items_read = self.running = self.peak = self.cancelled = 0

    async def __call__(self, seconds: float) -> str:
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(abs(seconds))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if seconds < 0:
            raise ValueError(seconds)
        return f"{seconds:g}"

    def items(self, *seconds: float, then: Exception | None = None) -> Iterator[float]:
        for item in seconds:
            self.items_read += 1
            yield item
        if then is not None:
            raise then


def value_or_error(outcome: Outcome[str]) -> Any:
    return outcome.value if isinstance(outcome, Success) else outcome.error.args[0]


# ---- map_all ----


def test_outcomes_failures_included_are_in_the_order_of_the_items() -> None:
    async def main() -> None:
        outcomes = await map_all(Work(), [3, -1, 2], limit=9)
        assert [value_or_error(outcome) for outcome in outcomes] == ["3", -1, "2"]
        assert isinstance(outcomes[1], Failure)
        assert now() == 3.0

    run(main())


@pytest.mark.parametrize(("limit", "seconds"), [(1, 6.0), (2, 3.0), (4, 2.0), (400, 1.0)])
def test_at_most_limit_calls_are_in_flight(limit: int, seconds: float) -> None:
    async def main() -> None:
        work = Work()
        assert len(await map_all(work, [1.0] * 6, limit=limit)) == 6
        assert work.peak == min(limit, 6)
        assert now() == seconds

    run(main())


def test_an_item_is_read_only_when_its_call_may_start() -> None:
    async def main() -> None:
        work = Work()
        seen: list[tuple[int, int]] = []

        async def call(seconds: float) -> str:
            seen.append((work.items_read, work.running))
            return await work(seconds)

        await map_all(call, work.items(*[1.0] * 5), limit=2)
        assert [count for count, _ in seen] == [2, 2, 3, 4, 5]

    run(main())


def test_an_endless_source_is_read_no_further_than_the_calls_go() -> None:
    async def main() -> None:
        work = Work()

        def endless() -> Iterator[float]:
            while True:
                work.items_read += 1
                yield 1.0

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.5):
                await map_all(work, endless(), limit=3)
        assert work.items_read == 33
        assert (work.cancelled, work.running) == (3, 0)

    run(main())


def test_items_may_come_slowly_and_calls_begin_as_they_come() -> None:
    async def main() -> None:
        work = Work()

        async def slowly() -> AsyncIterator[float]:
            for _ in range(5):
                await asyncio.sleep(1.0)
                yield 2.5

        outcomes = await map_all(work, slowly(), limit=2)
        assert [value_or_error(outcome) for outcome in outcomes] == ["2.5"] * 5
        # read at 1, 2; slots free at 3.5 and 4.5, where each waits a second for its item
        assert (now(), work.peak) == (10.5, 2)
        async with map_each(work, slowly(), limit=9) as each:
            seen = [index async for index, _ in each]
        assert seen == [0, 1, 2, 3, 4]

    run(main())


def test_no_items_give_no_outcomes() -> None:
    assert run(map_all(Work(), [], limit=4)) == []


def test_a_source_that_fails_ends_the_calls_and_is_raised_as_it_is() -> None:
    async def main() -> None:
        work = Work()
        source = work.items(1.0, 9.0, then=ZeroDivisionError("the source"))
        with pytest.raises(ZeroDivisionError, match="the source"):
            await map_all(work, source, limit=2)
        assert (now(), work.cancelled, work.running) == (1.0, 1, 0)

    run(main())


def test_a_source_that_fails_at_its_first_item_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        run(map_all(Work(), Work().items(then=ZeroDivisionError()), limit=2))


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_under_one_would_lose_the_items_and_is_an_error(limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        run(map_all(Work(), [1.0], limit=limit))


# ---- map_each ----


def test_outcomes_come_as_they_are_completed_each_with_its_index() -> None:
    async def main() -> None:
        async with map_each(Work(), [3.0, -1.0, 2.0], limit=9) as outcomes:
            seen = [(index, value_or_error(outcome), now()) async for index, outcome in outcomes]
        assert seen == [(1, -1.0, 1.0), (2, "2", 2.0), (0, "3", 3.0)]

    run(main())


def test_each_is_bounded_and_complete() -> None:
    async def main() -> None:
        work = Work()
        async with map_each(work, [1.0] * 100, limit=4) as outcomes:
            seen = {index async for index, _ in outcomes}
        assert seen == set(range(100))
        assert (work.peak, now()) == (4, 25.0)

    run(main())


def test_leaving_early_cancels_the_calls_and_reads_no_more() -> None:
    async def main() -> None:
        work = Work()
        async with map_each(work, work.items(*[1.0] * 10_000), limit=4) as outcomes:
            async for _ in outcomes:
                break
        assert work.running == 0
        assert work.items_read < 10

    run(main())


def test_a_reader_that_stops_reading_holds_the_source_back() -> None:
    async def main() -> None:
        work = Work()
        async with map_each(work, work.items(*[1.0] * 10_000), limit=4) as outcomes:
            await anext(outcomes)
            await asyncio.sleep(3600)
            assert work.items_read < 20

    run(main())


def test_an_error_of_the_reader_cancels_the_calls_and_is_raised_as_it_is() -> None:
    async def main() -> None:
        work = Work()
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with map_each(work, [1.0, 9.0], limit=4) as outcomes:
                async for _ in outcomes:
                    raise ZeroDivisionError
        assert (work.cancelled, now()) == (1, 1.0)

    run(main())


def test_a_group_of_errors_of_the_reader_stays_a_group() -> None:
    async def main() -> None:
        with pytest.raises(ExceptionGroup, match="the reader's"):
            async with map_each(Work(), [1.0], limit=4):
                raise ExceptionGroup("the reader's", [ZeroDivisionError()])

    run(main())


def test_a_failing_source_reaches_the_reader_as_it_is() -> None:
    async def main() -> None:
        work = Work()
        source = work.items(1.0, 9.0, then=ZeroDivisionError("the source"))
        with pytest.raises(ZeroDivisionError, match="the source"):  # noqa: PT012
            async with map_each(work, source, limit=2) as outcomes:
                async for _ in outcomes:
                    pass
        assert (now(), work.cancelled, work.running) == (1.0, 1, 0)

    run(main())


def test_each_of_nothing_is_nothing() -> None:
    async def main() -> None:
        async with map_each(Work(), [], limit=4) as outcomes:
            assert [outcome async for outcome in outcomes] == []

    run(main())


def test_each_with_a_limit_under_one_is_an_error() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="limit"):
            async with map_each(Work(), [1.0], limit=0):
                pytest.fail("it may not begin")

    run(main())
