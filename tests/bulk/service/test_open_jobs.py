"""Unfinished jobs are found without reading the finished ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from fanout.bulk.local.sqlite import Database
from fanout.bulk.service.batches import job_registry
from fanout.bulk.service.records import Job
from fanout.bulk.service.registry import Registry
from fanout.bulk.store import Change
from fanout.wire import json

JOB = Job(
    id="batch_0", host="here", owner="master", input_file_id="file-0", input_key="files/file-0",
    completion_window="24h", created_at=1, expires_at=2, config=None,
)  # fmt: skip


class CountingDatabase(Database):
    """Counts the lists that are read."""

    lists = 0

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[tuple[str, bytes]]:
        self.lists += 1
        return await super().list(kind, after=after, limit=limit, newest_first=newest_first)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[CountingDatabase]:
    with closing(CountingDatabase(tmp_path / "jobs.sqlite")) as opened:
        yield opened


async def add(registry: Registry[Job], number: int, status: str = "in_progress") -> Job:
    name = f"batch_{number:05d}"
    job = replace(JOB, id=name, input_key=f"files/{number}", status=status)
    await registry.create(name, job)
    return job


def _bytes(job: Job) -> bytes:
    return json.encode(job)


def test_ten_thousand_finished_jobs_cost_no_reading(database: CountingDatabase) -> None:
    async def main() -> None:
        registry = job_registry(database)
        for first in range(0, 10_000, 1_000):  # as if each had been created and had ended
            values = (
                (f"batch_{n:05d}", replace(JOB, status="completed"))
                for n in range(first, first + 1_000)
            )
            await database.put_all([Change("batch", name, _bytes(job)) for name, job in values])
        running = await add(registry, 10_001)
        database.lists = 0
        assert await registry.all_open() == [running]
        assert database.lists <= 3

    asyncio.run(main())


def test_the_newest_open_jobs_are_read_without_writing(database: CountingDatabase) -> None:
    async def main() -> None:
        registry = job_registry(database)
        jobs = [await add(registry, number) for number in range(4)]
        raw = await database.get("batch", jobs[2].id)
        await database.put("batch", jobs[2].id, _bytes(replace(jobs[2], status="failed")), raw)
        assert await registry.newest_open(3) == [jobs[3], jobs[1]]
        assert len(await database.list("open-batch", after=None, limit=10)) == 4

    asyncio.run(main())


def test_a_job_is_open_from_its_creation_to_its_end(database: CountingDatabase) -> None:
    async def main() -> None:
        registry = job_registry(database)
        job = await add(registry, 1)
        assert await registry.all_open() == [job]
        job = await registry.change(job.id, lambda one: replace(one, status="finalizing"))
        assert await registry.all_open() == [job]
        await registry.change(job.id, lambda one: replace(one, status="completed"))
        assert await registry.all_open() == []

    asyncio.run(main())


def test_a_job_whose_process_was_killed_as_it_ended_is_not_open(
    database: CountingDatabase,
) -> None:
    async def main() -> None:
        registry = job_registry(database)
        job = await add(registry, 1)
        raw = await database.get("batch", job.id)
        await database.put("batch", job.id, _bytes(replace(job, status="failed")), raw)
        assert await registry.all_open() == []
        assert await database.list("open-batch", after=None, limit=10) == []

    asyncio.run(main())


def test_a_job_whose_process_was_killed_as_it_was_created_is_not_open(
    database: CountingDatabase,
) -> None:
    async def main() -> None:
        registry = job_registry(database)
        await database.put("open-batch", "batch_1", b"1", None)
        assert await registry.all_open() == []
        job = await add(registry, 2)
        assert await registry.all_open() == [job]

    asyncio.run(main())
