"""Records of jobs that have ended: they cost no reading, and DynamoDB deletes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.aws.batch_service import AWSBatchService, Stores
from fanout.bulk.aws.dynamodb import RETENTION, DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.service.new_job import NewJob
from fanout.wire import json

NOW = 1_800_000_000.0
OLD = 200


async def started(_job_id: str) -> None:
    """Start nothing."""


async def upload(service: AWSBatchService) -> str:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    key = service.files.new_key()
    await service.files.blobs.write(key, pieces())
    return (await service.files.register(key, "in.jsonl", "batch", "master")).id


def test_deleting_a_file_takes_the_same_few_queries_whatever_the_number_of_old_jobs(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    queries: list[str] = []
    table.client.meta.events.register(
        "before-call.dynamodb.Query", lambda model, **_: queries.append(model.name)
    )

    async def main() -> None:
        service = AWSBatchService(Stores(blobs, table, lambda: NOW), started)
        file_id = await upload(service)
        new = NewJob(input_file_id=file_id, endpoint="/v1/chat/completions")
        job = await service.jobs.create(new, "master")
        over = json.encode(replace(job, status="completed"))
        for number in range(OLD):
            await table.put("batch", f"batch_0{number}", over, None)
        await service.files.delete(file_id, "master")
        assert len(queries) <= 3
        assert await blobs.size(job.input_key)  # the running job reads it

    asyncio.run(main())


def test_records_are_deleted_a_while_after_they_expire(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    async def main() -> None:
        stores = Stores(blobs, table, lambda: NOW, lifetime=3_600)
        service = AWSBatchService(stores, started)
        file_id = await upload(service)
        new = NewJob(input_file_id=file_id, endpoint="/v1/chat/completions")
        job = await service.jobs.create(new, "master")
        upload_ = await service.files.begin_upload("in.jsonl", "batch", 2, "master", None)
        await service.jobs.cancel(job.id, "master")
        for kind, name, expires_at in (
            ("file", file_id, NOW + 3_600),
            ("batch", job.id, NOW + 24 * 3_600),
            ("upload", upload_.id, NOW + 3_600),
        ):
            item = await table.item(kind, name)
            assert item is not None
            assert item["ttl"] == {"N": str(int(expires_at) + RETENTION)}

    asyncio.run(main())


def test_clients_that_poll_a_job_do_not_read_its_shards_each_time(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    queries: list[str] = []
    table.client.meta.events.register(
        "before-call.dynamodb.Query", lambda model, **_: queries.append(model.name)
    )
    clock = [NOW]

    async def main() -> None:
        service = AWSBatchService(Stores(blobs, table, lambda: clock[0]), started)
        file_id = await upload(service)
        new = NewJob(input_file_id=file_id, endpoint="/v1/chat/completions")
        job = await service.jobs.create(new, "master")
        for _ in range(40):  # ten seconds
            clock[0] += 0.25
            await service.jobs.totals(job)
        assert 4 <= len(queries) <= 6

    asyncio.run(main())


@pytest.mark.parametrize(
    ("workers", "interval"), [(0, 0.1), (20, 0.1), (200, 1.0), (400, 2.0), (1_000, 5.0)]
)
def test_many_workers_write_their_counts_less_often(
    open_steps: Any, workers: int, interval: float
) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(b"{}")
            spec = steps.stack.handlers._work_spec(job, 0, workers)
            assert spec.sync_interval == pytest.approx(interval)

    asyncio.run(main())
