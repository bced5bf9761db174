"""The calls of a job's workers: told by each, summed for whoever looks, and cheap to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from fanout.bulk.aws.call_counts import FRESH
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_progress import DynamoJobProgress
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.totals import CallCounts
from tests.bulk.local_jobs import PATIENCE, EchoProvider, jsonl, line

from .test_ledger import Desk
from .test_machine import NAMES, cloud


async def told(ledger: DynamoJobProgress) -> tuple[int | None, int | None]:
    total = await ledger.total()
    return total.in_flight, total.refused


@pytest.fixture
def writes(table: DynamoTable) -> list[str]:
    """The writes that DynamoDB is asked for, in order."""
    names: list[str] = []
    for name in ("PutItem", "DeleteItem"):
        table.client.meta.events.register(
            f"before-call.dynamodb.{name}", lambda model, **_: names.append(model.name)
        )
    return names


def test_the_calls_of_all_workers_are_summed_as_each_told_them_last(table: DynamoTable) -> None:
    async def main() -> None:
        desk = Desk(table)
        await desk.job("in_progress")
        one, two = CallCounts(3, 1), CallCounts(40, 0)
        first, second = desk.ledger(meter=one), desk.ledger(meter=two)
        await first.sync()
        await second.sync()
        assert await told(desk.ledger()) == (43, 1)
        two.in_flight, two.refused = 35, 6
        assert await told(desk.ledger()) == (43, 1)
        await second.sync()
        assert await told(desk.ledger()) == (38, 7)
        one.in_flight = two.in_flight = 0
        await first.sync()
        await second.sync()
        assert await told(desk.ledger()) == (0, 7)

    asyncio.run(main())


def test_of_a_worker_that_was_killed_the_refusals_count_and_the_calls_in_flight_do_not(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        desk = Desk(table)
        await desk.job("in_progress")
        await desk.ledger(meter=CallCounts(5, 2)).sync()
        alive = desk.ledger(meter=CallCounts(7, 1))
        await alive.sync()
        desk.time += FRESH - 0.5
        assert await told(desk.ledger()) == (12, 3)
        await alive.sync()
        desk.time += 0.5
        assert await told(desk.ledger()) == (7, 3)
        await desk.ledger().forget()
        assert await told(desk.ledger()) == (0, 0)

    asyncio.run(main())


def test_calls_are_written_where_they_changed_or_would_be_forgotten(
    table: DynamoTable, writes: list[str]
) -> None:
    async def main() -> None:
        desk = Desk(table)
        await desk.job("in_progress")
        writes.clear()
        meter = CallCounts()
        ledger = desk.ledger(meter=meter)

        async def written(seconds: int) -> list[str]:
            writes.clear()
            for _ in range(seconds):
                await ledger.sync()
                desk.time += 1.0
            return list(writes)

        assert await written(60) == []
        meter.in_flight = 9
        assert await written(1) == ["PutItem"]
        assert await written(60) == ["PutItem"] * 12  # every five seconds, to be believed
        assert await told(desk.ledger()) == (9, 0)
        meter.in_flight = 0
        assert await written(60) == ["DeleteItem"]
        meter.refused = 1
        assert await written(60) == ["PutItem"]
        assert await told(desk.ledger()) == (0, 1)

    asyncio.run(main())


def test_a_running_job_tells_its_workers_calls_refusals_and_examples_of_failures(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    provider, refused = EchoProvider(), set[str]()
    held = asyncio.Event()

    async def before(_: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        if text == NAMES[25]:
            return 400, {}
        if text in {NAMES[0], NAMES[30]} and text not in refused:
            refused.add(text)
            return 429, {"retry-after": "0"}
        await held.wait()
        return None

    provider.before = before

    async def main() -> None:
        async with cloud(blobs, table, [], provider) as at:
            job = await at.create(jsonl(line(name) for name in NAMES[:40]))
            shards = await at.shards((await at.machine.plan(job.id)).manifest)
            assert len(shards) == 2

            async def fanout() -> Mapping[str, Any]:
                now = await at.job(job)
                shown: Mapping[str, Any] = now.to_dict(await at.bulk.jobs.totals(now))["fanout"]
                return shown

            async def shown() -> tuple[int, int]:
                seen = await fanout()
                return seen["in_flight"], seen["refused"]

            assert await shown() == (0, 0)
            async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
                for shard in shards:
                    group.create_task(at.work(job, shard))
                while await shown() != (39, 2):  # noqa: ASYNC110 -- it is told once a second
                    await asyncio.sleep(0.05)
                example = {"custom_id": NAMES[25], "line": 26, "message": "`a`: status 400"}
                assert (await fanout())["examples"] == {"Rejected": [example]}
                held.set()
            assert await shown() == (0, 2)
            assert (await at.machine.finish(job.id)).status == "completed"
            assert (await fanout())["examples"] == {"Rejected": [example]}

    asyncio.run(main())
