"""Whole jobs over S3 and DynamoDB, step by step, as the state machine runs them."""

from __future__ import annotations

import asyncio

import pytest

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.rate_limit_store import KIND
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.aws.step_handlers import OPTIONS
from fanout.bulk.aws.worker_slots import LONGEST_WAIT
from fanout.bulk.work.spec import WorkResult
from fanout.bulk.work.worker import END_MARGIN
from scripts.aws import job_cost
from tests.bulk.answering_provider import BAD, GOOD, SCHEMA, AnsweringProvider
from tests.bulk.local_jobs import CONFIG, COST, EchoProvider, jsonl, line

from .job_stack import NAMES, open_job_stack


def test_a_job_goes_through_its_steps_and_every_line_gets_one_response(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with open_job_stack(blobs, table, started) as stack:
            job = await stack.create(jsonl(line(name) for name in NAMES))
            assert (job.status, started) == ("validating", [job.id])
            planned = await stack.handlers.plan(job.id)
            assert planned.next == "work"
            shards = await stack.shards(planned.manifest)
            assert [shard.lines for shard in shards] == [20, 20, 20]
            assert (await stack.handlers.finish(job.id)).next == "work"
            for shard in shards:
                assert await stack.work(job, shard) == WorkResult(20, 0, 0, None)
            assert (await stack.service.jobs.totals(await stack.job(job))).done == 60
            finished = await stack.handlers.finish(job.id)
            assert (finished.status, finished.next) == ("completed", "done")
            job = await stack.job(job)
            responses = await stack.content(job.output_file_id)
            assert sorted(responses) == NAMES
            assert set(stack.provider.calls.values()) == {1}
            assert job.error_file_id is None
            assert job.totals is not None
            assert job.totals.done == 60
            assert job.totals.cost_usd == pytest.approx(60 * COST)
            assert await blobs.keys(f"jobs/{job.id}") == []

    asyncio.run(main())


def test_each_step_can_be_repeated(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with open_job_stack(blobs, table, started) as stack:
            job = await stack.create(jsonl(line(name) for name in NAMES[:30]))
            planned = await stack.handlers.plan(job.id)
            assert await stack.handlers.plan(job.id) == planned
            for shard in await stack.shards(planned.manifest) * 2:
                assert (await stack.work(job, shard)).remaining == 0
            assert await stack.handlers.finish(job.id) == await stack.handlers.finish(job.id)
            assert sorted(await stack.content((await stack.job(job)).output_file_id)) == NAMES[:30]
            assert set(stack.provider.calls.values()) == {1}

    asyncio.run(main())


def test_a_shard_whose_worker_failed_is_resumed(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("DynamoDB is not reachable")

    async def main() -> None:
        async with open_job_stack(blobs, table, started) as stack:
            job = await stack.create(jsonl(line(name) for name in NAMES))
            shards = await stack.shards((await stack.handlers.plan(job.id)).manifest)
            table.client.meta.events.register(
                "before-call.dynamodb.PutItem", refuse, unique_id="refuse"
            )
            with pytest.raises(ConnectionError, match="not reachable"):
                await stack.work(job, shards[1])
            table.client.meta.events.unregister("before-call.dynamodb.PutItem", unique_id="refuse")
            for shard in shards:
                assert (await stack.work(job, shard)).remaining == 0
            assert (await stack.handlers.finish(job.id)).status == "completed"
            assert sorted(await stack.content((await stack.job(job)).output_file_id)) == NAMES
            assert set(stack.provider.calls.values()) == {1}

    asyncio.run(main())


def test_a_worker_whose_time_is_up_leaves_lines_to_the_next_one(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with open_job_stack(blobs, table, started) as stack:
            job = await stack.create(jsonl(line(name) for name in NAMES[:20]))
            (shard,) = await stack.shards((await stack.handlers.plan(job.id)).manifest)
            assert await stack.work(job, shard, END_MARGIN) == WorkResult(0, 0, 20, "time")
            assert (await stack.handlers.finish(job.id)).next == "work"
            assert await stack.work(job, shard) == WorkResult(20, 0, 0, None)
            assert (await stack.handlers.finish(job.id)).status == "completed"

    asyncio.run(main())


def test_a_cancelled_job_keeps_its_results_and_reports_the_other_lines(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with open_job_stack(blobs, table, started) as stack:
            job = await stack.create(jsonl(line(name) for name in NAMES))
            shards = await stack.shards((await stack.handlers.plan(job.id)).manifest)
            await stack.work(job, shards[0])
            await stack.service.jobs.cancel(job.id, "master")
            finished = await stack.handlers.finish(job.id)
            assert (finished.status, finished.next) == ("cancelled", "done")
            job = await stack.job(job)
            assert sorted(await stack.content(job.output_file_id)) == NAMES[:20]
            errors = await stack.content(job.error_file_id)
            assert sorted(errors) == NAMES[20:]
            assert {error["code"] for error in errors.values()} == {"batch_cancelled"}

    asyncio.run(main())


def test_a_job_with_an_invalid_line_fails_without_a_call(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with open_job_stack(blobs, table, started) as stack:
            job = await stack.create(line("a") + b"\n{bad\n")
            assert (await stack.handlers.plan(job.id)).next == "finish"
            assert (await stack.handlers.finish(job.id)).status == "failed"
            assert [error.line for error in (await stack.job(job)).errors] == [2]
            assert stack.provider.calls == {}

    asyncio.run(main())


def test_checked_lines_are_valid_or_failures_and_each_call_counts_against_the_cap(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    never = {("a", name): [BAD] for name in NAMES[:4]}
    provider = AnsweringProvider({**never, **{("a", n): [BAD, GOOD] for n in NAMES[4:12]}})

    async def main() -> None:
        async with open_job_stack(blobs, table, provider=provider) as stack:
            data = jsonl(line(n, fanout={"schema": SCHEMA}, max_tokens=7) for n in NAMES[:20])
            job = await stack.create(data, max_cost_usd=40 * COST)
            planned = await stack.handlers.plan(job.id)
            (shard,) = await stack.shards(planned.manifest)
            assert await stack.work(job, shard) == WorkResult(16, 4, 0, None)
            await stack.handlers.finish(job.id)
            job = await stack.job(job)
            assert sorted(await stack.content(job.output_file_id)) == NAMES[4:20]
            failed = await stack.content(job.error_file_id)
            codes = {one["body"]["error"]["code"] for one in failed.values()}
            assert (sorted(failed), codes) == (NAMES[:4], {"schema_mismatch"})
            assert provider.asked.total() == 2 * 4 + 2 * 8 + 8
            assert job.totals is not None
            assert job.totals.cost_usd == pytest.approx(32 * COST)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("cap", "max_tokens", "fewest", "most"),
    [
        (10 * COST, 7, 10, 12),
        (10 * COST, 500, 10, 12),  # lines cost less than their estimates
        (COST, 7, 1, 2),
        (1e-9, 7, 1, 2),
    ],
)
def test_a_job_that_reaches_its_cap_keeps_its_results(
    blobs: S3BlobStore,
    table: DynamoTable,
    started: list[str],
    cap: float,
    max_tokens: int,
    fewest: int,
    most: int,
) -> None:
    async def main() -> None:
        async with open_job_stack(blobs, table, started) as stack:
            data = jsonl(line(name, max_tokens=max_tokens) for name in NAMES)
            job = await stack.create(data, max_cost_usd=cap)
            shards = await stack.shards((await stack.handlers.plan(job.id)).manifest)
            async with asyncio.TaskGroup() as group:  # so all of them want a lease at once
                for shard in shards:
                    group.create_task(stack.work(job, shard))
            assert (await stack.handlers.finish(job.id)).status == "cancelled"
            job = await stack.job(job)
            assert job.errors[0].code == "max_cost_reached"
            responses, errors = (
                await stack.content(job.output_file_id),
                await stack.content(job.error_file_id),
            )
            assert sorted([*responses, *errors]) == NAMES
            assert fewest <= len(responses) <= most

    asyncio.run(main())


def test_two_workers_share_the_requests_a_minute_of_the_config(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    provider, times = EchoProvider(), list[float]()

    async def record_time(_model: str, _text: str) -> None:
        times.append(asyncio.get_running_loop().time())

    provider.before = record_time
    a = CONFIG["model_list"][0]
    limited = {**a, "litellm_params": {**a["litellm_params"], "rpm": 1_200}}
    config = {"model_list": [limited], "general_settings": {"batch_share": 0.5}}

    async def main() -> None:
        async with (
            open_job_stack(blobs, table, started, provider, config) as stack,
            open_job_stack(blobs, table, started, provider, config) as other,
        ):
            job = await stack.create(jsonl(line(name) for name in NAMES[:40]))
            one, two = await stack.shards((await stack.handlers.plan(job.id)).manifest)
            async with asyncio.TaskGroup() as group:
                group.create_task(stack.work(job, one))
                group.create_task(other.work(job, two))
            assert (await stack.handlers.finish(job.id)).status == "completed"
            assert await table.item(KIND, "a") is not None

    asyncio.run(main())
    burst, rate = 600 * 0.04, 600 * 0.96 / 60
    assert times[-1] - times[0] >= (40 - burst - 1) / rate - 0.1
    for number, moment in enumerate(times):
        assert number + 1 <= burst + (moment - times[0] + 0.2) * rate + 1


def test_the_page_of_costs_uses_the_same_shard_size_and_the_same_wait_for_a_slot() -> None:
    assert OPTIONS.shard_size.lines == job_cost.SHARD
    assert LONGEST_WAIT == job_cost.WAIT
