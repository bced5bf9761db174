"""Whole jobs over S3 and DynamoDB, step by step, as a state machine takes them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from fanout.bulk.aws.batch_service import AWSBatchService, Stores
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.aws.step_handlers import OPTIONS, StepHandlers
from fanout.bulk.input.planner import Shard, ShardSize
from fanout.bulk.input.splitter import iter_lines
from fanout.bulk.runner import RunnerOptions
from fanout.bulk.service.batches import NewJob
from fanout.bulk.service.records import Job
from fanout.bulk.work.spec import WorkResult
from fanout.bulk.work.worker import END_MARGIN
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from scripts.aws import job_cost
from tests.bulk.local_jobs import CONFIG, COST, SYNC_INTERVAL, EchoProvider, jsonl, line
from tests.support.gateway_server import RecordingObserver

MINUTE = 60.0
NAMES = [f"n{number:03d}" for number in range(60)]


class Cloud:
    """A stack: its API's side, its state machine's, and a provider that counts."""

    def __init__(
        self, machine: StepHandlers, bulk: AWSBatchService, stores: Stores, provider: EchoProvider
    ) -> None:
        self.machine = machine
        self.bulk = bulk
        self.stores = stores
        self.provider = provider

    async def create(self, data: bytes, **more: Any) -> Job:
        async def pieces() -> AsyncIterator[bytes]:
            yield data

        files = self.bulk.files
        key = files.new_key()
        await files.blobs.write(key, pieces())
        file = await files.register(key, "in.jsonl", "batch", "master")
        asked = NewJob(input_file_id=file.id, endpoint="/v1/chat/completions", **more)
        return await self.bulk.jobs.create(asked, "master", None)

    async def shards(self, manifest: str) -> list[Shard]:
        source = self.stores.blobs.read(manifest)
        return [msgspec.json.decode(raw, type=Shard) async for _, _, _, raw in iter_lines(source)]

    async def work(self, job: Job, shard: Shard, seconds: float = MINUTE) -> WorkResult:
        return await self.machine.work(job.id, shard, seconds)

    async def job(self, job: Job) -> Job:
        return await self.bulk.jobs.find(job.id, None)

    async def content(self, file_id: str | None) -> dict[str, Any]:
        """The lines of an output file by name; each name once."""
        if file_id is None:
            return {}
        record = await self.bulk.files.find(file_id, None)
        data = b"".join([piece async for piece in self.bulk.files.content(record)])
        assert len(data) == record.bytes
        said = [json.loads(one) for one in data.splitlines()]
        found = {one["custom_id"]: one["response"] or one["error"] for one in said}
        assert len(found) == len(said)
        return found


@pytest.fixture
def started() -> list[str]:
    """The jobs that the state machine was asked to run."""
    return []


@asynccontextmanager
async def cloud(
    blobs: S3BlobStore,
    table: DynamoTable,
    started: list[str],
    provider: EchoProvider | None = None,
    config: Any = CONFIG,
) -> AsyncIterator[Cloud]:
    async def execute(job_id: str) -> None:
        started.append(job_id)

    observer, provider = RecordingObserver(), provider or EchoProvider()
    catalog = resolve(check(config, {}), {})
    stores = Stores(blobs, table, time.time)
    options = RunnerOptions(
        shard_size=ShardSize(20, 1 << 20), grace=0.3, sync_interval=SYNC_INTERVAL
    )
    async with open_gateway(
        Settings(), catalog=catalog, engine=provider, observer=observer
    ) as gateway:
        machine = StepHandlers(gateway, stores, observer, options)
        yield Cloud(machine, AWSBatchService(stores, execute), stores, provider)
    assert observer.bugs == []


def test_a_job_goes_through_its_steps_and_every_line_is_answered_once(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with cloud(blobs, table, started) as at:
            job = await at.create(jsonl(line(name) for name in NAMES))
            assert (job.status, started) == ("validating", [job.id])
            planned = await at.machine.plan(job.id)
            assert planned.next == "work"
            shards = await at.shards(planned.manifest)
            assert [shard.lines for shard in shards] == [20, 20, 20]
            assert (await at.machine.finish(job.id)).next == "work"
            for shard in shards:
                assert await at.work(job, shard) == WorkResult(20, 0, 0, None)
            assert (await at.bulk.jobs.totals(await at.job(job))).done == 60
            finished = await at.machine.finish(job.id)
            assert (finished.status, finished.next) == ("completed", "done")
            job = await at.job(job)
            said = await at.content(job.output_file_id)
            assert sorted(said) == NAMES
            assert set(at.provider.calls.values()) == {1}
            assert job.error_file_id is None
            assert job.totals is not None
            assert job.totals.done == 60
            assert job.totals.cost == pytest.approx(60 * COST)
            assert await blobs.keys(f"jobs/{job.id}") == []

    asyncio.run(main())


def test_each_step_may_be_taken_again(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with cloud(blobs, table, started) as at:
            job = await at.create(jsonl(line(name) for name in NAMES[:30]))
            planned = await at.machine.plan(job.id)
            assert await at.machine.plan(job.id) == planned
            for shard in await at.shards(planned.manifest) * 2:
                assert (await at.work(job, shard)).remaining == 0
            assert await at.machine.finish(job.id) == await at.machine.finish(job.id)
            assert sorted(await at.content((await at.job(job)).output_file_id)) == NAMES[:30]
            assert set(at.provider.calls.values()) == {1}

    asyncio.run(main())


def test_a_shard_that_failed_once_is_taken_up_where_it_was(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("DynamoDB is away")

    async def main() -> None:
        async with cloud(blobs, table, started) as at:
            job = await at.create(jsonl(line(name) for name in NAMES))
            shards = await at.shards((await at.machine.plan(job.id)).manifest)
            table.client.meta.events.register(
                "before-call.dynamodb.PutItem", refuse, unique_id="away"
            )
            with pytest.raises(ConnectionError, match="away"):
                await at.work(job, shards[1])
            table.client.meta.events.unregister("before-call.dynamodb.PutItem", unique_id="away")
            for shard in shards:
                assert (await at.work(job, shard)).remaining == 0
            assert (await at.machine.finish(job.id)).status == "completed"
            assert sorted(await at.content((await at.job(job)).output_file_id)) == NAMES
            assert set(at.provider.calls.values()) == {1}

    asyncio.run(main())


def test_a_worker_whose_time_is_up_leaves_its_lines_to_the_next(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with cloud(blobs, table, started) as at:
            job = await at.create(jsonl(line(name) for name in NAMES[:20]))
            (shard,) = await at.shards((await at.machine.plan(job.id)).manifest)
            assert await at.work(job, shard, END_MARGIN) == WorkResult(0, 0, 20, "time")
            assert (await at.machine.finish(job.id)).next == "work"
            assert await at.work(job, shard) == WorkResult(20, 0, 0, None)
            assert (await at.machine.finish(job.id)).status == "completed"

    asyncio.run(main())


def test_a_cancelled_job_keeps_what_is_answered_and_says_so_of_the_rest(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with cloud(blobs, table, started) as at:
            job = await at.create(jsonl(line(name) for name in NAMES))
            shards = await at.shards((await at.machine.plan(job.id)).manifest)
            await at.work(job, shards[0])
            await at.bulk.jobs.cancel(job.id, "master")
            finished = await at.machine.finish(job.id)
            assert (finished.status, finished.next) == ("cancelled", "done")
            job = await at.job(job)
            assert sorted(await at.content(job.output_file_id)) == NAMES[:20]
            faults = await at.content(job.error_file_id)
            assert sorted(faults) == NAMES[20:]
            assert {fault["code"] for fault in faults.values()} == {"batch_cancelled"}

    asyncio.run(main())


def test_a_job_with_a_bad_line_fails_without_a_call(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with cloud(blobs, table, started) as at:
            job = await at.create(line("a") + b"\n{bad\n")
            assert (await at.machine.plan(job.id)).next == "finish"
            assert (await at.machine.finish(job.id)).status == "failed"
            assert [error.line for error in (await at.job(job)).errors] == [2]
            assert at.provider.calls == {}

    asyncio.run(main())


def test_a_cap_ends_the_job_with_what_was_answered(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    async def main() -> None:
        async with cloud(blobs, table, started) as at:
            data = jsonl(line(name, max_tokens=7) for name in NAMES)
            job = await at.create(data, max_cost_usd=10 * COST)
            shards = await at.shards((await at.machine.plan(job.id)).manifest)
            for shard in shards:
                await at.work(job, shard)
            assert (await at.machine.finish(job.id)).status == "cancelled"
            job = await at.job(job)
            assert job.errors[0].code == "max_cost_reached"
            said, faults = await at.content(job.output_file_id), await at.content(job.error_file_id)
            assert sorted([*said, *faults]) == NAMES
            assert 10 <= len(said) <= 12

    asyncio.run(main())


def test_two_workers_share_the_requests_a_minute_that_the_config_allows(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    provider, times = EchoProvider(), list[float]()

    async def record_time(_model: str, _text: str) -> None:
        times.append(asyncio.get_running_loop().time())

    provider.before = record_time
    a = CONFIG["model_list"][0]
    paced = {**a, "litellm_params": {**a["litellm_params"], "rpm": 1_200}}
    config = {"model_list": [paced], "general_settings": {"batch_share": 0.5}}

    async def main() -> None:
        async with (
            cloud(blobs, table, started, provider, config) as at,
            cloud(blobs, table, started, provider, config) as other,
        ):
            job = await at.create(jsonl(line(name) for name in NAMES[:40]))
            one, two = await at.shards((await at.machine.plan(job.id)).manifest)
            async with asyncio.TaskGroup() as group:
                group.create_task(at.work(job, one))
                group.create_task(other.work(job, two))
            assert (await at.machine.finish(job.id)).status == "completed"
            assert await table.item("pace", "a") is not None

    asyncio.run(main())
    at_once, rate = 600 * 0.04, 600 * 0.96 / 60
    assert times[-1] - times[0] >= (40 - at_once - 1) / rate - 0.1
    for number, moment in enumerate(times):
        assert number + 1 <= at_once + (moment - times[0] + 0.2) * rate + 1


def test_the_page_of_costs_reckons_with_the_machines_shards() -> None:
    assert OPTIONS.shard_size.lines == job_cost.SHARD
