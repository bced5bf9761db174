"""A job's budget that workers lease: the cap holds, and no dollar is lost with a worker."""

from __future__ import annotations

import asyncio

import pytest

from fanout.bulk.aws.budget_account import LEASE_TTL
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_progress import DynamoJobProgress
from fanout.bulk.totals import Totals

from .clocked_job import ClockedJob, one, usd


async def run_lines(
    progress: DynamoJobProgress, shard: int, estimate: float, cost: float
) -> str | None:
    """Start lines until none may start, and settle them all; the reason why none may."""
    started = 0
    while (stop := progress.reserve(usd(estimate))) is None:
        started += 1
    for _ in range(started):
        progress.settle(shard, usd(estimate), one(cost))
    await progress.sync()
    return stop


@pytest.mark.parametrize(("estimate", "cost"), [(0.01, 0.01), (0.01, 0.004), (0.01, 0.013)])
def test_all_workers_together_exceed_the_cap_by_at_most_the_calls_in_flight(
    table: DynamoTable, estimate: float, cost: float
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 0.5)
        await clocked.set_status("in_progress")
        workers = [clocked.progress() for _ in range(3)]
        for shard, progress in enumerate(workers):
            progress.begin_shard(shard, Totals())
        stops: list[str | None] = [None] * 3
        for _ in range(300):
            for shard, progress in enumerate(workers):
                stops[shard] = await run_lines(progress, shard, estimate, cost)
            if set(stops) == {"capped"}:
                break
        assert set(stops) == {"capped"}
        spent = (await workers[0].total()).known_cost_usd
        # The calls in flight when the budget was used up: as many as the estimate let start.
        over = max(0.0, cost - estimate) * 0.5 / estimate / 3 + 3 * cost
        assert 0.5 <= spent + 1e-9 <= 0.5 + over

    asyncio.run(main())


def test_no_worker_starts_a_line_with_dollars_that_another_has_leased(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        first, second = clocked.progress(), clocked.progress()
        assert first.reserve(usd(1.0)) == "wait"
        await first.sync()
        assert first.reserve(usd(1.0)) is None
        assert first.reserve(usd(1.0)) == "wait"  # a second line in flight would exceed the lease
        for _ in range(8):
            await first.sync()
            first.reserve(usd(1.0))
        assert (await clocked.account())[1] == 1_000_000_000
        assert second.reserve(usd(0.5)) == "wait"
        await second.sync()
        assert second.reserve(usd(0.5)) == "wait"

    asyncio.run(main())


def test_a_lease_that_is_not_needed_is_returned(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        progress.begin_shard(0, Totals())
        progress.reserve(usd(0.005))
        await progress.sync()
        assert progress.reserve(usd(0.005)) is None
        assert await clocked.account() == (0, 10_000_000)
        progress.settle(0, usd(0.005), one(0.003))
        await progress.sync()
        assert await clocked.account() == (3_000_000, 3_000_000)

    asyncio.run(main())


def test_a_killed_workers_lease_is_returned_after_its_lifetime(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 0.02)
        await clocked.set_status("in_progress")
        killed, other = clocked.progress(), clocked.progress()
        other.begin_shard(0, Totals())
        while killed.reserve(usd(0.02)) == "wait":
            await killed.sync()
        for _ in range(8):
            assert killed.reserve(usd(0.02)) == "wait"
            await killed.sync()
        assert await clocked.account() == (0, 20_000_000)

        async def tries() -> list[str | None]:
            stops: list[str | None] = []
            for _ in range(6):
                stops.append(other.reserve(usd(0.02)))
                if stops[-1] is None:
                    other.release(usd(0.02))
                await other.sync()
            return stops

        assert set(await tries()) == {"wait"}
        clocked.time += LEASE_TTL + 1
        assert None in await tries()

    asyncio.run(main())


def test_what_a_killed_worker_spent_is_charged_by_the_worker_that_finds_its_results(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        killed, other = clocked.progress(), clocked.progress()
        killed.begin_shard(0, Totals())
        killed.settle(0, usd(0.0), one(0.1))
        await killed.sync()
        killed.settle(0, usd(0.0), one(0.2))  # its result is stored, but not its cost
        assert await other.completed_totals(0) is None
        other.begin_shard(0, Totals(done=2, cost=usd(0.3)))
        await other.sync()
        assert await clocked.account() == (300_000_000, 300_000_000)

    asyncio.run(main())
