"""What the workers of one job share: exact counts by shard, a cap that holds, an end heard."""

from __future__ import annotations

import asyncio
import json

import pytest

from fanout.bulk.aws.budget_lease import LEASE_TTL
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_progress import FULL_EXAMPLES, DynamoJobProgress
from fanout.bulk.totals import CallCounts, Example, Totals, count_failure

from .clocked_job import ClockedJob


def one(cost: float = 0.0) -> Totals:
    return Totals(done=1, tokens_in=2, tokens_out=3, cost=cost)


def quiet(total: Totals) -> Totals:
    """The sum of a job whose workers have no calls to tell of."""
    total.set_calls(CallCounts())
    return total


def test_counts_of_all_workers_add_up_and_a_shard_that_is_taken_up_again_counts_once(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        first, second = clocked.progress(), clocked.progress()
        assert await first.completed_totals(0) is None
        first.begin_shard(0, Totals())
        second.begin_shard(1, Totals())
        for _ in range(3):
            first.settle(0, 0.0, one())
        second.settle(1, 0.0, Totals(failed=1, causes={"bad": 1}))
        await first.sync()
        await second.sync()
        assert await second.total() == quiet(Totals(3, 1, 6, 0, 9, causes={"bad": 1}))
        # The first dies; two of its three lines had reached the shelf.
        third = clocked.progress()
        assert await third.completed_totals(0) is None
        third.begin_shard(0, Totals(done=2, tokens_in=4, tokens_out=6))
        third.settle(0, 0.0, one())
        third.complete_shard(0)
        await third.sync()
        assert await third.total() == quiet(Totals(3, 1, 6, 0, 9, causes={"bad": 1}))
        assert await clocked.progress().completed_totals(0) == Totals(3, 0, 6, 0, 9)
        assert await clocked.progress().completed_totals(1) is None

    asyncio.run(main())


def test_a_shard_behind_the_first_ones_tells_one_example_a_cause(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        for shard, expected in ((FULL_EXAMPLES - 1, 3), (FULL_EXAMPLES, 1)):
            progress.begin_shard(shard, Totals())
            for number in range(3):
                progress.settle(shard, 0.0, count_failure("bad", f"n{number}", number, "no"))
            await progress.sync()
            item = await table.item("counts#j", f"shard#{shard:08d}")
            assert item is not None
            assert len(json.loads(item["value"]["B"])["examples"]["bad"]) == expected

    asyncio.run(main())


def test_examples_of_failures_are_those_of_all_shards_together(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        for shard in range(5):
            progress = clocked.progress()
            progress.begin_shard(shard, Totals())
            progress.settle(shard, 0.0, count_failure("bad", f"n{shard}", 10 * shard, "no"))
            await progress.sync()
        kept = [Example("n0", 0, "no"), Example("n1", 10, "no"), Example("n2", 20, "no")]
        total = await clocked.progress().total()
        assert (total.causes, total.examples) == ({"bad": 5}, {"bad": kept})

    asyncio.run(main())


def test_a_finisher_reads_all_shards_at_once(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        for shard in range(30):
            progress.begin_shard(shard, one())
            if shard != 7:
                progress.complete_shard(shard)
        await progress.sync()
        names: list[str] = []
        table.client.meta.events.register(
            "before-call.dynamodb", lambda model, **_: names.append(model.name)
        )
        finisher = clocked.progress(all_shards=True)
        found = [await finisher.completed_totals(shard) for shard in range(31)]
        assert [shard for shard in range(31) if found[shard] is None] == [7, 30]
        assert found[0] == one()
        assert names == ["Query"]

    asyncio.run(main())


def test_a_worker_that_comes_late_does_not_undo_a_complete_shard(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        late, quick = clocked.progress(), clocked.progress()
        late.begin_shard(0, Totals())
        quick.begin_shard(0, Totals())
        quick.settle(0, 0.0, one())
        quick.complete_shard(0)
        await quick.sync()
        late.settle(0, 0.0, Totals(failed=1))
        await late.sync()
        assert await clocked.progress().completed_totals(0) == one()

    asyncio.run(main())


@pytest.mark.parametrize("status", ["cancelling", None])
def test_a_job_that_was_cancelled_or_deleted_starts_no_more_lines(
    table: DynamoTable, status: str | None
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        await progress.sync()
        assert progress.reserve(0.0) is None
        if status:
            await clocked.set_status(status)
        else:
            await table.delete("batch", "j")
        assert progress.reserve(0.0) is None
        await progress.sync()
        assert progress.reserve(0.0) == "cancelled"

    asyncio.run(main())


def test_an_expired_job_starts_no_more_lines(table: DynamoTable) -> None:
    clocked = ClockedJob(table)
    progress = clocked.progress()
    clocked.time = 8_999.0
    assert progress.reserve(0.0) is None
    clocked.time = 9_000.0
    assert progress.reserve(0.0) == "expired"


def test_a_job_that_is_planned_anew_has_no_counts(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        for shard in range(60):
            progress.begin_shard(shard, one(0.001))
        await progress.sync()
        await progress.clear()
        assert await progress.total() == quiet(Totals())
        assert [item async for item in table.items("counts#j")] == []
        assert await table.get("batch", "j") is not None

    asyncio.run(main())


def test_counts_that_dynamodb_did_not_take_are_written_by_the_next_sync(
    table: DynamoTable,
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("gone")

    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        progress.begin_shard(0, Totals())
        progress.settle(0, 0.0, one(0.25))
        events = table.client.meta.events
        for name in ("UpdateItem", "PutItem"):
            events.register(f"before-call.dynamodb.{name}", refuse, unique_id=name)
            with pytest.raises(ConnectionError):
                await progress.sync()
            events.unregister(f"before-call.dynamodb.{name}", unique_id=name)
        await progress.sync()
        assert (await progress.total()).cost == 0.25
        assert (await clocked.account())[0] == 250_000_000

    asyncio.run(main())


async def ask(progress: DynamoJobProgress, shard: int, estimate: float, cost: float) -> str | None:
    """Start lines until none may be, and have them all answered; why none may be."""
    started = 0
    while (stop := progress.reserve(estimate)) is None:
        started += 1
    for _ in range(started):
        progress.settle(shard, estimate, one(cost))
    await progress.sync()
    return stop


@pytest.mark.parametrize(("estimate", "cost"), [(0.01, 0.01), (0.01, 0.004), (0.01, 0.013)])
def test_the_cap_holds_within_what_is_in_flight_for_all_workers_together(
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
                stops[shard] = await ask(progress, shard, estimate, cost)
            if set(stops) == {"capped"}:
                break
        assert set(stops) == {"capped"}
        spent = (await workers[0].total()).cost
        # What was in flight when the last money went: as many lines as the estimate let start.
        over = max(0.0, cost - estimate) * 0.5 / estimate / 3 + 3 * cost
        assert 0.5 <= spent + 1e-9 <= 0.5 + over

    asyncio.run(main())


def test_no_worker_starts_a_line_on_money_that_another_has_leased(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        first, second = clocked.progress(), clocked.progress()
        assert first.reserve(1.0) == "wait"
        await first.sync()
        assert first.reserve(1.0) is None
        assert first.reserve(1.0) == "wait"  # a second line under way would be beyond the lease
        for _ in range(8):
            await first.sync()
            first.reserve(1.0)
        assert (await clocked.account())[1] == 1_000_000_000
        assert second.reserve(0.5) == "wait"
        await second.sync()
        assert second.reserve(0.5) == "wait"

    asyncio.run(main())


def test_a_lease_that_is_not_needed_is_given_back(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        progress.begin_shard(0, Totals())
        progress.reserve(0.005)
        await progress.sync()
        assert progress.reserve(0.005) is None
        assert await clocked.account() == (0, 10_000_000)
        progress.settle(0, 0.005, one(0.003))
        await progress.sync()
        assert await clocked.account() == (3_000_000, 3_000_000)

    asyncio.run(main())


def test_the_lease_of_a_dead_worker_is_free_again_once_it_has_shown_no_life(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 0.02)
        await clocked.set_status("in_progress")
        dead, alive = clocked.progress(), clocked.progress()
        alive.begin_shard(0, Totals())
        while dead.reserve(0.02) == "wait":
            await dead.sync()
        for _ in range(8):
            assert dead.reserve(0.02) == "wait"
            await dead.sync()
        assert await clocked.account() == (0, 20_000_000)

        async def tries() -> list[str | None]:
            said: list[str | None] = []
            for _ in range(6):
                said.append(alive.reserve(0.02))
                if said[-1] is None:
                    alive.release(0.02)
                await alive.sync()
            return said

        assert set(await tries()) == {"wait"}
        clocked.time += LEASE_TTL + 1
        assert None in await tries()

    asyncio.run(main())


def test_money_that_a_dead_worker_spent_is_booked_by_who_finds_the_answers(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        dead, next_ = clocked.progress(), clocked.progress()
        dead.begin_shard(0, Totals())
        dead.settle(0, 0.0, one(0.1))
        await dead.sync()
        dead.settle(0, 0.0, one(0.2))  # stored, and never said
        assert await next_.completed_totals(0) is None
        next_.begin_shard(0, Totals(done=2, cost=0.3))
        await next_.sync()
        assert await clocked.account() == (300_000_000, 300_000_000)

    asyncio.run(main())
