"""On a full disk no line starts, what has arrived is stored when there is room, and it is shown."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bulk.local_jobs import EchoProvider, LocalJobs, jsonl, line, open_jobs, run

ROOM = 100_000
LINES = 40


@pytest.fixture
def limit() -> Iterator[list[int]]:
    """Sets the size over which no file may grow: its errors are those of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield [soft, hard]
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(limit: list[int]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, limit[1]))


def free(limit: list[int]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit[0], limit[1]))


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
            jobs.observer.bugs.clear()

    run(main())
