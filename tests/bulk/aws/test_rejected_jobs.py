"""On AWS, a worker ends a job whose every call is rejected for the same reason."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.work.rejections import REJECTED_LINES
from fanout.bulk.work.spec import WorkResult
from tests.bulk.local_jobs import SYNC_INTERVAL, EchoProvider, jsonl, line

from .clocked_job import ClockedJob
from .job_stack import NAMES, open_job_stack


def test_the_other_workers_send_nothing_and_a_retry_goes_on(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    provider = EchoProvider()

    async def refuse(_model: str, _text: str) -> tuple[int, Mapping[str, str]] | None:
        return 401, {}

    async def main() -> None:
        async with open_job_stack(blobs, table, provider=provider) as stack:
            job = await stack.create(jsonl(line(name) for name in NAMES))
            first, *others = await stack.shards((await stack.handlers.plan(job.id)).manifest)
            assert (await stack.work(job, first)).done == first.lines
            provider.before = refuse
            worked = [await stack.work(job, shard) for shard in others]
            second, third = others
            assert worked == [
                WorkResult(0, second.lines, 0, "refused"),
                WorkResult(0, 0, third.lines, "refused"),
            ]
            assert provider.calls.total() == first.lines + REJECTED_LINES
            assert (await stack.handlers.finish(job.id)).status == "failed"
            job = await stack.job(job)
            assert [error.code for error in job.errors] == ["provider_key_refused"]
            assert "retry the job when this is solved" in job.errors[0].message
            shown = job.to_dict(await stack.service.jobs.totals(job))
            counts = {"total": 60, "completed": first.lines, "failed": 60 - first.lines}
            assert (shown["status"], shown["request_counts"]) == ("failed", counts)
            assert shown["fanout"]["causes"] == {"provider_key_refused": 20, "batch_failed": 20}

            provider.before = None
            provider.calls.clear()
            retry = await stack.service.jobs.retry(job.id, "master")
            for shard in await stack.shards((await stack.handlers.plan(retry.id)).manifest):
                assert (await stack.work(retry, shard)).remaining == 0
            assert (await stack.handlers.finish(retry.id)).status == "completed"
            responses = await stack.content((await stack.job(retry)).output_file_id)
            assert (set(responses), provider.calls.total()) == (set(NAMES), 60 - first.lines)

    asyncio.run(main())


def test_a_worker_that_is_running_ends_when_another_one_ends_the_job(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    provider = EchoProvider()
    first_names = set(NAMES[:20])
    is_running, is_refused = asyncio.Event(), asyncio.Event()

    async def respond(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        if text in first_names:
            return 401, {}
        is_running.set()
        await is_refused.wait()
        await asyncio.sleep(5 * SYNC_INTERVAL)
        return None

    async def main() -> None:
        provider.before = respond
        async with open_job_stack(blobs, table, provider=provider, max_concurrency=1) as stack:
            job = await stack.create(jsonl(map(line, NAMES)))
            first, second, _ = await stack.shards((await stack.handlers.plan(job.id)).manifest)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(stack.work(job, second))
                await is_running.wait()
                assert (await stack.work(job, first)).stop == "refused"
                is_refused.set()
            worked = running.result()
            assert worked.stop == "refused"
            assert worked.done + worked.remaining == second.lines
            assert worked.done < second.lines / 2, "it did not end with one of its next syncs"
            assert (await stack.handlers.finish(job.id)).status == "failed"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "reason", "stop"),
    [
        ("in_progress", None, None),
        ("in_progress", "refused", "refused"),
        ("in_progress", "expired", "cancelled"),
        ("in_progress", "failed", "cancelled"),
        ("cancelling", "capped", "cancelled"),
        ("cancelling", None, "cancelled"),
        ("finalizing", "refused", "refused"),
        ("finalizing", None, "cancelled"),
        ("failed", "failed", "cancelled"),
        ("completed", None, "cancelled"),
    ],
)
def test_a_worker_reads_the_end_of_its_job_when_it_syncs(
    table: DynamoTable, status: str, reason: str | None, stop: str | None
) -> None:
    async def main() -> None:
        clocked = ClockedJob(table)
        await clocked.set_status("in_progress")
        progress = clocked.progress()
        await progress.sync()
        assert progress.reserve(0) is None
        await clocked.set_status(status, reason)
        await progress.sync()
        assert progress.reserve(0) == stop

    asyncio.run(main())
