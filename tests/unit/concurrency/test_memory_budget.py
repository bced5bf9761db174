from __future__ import annotations

import asyncio

import pytest

from fanout.concurrency import MemoryBudget
from tests.support.virtual_clock import now, run

MB = 1_000_000


async def hold(
    room: MemoryBudget, size: int, seconds: float = 1.0, shrink: int | None = None
) -> float:
    """Hold room for a while; when it was had."""
    async with room.holding(size) as held:
        had = now()
        if shrink is not None:
            held.shrink(shrink)
        await asyncio.sleep(seconds)
    return had


def test_who_does_not_fit_waits_and_each_in_turn() -> None:
    async def main() -> None:
        room = MemoryBudget(10 * MB)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(room, size * MB)) for size in (6, 5, 4, 1)]
        assert [task.result() for task in tasks] == [0.0, 1.0, 1.0, 1.0]
        assert room.free == 10 * MB

    run(main())


def test_what_is_small_waits_for_nobody() -> None:
    async def main() -> None:
        room = MemoryBudget(10 * MB)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(room, 10 * MB))
            group.create_task(hold(room, 10 * MB))
            small = group.create_task(hold(room, 1000))
        assert small.result() == 0.0

    run(main())


def test_what_is_larger_than_all_has_it_to_itself() -> None:
    async def main() -> None:
        room = MemoryBudget(MB)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(room, 5 * MB)) for _ in range(2)]
        assert [task.result() for task in tasks] == [0.0, 1.0]
        assert room.free == MB

    run(main())


def test_what_is_not_needed_after_all_is_anothers_at_once() -> None:
    async def main() -> None:
        room = MemoryBudget(10 * MB)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(room, 9 * MB, shrink=MB)) for _ in range(2)]
        assert [task.result() for task in tasks] == [0.0, 0.0]
        assert room.free == 10 * MB

    run(main())


@pytest.mark.parametrize("after", [0.5, 1.0])
def test_who_leaves_while_waiting_holds_nothing(after: float) -> None:
    async def main() -> None:
        room = MemoryBudget(10 * MB)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(room, 8 * MB))
            await asyncio.sleep(0)
            gone = group.create_task(hold(room, 9 * MB))
            heir = group.create_task(hold(room, 2 * MB))
            await asyncio.sleep(after)
            gone.cancel()
        assert heir.result() == after
        assert room.free == 10 * MB

    run(main())
