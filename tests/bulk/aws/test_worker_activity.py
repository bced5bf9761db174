"""The calls of a job's workers: each writes its own, few times, and a reader gets the sum."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from fanout.bulk.activity import MAX_AGE
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_progress import DynamoJobProgress
from fanout.bulk.aws.s3 import S3BlobStore
from tests.bulk.local_jobs import CONFIG, EchoProvider, jsonl, line
from tests.support.patience import PATIENCE

from .clocked_job import ClockedJob
from .job_stack import NAMES, open_job_stack


async def calls_of(progress: DynamoJobProgress) -> tuple[int | None, int | None]:
    activity = (await progress.total()).activity
    return (activity.in_flight, activity.rate_limited) if activity else (None, None)


@pytest.fixture
def writes(table: DynamoTable) -> list[str]:
    """The names of the writes to DynamoDB, in order."""
    names: list[str] = []
    for name in ("PutItem", "DeleteItem"):
        table.client.meta.events.register(
            f"before-call.dynamodb.{name}", lambda model, **_: names.append(model.name)
        )
    return names


def test_calls_are_the_sum_of_what_each_worker_wrote_last(table: DynamoTable) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        one, two = clocked.tracker(3, 1), clocked.tracker(40, 0)
        first, second = clocked.progress(activity=one), clocked.progress(activity=two)
        await first.sync()
        await second.sync()
        assert await calls_of(clocked.progress()) == (43, 1)
        two.in_flight, two.rate_limited = 35, 6
        assert await calls_of(clocked.progress()) == (43, 1)
        await second.sync()
        assert await calls_of(clocked.progress()) == (38, 7)
        one.in_flight = two.in_flight = 0
        await first.sync()
        await second.sync()
        assert await calls_of(clocked.progress()) == (0, 7)

    asyncio.run(main())


def test_a_killed_workers_429s_count_and_its_calls_in_flight_do_not(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        await clocked.progress(activity=clocked.tracker(5, 2)).sync()
        alive = clocked.progress(activity=clocked.tracker(7, 1))
        await alive.sync()
        clocked.time += MAX_AGE - 0.5
        assert await calls_of(clocked.progress()) == (12, 3)
        await alive.sync()
        clocked.time += 0.5
        assert await calls_of(clocked.progress()) == (7, 3)
        await clocked.progress().clear()
        assert await calls_of(clocked.progress()) == (0, 0)

    asyncio.run(main())


def test_calls_are_written_when_they_have_changed_or_are_getting_old(
    table: DynamoTable, writes: list[str]
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        writes.clear()
        calls = clocked.tracker()
        progress = clocked.progress(activity=calls)

        async def written(seconds: int) -> list[str]:
            writes.clear()
            for _ in range(seconds):
                await progress.sync()
                clocked.time += 1.0
            return list(writes)

        assert await written(60) == []
        calls.in_flight = 9
        assert await written(1) == ["PutItem"]
        assert await written(60) == ["PutItem"] * 12  # every five seconds, so that it counts
        assert await calls_of(clocked.progress()) == (9, 0)
        calls.in_flight = 0
        assert await written(60) == ["DeleteItem"]
        calls.rate_limited = 1
        assert await written(60) == ["PutItem"]
        assert await calls_of(clocked.progress()) == (0, 1)

    asyncio.run(main())


async def until(read: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Workers write about once a second, and totals are read each two seconds."""
    while await read() != wanted:  # noqa: ASYNC110 -- the table has no event
        await asyncio.sleep(0.05)


def test_a_running_job_shows_its_calls_429s_and_examples_of_failures(
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
    config = copy.deepcopy(CONFIG)  # with a known limit, all lines are sent at once
    config["model_list"][0]["litellm_params"]["rpm"] = 60_000

    async def main() -> None:
        async with open_job_stack(blobs, table, [], provider, config) as stack:
            job = await stack.create(jsonl(line(name) for name in NAMES[:40]))
            shards = await stack.shards((await stack.handlers.plan(job.id)).manifest)
            assert len(shards) == 2

            async def fanout() -> Mapping[str, Any]:
                now = await stack.job(job)
                shown: Mapping[str, Any] = now.to_dict(await stack.service.jobs.totals(now))[
                    "fanout"
                ]
                return shown

            async def shown() -> tuple[int, int]:
                seen = await fanout()
                return seen["in_flight"], seen["refused"]

            assert await shown() == (0, 0)
            async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
                for shard in shards:
                    group.create_task(stack.work(job, shard))
                await until(shown, (39, 2))
                while not (await fanout())["examples"]:  # noqa: ASYNC110 -- a write of its own
                    await asyncio.sleep(0.05)
                example = {"custom_id": NAMES[25], "line": 26, "message": "`a`: status 400"}
                assert (await fanout())["examples"] == {"t": [example]}
                held.set()
            await asyncio.wait_for(until(shown, (0, 2)), PATIENCE)
            assert (await stack.handlers.finish(job.id)).status == "completed"
            assert (await fanout())["examples"] == {"t": [example]}

    asyncio.run(main())
