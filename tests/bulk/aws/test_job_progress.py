"""A job's progress in DynamoDB: counts by shard are exact, and workers see when a job ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fanout.bulk.activity import Activity
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.shard_items import FULL_EXAMPLES, SHORT_MESSAGE
from fanout.bulk.totals import Example, Totals, count_failure

from .clocked_job import ClockedJob, one, usd


def without_calls(total: Totals) -> Totals:
    """The totals of a job whose workers have no calls."""
    total.activity = Activity(0.0)
    return total


def test_counts_of_all_workers_add_up_and_a_resumed_shard_counts_once(
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
            first.settle(0, 0, one())
        second.settle(1, 0, Totals(failed=1, causes={"bad": 1}))
        await first.sync()
        await second.sync()
        assert await second.total() == without_calls(Totals(3, 1, 6, 0, 9, causes={"bad": 1}))
        # The first worker is killed; two of its three results were stored.
        third = clocked.progress()
        assert await third.completed_totals(0) is None
        third.begin_shard(0, Totals(done=2, tokens_in=4, tokens_out=6))
        third.settle(0, 0, one())
        third.complete_shard(0)
        await third.sync()
        assert await third.total() == without_calls(Totals(3, 1, 6, 0, 9, causes={"bad": 1}))
        assert await clocked.progress().completed_totals(0) == Totals(3, 0, 6, 0, 9)
        assert await clocked.progress().completed_totals(1) is None

    asyncio.run(main())


def test_a_shard_after_the_first_ones_has_one_short_example_of_its_rarest_cause(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        long = "x" * 300
        short = f"{long[: SHORT_MESSAGE - 1]}…"
        every = {"often": [["n0", 0, long], ["n1", 1, long]], "rare": [["n2", 2, long]]}
        rarest = {"rare": [["n2", 2, short]]}
        for shard, expected in ((FULL_EXAMPLES - 1, every), (FULL_EXAMPLES, rarest)):
            progress.begin_shard(shard, Totals())
            for cause, number in (("often", 0), ("often", 1), ("rare", 2)):
                progress.settle(shard, 0, count_failure(cause, f"n{number}", number, long))
            await progress.sync()
            item = await table.item("counts#j", f"shard#{shard:08d}")
            assert item is not None
            stored = json.loads(item["value"]["B"])
            assert stored["causes"] == {"often": 2, "rare": 1}
            assert stored["examples"] == expected

    asyncio.run(main())


def test_examples_of_failures_are_limited_over_all_shards_together(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        for shard in range(5):
            progress = clocked.progress()
            progress.begin_shard(shard, Totals())
            progress.settle(shard, 0, count_failure("bad", f"n{shard}", 10 * shard, "no"))
            await progress.sync()
        kept = [Example("n0", 0, "no"), Example("n1", 10, "no"), Example("n2", 20, "no")]
        total = await clocked.progress().total()
        assert (total.causes, total.examples) == ({"bad": 5}, {"bad": kept})

    asyncio.run(main())


def test_a_finisher_reads_all_shards_with_one_query(table: DynamoTable) -> None:
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


def test_a_late_worker_does_not_undo_a_complete_shard(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        late, quick = clocked.progress(), clocked.progress()
        late.begin_shard(0, Totals())
        quick.begin_shard(0, Totals())
        quick.settle(0, 0, one())
        quick.complete_shard(0)
        await quick.sync()
        late.settle(0, 0, Totals(failed=1))
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
        assert progress.reserve(0) is None
        if status:
            await clocked.set_status(status)
        else:
            await table.delete("batch", "j")
        assert progress.reserve(0) is None
        await progress.sync()
        assert progress.reserve(0) == "cancelled"

    asyncio.run(main())


def test_an_expired_job_starts_no_more_lines(table: DynamoTable) -> None:
    clocked = ClockedJob(table)
    progress = clocked.progress()
    clocked.time = 8_999.0
    assert progress.reserve(0) is None
    clocked.time = 9_000.0
    assert progress.reserve(0) == "expired"


def test_a_job_that_is_planned_again_has_no_counts(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        for shard in range(60):
            progress.begin_shard(shard, one(0.001))
        await progress.sync()
        await progress.clear()
        assert await progress.total() == without_calls(Totals())
        assert [item async for item in table.items("counts#j")] == []
        assert await table.get("batch", "j") is not None

    asyncio.run(main())


def test_counts_that_could_not_be_written_are_written_by_the_next_sync(
    table: DynamoTable,
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("gone")

    async def main() -> None:
        clocked = ClockedJob(table, 1.0)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        progress.begin_shard(0, Totals())
        progress.settle(0, 0, one(0.25))
        events = table.client.meta.events
        for name in ("UpdateItem", "PutItem"):
            events.register(f"before-call.dynamodb.{name}", refuse, unique_id=name)
            with pytest.raises(ConnectionError):
                await progress.sync()
            events.unregister(f"before-call.dynamodb.{name}", unique_id=name)
        await progress.sync()
        assert (await progress.total()).cost == usd(0.25)
        assert (await clocked.account())[0] == 250_000_000

    asyncio.run(main())


@pytest.mark.parametrize("all_shards", [False, True])
def test_only_the_finisher_reads_the_totals_consistently_which_costs_twice_as_much(
    table: DynamoTable, *, all_shards: bool
) -> None:
    found: list[bool] = []
    query = table.client.query

    def note(**arguments: Any) -> Any:
        found.append(arguments["ConsistentRead"])
        return query(**arguments)

    table.client.query = note
    asyncio.run(ClockedJob(table).progress(all_shards=all_shards).total())
    assert found == [all_shards]
