"""`general_settings.max_storage_mb`: uploads over it are 507s, and jobs wait for room."""

from __future__ import annotations

from pathlib import Path

import pytest

from fanout.bulk.local.storage_limit import COUNT_INTERVAL, OverLimit, StorageLimit
from tests.bulk.local.test_storage_full import codes
from tests.bulk.local_jobs import CONFIG, EchoProvider, jsonl, line, open_jobs, run

MEGABYTE = 1_000_000
LIMITED = {**CONFIG, "general_settings": {"max_storage_mb": 3}}


def test_uploads_over_the_limit_are_errors_that_name_it_and_there_is_room_after_a_deletion(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path, config=LIMITED) as jobs:
            first = await jobs.upload(b"x" * 2 * MEGABYTE)
            with pytest.raises(OverLimit, match="max_storage_mb") as raised:
                await jobs.upload(b"x" * 2 * MEGABYTE)
            detail = raised.value.detail
            assert (raised.value.status, detail.code) == (507, "storage_full")
            assert "`general_settings.max_storage_mb`" in detail.message
            assert str(tmp_path) not in detail.message
            assert [one.name for one in (tmp_path / "files").iterdir()] == [first]
            await jobs.service.files.delete(first, "master")
            await jobs.upload(b"x" * 2 * MEGABYTE)

    run(main())


def test_a_job_over_the_limit_waits_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    provider, lines = EchoProvider(), 40

    async def main() -> None:
        async with open_jobs(
            tmp_path, provider, config=LIMITED, initial_concurrency=4, max_concurrency=4
        ) as jobs:
            other = await jobs.upload(b"x" * MEGABYTE)
            job = await jobs.create(
                jsonl(line(f"n{n}", text=f"{n} " + "x" * 30_000) for n in range(lines))
            )

            async def is_full() -> bool:
                return await codes(jobs, job.id) == ["storage_full"]

            await jobs.wait_until(is_full)
            totals = await jobs.service.jobs.totals(await jobs.job(job))
            assert totals.activity is not None
            assert "max_storage_mb" in totals.activity.waits[0].message
            assert 0 < sum(provider.calls.values()) < lines
            await jobs.service.files.delete(other, "master")
            job = await jobs.wait(job)
            assert (job.status, len(await jobs.responses(job))) == ("completed", lines)
            assert set(provider.calls.values()) == {1}
            assert await codes(jobs, job.id) == []

    run(main())


def test_what_other_processes_write_and_delete_is_counted(tmp_path: Path) -> None:
    now = 0.0
    limit = StorageLimit(tmp_path, 100, clock=lambda: now)

    async def main() -> None:
        nonlocal now
        await limit.take(60)
        path = tmp_path / "files" / "a"
        path.parent.mkdir()
        path.write_bytes(b"x" * 90)
        await limit.take(20)
        now += COUNT_INTERVAL
        with pytest.raises(OverLimit):
            await limit.take(20)
        path.unlink()
        now += COUNT_INTERVAL
        await limit.take(100)

    run(main())
