from __future__ import annotations

import asyncio

import pytest

from fanout.concurrency import MemoryBudget
from tests.support.virtual_clock import now, run

MB = 1_000_000


async def hold(
    budget: MemoryBudget, size: int, seconds: float = 1.0, shrink: int | None = None
) -> float:
    """Hold budget for a while; when it was granted_at."""
    async with budget.reserve(size) as held:
        granted_at = now()
        if shrink is not None:
            held.shrink(shrink)
        await asyncio.sleep(seconds)
    return granted_at


def test_what_does_not_fit_waits_in_order() -> None:
    async def main() -> None:
        budget = MemoryBudget(10 * MB)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(budget, size * MB)) for size in (6, 5, 4, 1)]
        assert [task.result() for task in tasks] == [0.0, 1.0, 1.0, 1.0]
        assert budget.free == 10 * MB

    run(main())


def test_a_small_reservation_never_waits() -> None:
    async def main() -> None:
        budget = MemoryBudget(10 * MB)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(budget, 10 * MB))
            group.create_task(hold(budget, 10 * MB))
            small = group.create_task(hold(budget, 1000))
        assert small.result() == 0.0

    run(main())


def test_what_is_larger_than_the_budget_waits_for_all_of_it() -> None:
    async def main() -> None:
        budget = MemoryBudget(MB)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(budget, 5 * MB)) for _ in range(2)]
        assert [task.result() for task in tasks] == [0.0, 1.0]
        assert budget.free == MB

    run(main())


def test_bytes_given_back_early_are_free_at_once() -> None:
    async def main() -> None:
        budget = MemoryBudget(10 * MB)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(budget, 9 * MB, shrink=MB)) for _ in range(2)]
        assert [task.result() for task in tasks] == [0.0, 0.0]
        assert budget.free == 10 * MB

    run(main())


@pytest.mark.parametrize("after", [0.5, 1.0])
def test_a_cancelled_waiter_holds_nothing(after: float) -> None:
    async def main() -> None:
        budget = MemoryBudget(10 * MB)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(budget, 8 * MB))
            await asyncio.sleep(0)
            cancelled = group.create_task(hold(budget, 9 * MB))
            next_one = group.create_task(hold(budget, 2 * MB))
            await asyncio.sleep(after)
            cancelled.cancel()
        assert next_one.result() == after
        assert budget.free == 10 * MB

    run(main())
