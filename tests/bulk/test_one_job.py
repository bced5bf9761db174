"""Two processes that create the same job, or retry the same one, at the same time get one job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.local.prompt_files import PromptFile
from fanout.bulk.local.prompt_jobs import find_or_create_job
from fanout.bulk.local.sqlite import Database
from fanout.bulk.service.batches import JobService
from fanout.bulk.service.files import FileService
from fanout.bulk.service.new_job import NewJob
from fanout.bulk.service.records import Job
from fanout.bulk.store import Change, RecordStore
from fanout.bulk.totals import Totals
from fanout.wire import json
from tests.bulk.aws.conftest import aws, mocked_aws, table
from tests.bulk.local_jobs import jsonl, line

__all__ = ["aws", "mocked_aws", "table"]

NEW = NewJob(input_file_id="", endpoint="/v1/chat/completions", model="a")


class Process:
    """What one process sees of the jobs; `before_write` happens just before it creates one."""

    owner = "anyone"
    name = "run"
    config = None

    def __init__(self, home: Path, records: RecordStore) -> None:
        self._records = records
        self.table: Any = self
        self.files = FileService(FolderBlobStore(home), self.table, lambda: 1.0)
        self.jobs = JobService(self.files, self.table, self, lambda: 1.0)
        self.started: list[str] = []
        self.index = None
        self.config_path = None
        self.has_batches = True
        self.has_accounts = False
        self.before_write: Callable[[], Awaitable[object]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def put_all(self, changes: Sequence[Change]) -> bool:
        before, self.before_write = self.before_write, None
        if before is not None:
            await before()
        return await self._records.put_all(changes)

    def results(self, job: Job) -> Any:
        raise NotImplementedError

    async def start(self, job_id: str) -> None:
        self.started.append(job_id)

    async def forget(self, job_id: str) -> None:
        raise NotImplementedError

    async def totals(self, job: Job) -> Totals:
        return job.totals or Totals()


@pytest.fixture(params=["dynamodb", "sqlite"])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Process]]:
    if request.param == "dynamodb":
        found = request.getfixturevalue("table")
        yield [Process(tmp_path, found) for _ in range(2)]
        return
    with (
        closing(Database(tmp_path / "jobs.sqlite")) as one,
        closing(Database(tmp_path / "jobs.sqlite")) as other,
    ):
        yield [Process(tmp_path, one), Process(tmp_path, other)]


async def _run(process: Process, path: Path, *, fresh: bool = False) -> Job:
    return await find_or_create_job(process, PromptFile(path), NEW, fresh=fresh)


def _files(home: Path) -> int:
    return len([path for path in (home / "files").rglob("*") if path.is_file()])


@pytest.mark.parametrize("option", ["", "--fresh"])
def test_the_same_prompts_are_one_job(
    processes: list[Process], tmp_path: Path, option: str
) -> None:
    fresh = option == "--fresh"
    first, second = processes
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl([line("x")]))

    async def main() -> None:
        if fresh:
            earlier = await _run(second, path)
        jobs: list[Job] = []

        async def be_faster() -> None:
            jobs.append(await _run(second, path, fresh=fresh))

        first.before_write = be_faster
        jobs.append(await _run(first, path, fresh=fresh))
        assert jobs[0].id == jobs[1].id
        assert not fresh or jobs[0].id != earlier.id
        stored = await first.jobs.page(None, after=None, limit=9)
        assert len(stored.records) == 1 + fresh
        assert _files(tmp_path) == 1 + fresh, "the second process has deleted its upload"

    asyncio.run(main())


def test_a_job_that_failed_is_created_again_once(processes: list[Process], tmp_path: Path) -> None:
    first, second = processes
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"{oops")

    async def main() -> None:
        failed = await _run(first, path)
        await first.jobs.registry.change(failed.id, lambda job: _with(job, status="failed"))
        jobs: list[Job] = []

        async def be_faster() -> None:
            jobs.append(await _run(second, path))

        first.before_write = be_faster
        jobs.append(await _run(first, path))
        assert jobs[0].id == jobs[1].id != failed.id

    asyncio.run(main())


def test_a_job_is_retried_once(processes: list[Process], tmp_path: Path) -> None:
    first, second = processes
    path = tmp_path / "in.jsonl"
    path.write_bytes(jsonl([line("x"), line("y")]))

    async def main() -> None:
        old = await _run(first, path)

        async def errors() -> AsyncIterator[bytes]:
            yield b'{"custom_id": "y"}\n'

        await first.files.blobs.write("files/e", errors())
        file = await first.files.register("files/e", "e", "batch_output", "anyone")
        await first.jobs.registry.change(
            old.id, lambda job: _with(job, status="completed", error_file_id=file.id)
        )
        retries: list[Job] = []

        async def be_faster() -> None:
            retries.append(await second.jobs.retry(old.id, "anyone"))

        first.before_write = be_faster
        retries.append(await first.jobs.retry(old.id, "anyone", max_cost=7))
        later = await second.jobs.retry(old.id, "anyone")
        assert {retries[0].id, retries[1].id} == {later.id}
        assert later.max_cost == 7
        assert set(first.started + second.started) == {later.id}
        await first.jobs.registry.change(later.id, lambda job: _with(job, status="completed"))
        second.started.clear()
        assert (await second.jobs.retry(old.id, "anyone")).id == later.id
        assert second.started == []

    asyncio.run(main())


def _with(job: Job, **changes: Any) -> Job:
    return json.decode(json.encode({**json.decode(json.encode(job)), **changes}), type=Job)
