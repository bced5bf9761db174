"""A stack of jobs in this process: S3 and DynamoDB by moto, and a provider that echoes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from fanout.bulk.aws.batch_service import AWSBatchService, Stores
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.input.planner import Shard, ShardSize
from fanout.bulk.input.splitter import iter_lines
from fanout.bulk.pacing.adaptive_concurrency import MAX_CONCURRENCY
from fanout.bulk.service.new_job import NewJob
from fanout.bulk.service.records import Job
from fanout.bulk.service.webhooks import Webhook
from fanout.bulk.steps.host import RunnerOptions
from fanout.bulk.work.spec import WorkResult
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.keys.jobs import KeyAccounts
from fanout.keys.ledger import KeyLedger
from fanout.settings import Settings
from tests.bulk.local_jobs import CONFIG_WITH_LIMIT, SYNC_INTERVAL, EchoProvider
from tests.support.gateway_server import RecordingObserver

FUNCTION_SECONDS = 900.0
"""Seconds that a worker has: the time limit of its Lambda function."""

NAMES = [f"n{number:03d}" for number in range(60)]


class JobStack:
    """The service that the API uses, the handlers that the state machine calls, and a provider."""

    def __init__(
        self,
        handlers: StepHandlers,
        service: AWSBatchService,
        stores: Stores,
        provider: EchoProvider,
        observer: RecordingObserver,
    ) -> None:
        self.handlers = handlers
        self.service = service
        self.stores = stores
        self.provider = provider
        self.observer = observer

    async def create(
        self,
        data: bytes,
        webhook: Webhook | None = None,
        *,
        account: str | None = None,
        **more: Any,
    ) -> Job:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        files = self.service.files
        key = files.new_key()
        await files.blobs.write(key, chunks())
        file = await files.register(key, "in.jsonl", "batch", "master")
        new = NewJob(input_file_id=file.id, endpoint="/v1/chat/completions", **more)
        return await self.service.jobs.create(new, "master", webhook, account)

    async def shards(self, manifest: str) -> list[Shard]:
        source = self.stores.blobs.read(manifest)
        return [msgspec.json.decode(raw, type=Shard) async for _, _, _, raw in iter_lines(source)]

    async def work(self, job: Job, shard: Shard, seconds: float = FUNCTION_SECONDS) -> WorkResult:
        return await self.handlers.work(job.id, shard, seconds)

    async def job(self, job: Job) -> Job:
        return await self.service.jobs.find(job.id, None)

    async def content(self, file_id: str | None) -> dict[str, Any]:
        """The lines of an output file by custom id; each id must be there once."""
        if file_id is None:
            return {}
        record = await self.service.files.find(file_id, None)
        data = b"".join([chunk async for chunk in self.service.files.content(record)])
        assert len(data) == record.bytes
        lines = [json.loads(one) for one in data.splitlines()]
        found = {one["custom_id"]: one["response"] or one["error"] for one in lines}
        assert len(found) == len(lines)
        return found


@asynccontextmanager
async def open_job_stack(
    blobs: S3BlobStore,
    table: DynamoTable,
    started: list[str] | None = None,
    provider: EchoProvider | None = None,
    config: Any = CONFIG_WITH_LIMIT,
    now: Callable[[], float] = time.time,
    max_concurrency: int = MAX_CONCURRENCY,
    *,
    notify: Callable[[str], Awaitable[None]] | None = None,
    ledger: KeyLedger | None = None,
    start_batches: Callable[[str, str], Awaitable[None]] | None = None,
) -> AsyncIterator[JobStack]:
    async def execute(job_id: str) -> None:
        if started is not None:
            started.append(job_id)

    observer, provider = RecordingObserver(), provider or EchoProvider()
    catalog = resolve(check(config, {}), {})
    stores = Stores(blobs, table, now)
    options = RunnerOptions(
        shard_size=ShardSize(20, 1 << 20),
        grace=0.3,
        max_concurrency=max_concurrency,
        sync_interval=SYNC_INTERVAL,
    )
    async with open_gateway(
        Settings(), catalog=catalog, engine=provider, observer=observer
    ) as gateway:
        accounts = KeyAccounts(ledger, catalog) if ledger else None
        handlers = StepHandlers(
            gateway,
            stores,
            observer,
            options,
            notify=notify,
            start_batches=start_batches,
            accounts=accounts,
        )
        yield JobStack(handlers, AWSBatchService(stores, execute), stores, provider, observer)
    assert observer.unexpected_errors == []
