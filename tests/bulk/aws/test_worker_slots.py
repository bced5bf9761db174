"""Slots for workers: all jobs of a stack together use at most half of an account's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.worker_slots import (
    FIRST_WAIT,
    LONGEST_WAIT,
    MARGIN,
    MARK_MARGIN,
    SlotRequest,
    WorkerLimits,
    WorkerSlots,
    divide,
    read_account_limit,
)

SECONDS = 890.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Workers:
    """Workers that hold their slots until they end."""

    def __init__(self, slots: WorkerSlots, limit: int) -> None:
        self._slots = slots
        self._limit = limit
        self._stacks: dict[str, list[AsyncExitStack]] = {}
        self._waiting: dict[str, dict[int, int]] = {}
        self._shards = itertools.count()

    async def start(self, *jobs: str) -> list[bool]:
        """Start a worker of each job, one after the other; whether each had a slot."""
        return [await self._start(job) for job in jobs]

    async def _start(self, job: str) -> bool:
        """A job's shards that wait come first; else another one begins."""
        waiting = self._waiting.setdefault(job, {})
        shard = next(iter(waiting), next(self._shards))
        waits = waiting.pop(shard, 0)
        stack = AsyncExitStack()
        slot = self._slots.slot(SlotRequest(job, shard, waits), self._limit, SECONDS)
        if await stack.enter_async_context(slot):
            waiting[shard] = waits + 1
            return False
        self._stacks.setdefault(job, []).append(stack)
        return True

    async def end(self, job: str) -> None:
        """End one worker of a job."""
        await self._stacks[job].pop().aclose()

    def kill(self, job: str) -> None:
        """Forget a worker: it does not return its slot."""
        self._stacks[job].pop()

    def held(self, *jobs: str) -> list[int]:
        return [len(self._stacks.get(job, ())) for job in jobs]


@pytest.mark.parametrize(
    ("wanted", "account", "limits"),
    [
        (20, 10, WorkerLimits(5, 5)),
        (20, 1_000, WorkerLimits(20, 500)),
        (1_000, 1_000, WorkerLimits(500, 500)),
        (20, 1, WorkerLimits(1, 1)),
        (20, None, WorkerLimits(20, 0)),
    ],
)
def test_a_job_gets_its_workers_but_at_most_half_of_the_accounts_concurrency(
    wanted: int, account: int | None, limits: WorkerLimits
) -> None:
    assert divide(wanted, account) == limits


@pytest.mark.parametrize(("jobs", "workers"), [(1, 5), (2, 2), (3, 1), (9, 1)])
def test_a_job_that_starts_beside_others_gets_fewer_workers(jobs: int, workers: int) -> None:
    assert divide(20, 10, jobs) == WorkerLimits(workers, 5)


def test_the_limit_is_what_no_function_of_the_account_has_reserved() -> None:
    class Lambda:
        def get_account_settings(self) -> dict[str, Any]:
            limits = {"ConcurrentExecutions": 1_000, "UnreservedConcurrentExecutions": 900}
            return {"AccountLimit": limits}

    assert asyncio.run(read_account_limit(Lambda())) == 900


@pytest.mark.parametrize("jobs", [["a"] * 12, ["a", "b", "c"] * 4])
def test_no_more_workers_run_than_there_are_slots_whichever_jobs_they_belong_to(
    table: DynamoTable, jobs: Sequence[str]
) -> None:
    async def main() -> None:
        workers = Workers(WorkerSlots(table, Clock()), 5)
        assert (await workers.start(*jobs)).count(True) == 5
        assert sum(workers.held("a", "b", "c")) == 5
        await workers.end("a")
        assert (await workers.start("a", "a")).count(True) == 1

    asyncio.run(main())


def test_workers_that_start_at_the_same_moment_do_not_take_the_same_slot(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        workers = Workers(WorkerSlots(table, Clock()), 5)
        for _ in range(4):
            async with asyncio.TaskGroup() as group:
                for _ in range(6):
                    group.create_task(workers.start("a"))
            (held,) = workers.held("a")
            assert 1 <= held <= 5
            for _ in range(held):
                await workers.end("a")

    asyncio.run(main())


def test_a_job_that_comes_later_gets_its_share_when_workers_of_the_first_end(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        workers = Workers(WorkerSlots(table, Clock()), 6)
        await workers.start(*["a"] * 6)
        for _ in range(3):
            assert await workers.start("b") == [False]  # it waits
            await workers.end("a")
            assert await workers.start("a") == [False]
            assert await workers.start("b") == [True]
        assert workers.held("a", "b") == [3, 3]
        assert await workers.start("b") == [False]  # it has its share
        await workers.end("a")
        assert await workers.start("a") == [True]

    asyncio.run(main())


def test_a_slot_is_kept_for_each_shard_that_waits_and_no_more(table: DynamoTable) -> None:
    """A shard that has got its slot does not wait any longer."""

    async def main() -> None:
        workers = Workers(WorkerSlots(table, Clock()), 6)
        await workers.start(*["a"] * 6)
        assert await workers.start("b") == [False]
        await workers.end("a")
        await workers.end("a")
        assert await workers.start("a", "a", "b") == [True, False, True]
        await workers.end("a")
        assert await workers.start("a") == [True]

    asyncio.run(main())


def test_a_job_alone_uses_all_slots_again_once_another_no_longer_waits(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        clock = Clock()
        workers = Workers(WorkerSlots(table, clock), 2)
        await workers.start("a", "a")
        assert await workers.start("b") == [False]
        await workers.end("a")
        assert await workers.start("a") == [False]
        clock.now += 1.5 * FIRST_WAIT + MARK_MARGIN + 1
        assert await workers.start("a") == [True]

    asyncio.run(main())


def test_a_shard_asks_ever_later_so_that_a_day_of_waiting_costs_two_cents(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        slots = WorkerSlots(table, Clock())
        async with slots.slot(SlotRequest("a", 0), 1, SECONDS):
            passed, waits = 0, 0
            while passed < 24 * 3600:
                request = SlotRequest("b", 1, waits)
                async with slots.slot(request, 1, SECONDS) as wait:
                    mean = min(FIRST_WAIT * 2**waits, LONGEST_WAIT)
                    assert 0.5 * mean <= wait <= 1.5 * mean
                    passed += wait
                    waits += 1
        assert waits < 400

    asyncio.run(main())


def test_a_shard_counts_as_waiting_until_it_asks_again_however_late(table: DynamoTable) -> None:
    async def main() -> None:
        clock = Clock()
        slots = WorkerSlots(table, clock)
        async with slots.slot(SlotRequest("a", 0), 2, SECONDS):
            async with (
                slots.slot(SlotRequest("a", 1), 2, SECONDS),
                slots.slot(SlotRequest("b", 0, 9), 2, SECONDS) as later,
            ):
                pass
            clock.now += later
            async with slots.slot(SlotRequest("a", 2), 2, SECONDS) as wait:
                assert wait

    asyncio.run(main())


def test_a_job_shares_with_those_that_run_or_wait_and_those_that_are_starting(
    table: DynamoTable,
) -> None:
    """Others are over, stopped, or wait for a provider: none of these has workers."""

    async def main() -> None:
        clock = Clock()
        slots = WorkerSlots(table, clock)
        workers = Workers(slots, 5)
        assert await slots.limits(20, 10, {"a"}) == WorkerLimits(5, 5)
        assert await slots.limits(20, 10, {"a", "b"}) == WorkerLimits(2, 5)
        await workers.start(*["b"] * 5, "c")
        assert await slots.limits(20, 10, {"a"}) == WorkerLimits(1, 5)
        clock.now += 1.5 * FIRST_WAIT + MARK_MARGIN + 1  # `c` is stopped
        assert await slots.limits(20, 10, {"a"}) == WorkerLimits(2, 5)
        for _ in range(5):
            await workers.end("b")
        assert await slots.limits(20, 10, {"a"}) == WorkerLimits(5, 5)
        assert await slots.limits(20, None, {"a", "b"}) == WorkerLimits(20)

    asyncio.run(main())


def test_the_slot_of_a_killed_worker_is_free_when_its_time_is_over(table: DynamoTable) -> None:
    async def main() -> None:
        clock = Clock()
        workers = Workers(WorkerSlots(table, clock), 1)
        assert await workers.start("a") == [True]
        workers.kill("a")
        assert await workers.start("a") == [False]
        clock.now += SECONDS + MARGIN + 1
        assert await workers.start("a", "a") == [True, False]

    asyncio.run(main())


def test_a_worker_that_ran_too_long_does_not_return_anothers_slot(table: DynamoTable) -> None:
    async def main() -> None:
        clock = Clock()
        workers, others = (Workers(WorkerSlots(table, clock), 1) for _ in range(2))
        await workers.start("a")
        clock.now += SECONDS + MARGIN + 1
        assert await others.start("b") == [True]
        await workers.end("a")
        assert await others.start("c") == [False]

    asyncio.run(main())


def test_without_a_known_limit_every_worker_runs(table: DynamoTable) -> None:
    async def main() -> None:
        workers = Workers(WorkerSlots(table, Clock()), 0)
        assert (await workers.start(*["a"] * 30)).count(True) == 30

    asyncio.run(main())
