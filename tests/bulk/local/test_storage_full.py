"""On a full disk no line starts, what has arrived is stored when there is room, and it is shown."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.local.sqlite import Database
from fanout.bulk.service.records import Job
from fanout.errors import NotFound, StorageFull
from tests.bulk.local_jobs import (
    CONFIG,
    COST,
    EchoProvider,
    LocalJobs,
    jsonl,
    line,
    open_jobs,
    open_view,
    run,
)

ROOM = 100_000
LINES = 40


@pytest.fixture
def limit() -> Iterator[list[int]]:
    """Sets the size over which no file may grow: its errors are those of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield [soft, hard]
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(limit: list[int], room: int = ROOM) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limit[1]))


def free(limit: list[int]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit[0], limit[1]))


@pytest.mark.parametrize("after", [0, 5])
def test_another_process_says_that_the_disk_is_full(
    tmp_path: Path, limit: list[int], after: int
) -> None:
    provider = EchoProvider()

    async def before(_model: str, _text: str) -> None:
        if sum(provider.calls.values()) == after:
            fill(limit)

    provider.before = before

    async def main() -> None:
        async with open_jobs(tmp_path, provider, initial_concurrency=4, max_concurrency=4) as jobs:
            lines = [line(f"n{n}", text=f"{n} " + "x" * 2 * ROOM) for n in range(LINES)]
            file_id = await jobs.upload(jsonl(lines))
            if not after:
                fill(limit)
            job = await jobs.create_from(file_id)
            async with open_view(tmp_path) as others:

                async def is_reported() -> bool:
                    found = await others.job(job)
                    shown = found.to_dict(await others.service.jobs.totals(found))
                    messages = [wait["message"] for wait in shown["fanout"]["waits"]]
                    return "no line starts: no space is left on the disk" in messages

                await others.wait_until(is_reported)
                assert await codes(others, job.id) == ["storage_full"]
                free(limit)
                job = await others.wait(job)
                assert (job.status, await codes(others, job.id)) == ("completed", [])
            jobs.observer.unexpected_errors.clear()

    run(main())


async def codes(jobs: LocalJobs, job_id: str) -> list[str]:
    """The codes of the errors in the job's record, as clients get it."""
    job = await jobs.service.jobs.find(job_id, None)
    shown = job.to_dict(await jobs.service.jobs.totals(job))
    return [error["code"] for error in (shown["errors"] or {"data": []})["data"]]


@pytest.mark.parametrize("after", [0, 5])
def test_a_full_disk_pauses_the_job_and_no_response_is_paid_twice(
    tmp_path: Path, limit: list[int], after: int
) -> None:
    provider = EchoProvider()

    async def before(_model: str, _text: str) -> None:
        if sum(provider.calls.values()) == after:
            fill(limit)
        await asyncio.sleep(0.01)

    provider.before = before

    async def main() -> None:
        async with open_jobs(tmp_path, provider, initial_concurrency=4, max_concurrency=4) as jobs:
            lines = [line(f"n{n}", text=f"{n} " + "x" * 2 * ROOM) for n in range(LINES)]
            file_id = await jobs.upload(jsonl(lines))
            if not after:
                fill(limit)
            job = await jobs.create_from(file_id)

            async def is_full() -> bool:
                return await codes(jobs, job.id) == ["storage_full"]

            await jobs.wait_until(is_full)
            called = sum(provider.calls.values())
            assert called <= (after + 4 if after else 0)
            await asyncio.sleep(0.3)
            assert sum(provider.calls.values()) == called, "lines started on a full disk"
            free(limit)
            job = await jobs.wait(job)
            assert (job.status, len(await jobs.responses(job))) == ("completed", LINES)
            assert await codes(jobs, job.id) == []
            assert set(provider.calls.values()) == {1}
            jobs.observer.unexpected_errors.clear()

    run(main())


def test_lines_that_wait_for_a_slot_are_not_sent_on_a_full_disk(
    tmp_path: Path, limit: list[int]
) -> None:
    """They have started, but their calls have not."""
    provider = EchoProvider()

    async def before(_model: str, _text: str) -> None:
        if sum(provider.calls.values()) == 3:
            fill(limit)
        await asyncio.sleep(0.01)

    provider.before = before
    models = [
        {**one, "litellm_params": {**one["litellm_params"], "max_parallel_requests": 2}}
        for one in CONFIG["model_list"]
    ]

    async def main() -> None:
        config = {**CONFIG, "model_list": models}
        async with open_jobs(
            tmp_path,
            provider,
            config=config,
            initial_concurrency=LINES,
            max_concurrency=LINES,
        ) as jobs:
            lines = [line(f"n{n}", text=f"{n} " + "x" * 2 * ROOM) for n in range(LINES)]
            job = await jobs.create(jsonl(lines))

            async def is_full() -> bool:
                return await codes(jobs, job.id) == ["storage_full"]

            await jobs.wait_until(is_full)
            called = sum(provider.calls.values())
            assert called <= 3 + 2
            await asyncio.sleep(0.3)
            assert sum(provider.calls.values()) == called, "lines were sent on a full disk"
            free(limit)
            job = await jobs.wait(job)
            assert (job.status, len(await jobs.responses(job))) == ("completed", LINES)
            assert set(provider.calls.values()) == {1}
            jobs.observer.unexpected_errors.clear()

    run(main())


class FullDatabase:
    """While it `is_full`, no process can write counts to its database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = True
        write = Database.write_totals

        async def write_totals(database: Database, job: str, rows: Any) -> None:
            if self.is_full:
                raise StorageFull("jobs.sqlite", "No space left on device")
            await write(database, job, rows)

        monkeypatch.setattr(Database, "write_totals", write_totals)


async def counts(jobs: LocalJobs, job_id: str) -> tuple[int, int, Any]:
    """The lines with a response, those that failed, and the cost, as clients get them."""
    job = await jobs.service.jobs.find(job_id, None)
    shown = job.to_dict(await jobs.service.jobs.totals(job))
    found = shown["request_counts"]
    assert sum(shown["fanout"]["causes"].values()) == found["failed"]
    return found["completed"], found["failed"], shown["cost_usd"]


def stored_lines(home: Path) -> tuple[int, int]:
    """The lines that are in files: the responses, and the failures."""
    found = [
        [path.read_bytes().count(b"\n") for path in home.rglob(f"*.{kind}.jsonl")]
        for kind in ("answers", "failures")
    ]
    return sum(found[0]), sum(found[1])


def test_the_counts_are_true_on_a_full_disk_in_every_view(
    tmp_path: Path, limit: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the process that runs the job, in another one, after its end, and in the next one."""
    provider, disk = EchoProvider(), FullDatabase(monkeypatch)

    async def before(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        if sum(provider.calls.values()) == 8:
            fill(limit)
        return (400, {}) if text.startswith("2 ") else None

    provider.before = before
    usual: dict[str, Any] = {"initial_concurrency": 2, "max_concurrency": 2}

    async def main() -> None:
        async with open_view(tmp_path) as others:

            async def check(view: LocalJobs, job: Job, reason: str | None) -> None:
                """The view has the counts of what is stored, and this reason."""

                async def is_true() -> bool:
                    done, failed = stored_lines(tmp_path)
                    found = await view.job(job)
                    waits = found.waits(await view.service.jobs.totals(found))
                    return [one.reason for one in waits] == (
                        [reason] if reason else []
                    ) and await counts(view, job.id) == (done, failed, pytest.approx(done * COST))

                await others.wait_until(is_true)

            async with open_jobs(tmp_path, provider, **usual) as jobs:
                texts = [f"{n} " + "x" * ROOM for n in range(LINES)]
                job = await jobs.create(jsonl(line(f"n{n}", text=t) for n, t in enumerate(texts)))
                await check(jobs, job, "storage_full")
                await check(others, job, "storage_full")
                jobs.observer.unexpected_errors.clear()
            assert stored_lines(tmp_path)[0] > 0
            await check(others, job, "not_running")
            async with open_jobs(tmp_path, provider, **usual) as jobs:
                await check(jobs, job, "storage_full")
                await check(others, job, "storage_full")
                free(limit)
                disk.is_full = False
                job = await jobs.wait(job)
                jobs.observer.unexpected_errors.clear()
            assert await counts(others, job.id) == (LINES - 1, 1, pytest.approx((LINES - 1) * COST))

    run(main())
    assert list((tmp_path / "locks").iterdir()) == []


def size_of(path: Path) -> int:
    return path.stat().st_size


def test_a_record_can_be_deleted_on_a_full_disk(tmp_path: Path, limit: list[int]) -> None:
    async def main() -> None:
        database = Database(tmp_path / "jobs.sqlite")
        await database.put("file", "a", b"x", None)
        fill(limit, size_of(tmp_path / "jobs.sqlite-wal"))
        with pytest.raises(StorageFull):
            await database.put("file", "b", b"x", None)
        assert await database.delete("file", "a")
        assert await database.get("file", "a") is None
        free(limit)
        database.close()

    run(main())


def working_files(home: Path, job_id: str) -> Path:
    """The folder of a job's working files, with one that a kill has left."""
    folder = home / "jobs" / job_id
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(b"x")
    return folder


def test_bytes_are_deleted_first_if_the_records_change_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = Database.delete

    async def main() -> None:
        async with open_jobs(tmp_path, EchoProvider()) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([line("n0")])))
            file_id = await jobs.upload(jsonl([line("n1")]))
            folder = working_files(tmp_path, job.id)
            file = tmp_path / "files" / file_id

            async def with_room(database: Database, kind: str, key: str) -> bool:
                if (file if kind == "file" else folder).exists():
                    raise StorageFull(str(database.path), "no space is left")
                return await delete(database, kind, key)

            monkeypatch.setattr(Database, "delete", with_room)
            await jobs.service.files.delete(file_id, "master")
            monkeypatch.setattr(Database, "delete", delete)
            for output in (job.output_file_id, job.input_file_id):
                await jobs.service.files.delete(output or "", "master")
            monkeypatch.setattr(Database, "delete", with_room)
            await jobs.service.jobs.delete(job.id, "master")
            with pytest.raises(NotFound):
                await jobs.service.jobs.find(job.id, "master")

    run(main())


def test_a_job_without_room_for_its_files_says_that_its_calls_are_done_and_how_much_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = EchoProvider()

    async def fail(_self: object, _parts: object, key: str) -> int:
        raise StorageFull(key, "No space left on device")

    async def main() -> None:
        async with open_jobs(tmp_path, provider) as jobs:
            with monkeypatch.context() as full:
                full.setattr(FolderBlobStore, "join", fail)
                job = await jobs.create(jsonl(line(f"n{n}") for n in range(LINES)))
                found: list[str] = []

                async def is_full() -> bool:
                    now = await jobs.service.jobs.find(job.id, None)
                    shown = now.to_dict(await jobs.service.jobs.totals(now))
                    found[:] = [wait["message"] for wait in shown["fanout"]["waits"]]
                    return any("all calls are done" in one for one in found)

                await jobs.wait_until(is_full)
            done = await jobs.wait(job)
            output = await jobs.service.files.find(str(done.output_file_id), None)
            assert f"about {output.bytes:,} bytes" in found[0], found
            assert (done.status, len(await jobs.responses(done))) == ("completed", LINES)
            assert set(provider.calls.values()) == {1}
            jobs.observer.unexpected_errors.clear()

    run(main())
