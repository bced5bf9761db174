"""What other processes read of a job: what it does, its counts, and whether a process runs it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from fanout.bulk.activity import MAX_AGE, NOT_RUNNING, STORAGE_FULL, Activity, Wait
from fanout.bulk.local import activity_files
from fanout.bulk.local.activity_files import SIZE, ActivityFiles, Report
from fanout.bulk.totals import Totals
from tests.bulk.local.test_storage_full import fill, free, limit
from tests.support.patience import PATIENCE

__all__ = ["limit"]

FAILS = Wait("provider_error", "`a` responds with 500", "a", lines=2)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_files, "INTERVAL", 0.0)


class Process:
    """One process over the folder; `now` is the time for it."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000.0
        self.files = ActivityFiles(folder, lambda: self.now)
        self.shown: Report | None = None
        self._reporting: asyncio.Task[None] | None = None

    async def run(self, shown: Report, group: asyncio.TaskGroup) -> Totals | None:
        """Claim the job, and show this from now on; returns what an earlier run has left."""
        self.shown = shown
        left = await self.files.claim("j")
        self._reporting = group.create_task(self.files.report("j", lambda: self.shown))
        return left

    async def stop(self) -> None:
        assert self._reporting is not None
        self._reporting.cancel()
        await asyncio.wait([self._reporting])

    async def kill(self, folder: Path) -> None:
        """End without a last word: the file stays as it is, and its lock is gone."""
        data = (folder / "j.activity").read_bytes()
        await self.stop()
        (folder / "j.activity").write_bytes(data)

    async def sees(self, expected: tuple[list[Wait] | None, Totals | None]) -> None:
        """Wait until this process reads these waits and counts."""
        async with asyncio.timeout(PATIENCE):
            while await self.read() != expected:  # noqa: ASYNC110 -- it is in a file
                await asyncio.sleep(0.001)

    async def read(self) -> tuple[list[Wait] | None, Totals | None]:
        activity, totals = await self.files.read("j")
        return None if activity is None else activity.waits, totals


def test_a_job_that_no_process_runs_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = Process(tmp_path), Process(tmp_path)
        assert await other.read() == ([NOT_RUNNING], None)
        async with asyncio.TaskGroup() as group:
            await one.run(Report(Activity(one.now, waits=[FAILS])), group)
            await other.sees(([FAILS], None))
            await one.kill(tmp_path)
            assert await other.read() == ([NOT_RUNNING], None), "what it waited for holds no more"
            await one.run(Report(Activity(one.now)), group)
            await other.sees(([], None))
            await one.stop()
        assert await other.read() == ([NOT_RUNNING], None)

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_before_its_first_report_a_process_already_runs_the_job(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = Process(tmp_path), Process(tmp_path)
        await one.files.claim("j")
        assert await other.read() == (None, None)
        await one.files.release("j")
        assert await other.read() == ([NOT_RUNNING], None)

    asyncio.run(main())


def test_a_process_that_hangs_is_not_one_that_has_ended(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = Process(tmp_path), Process(tmp_path)
        async with asyncio.TaskGroup() as group:
            await one.run(Report(Activity(one.now, waits=[FAILS])), group)
            await other.sees(([FAILS], None))
            other.now += MAX_AGE
            assert await other.read() == (None, None)
            await one.stop()

    asyncio.run(main())


def test_counts_that_are_in_no_database_outlive_their_process(tmp_path: Path) -> None:
    async def main() -> None:
        one, other, next_one = (Process(tmp_path) for _ in range(3))
        counts = Totals(done=5, failed=1, cost=7, causes={"invalid": 1})
        async with asyncio.TaskGroup() as group:
            await one.run(Report(Activity(one.now, waits=[STORAGE_FULL]), counts), group)
            await other.sees(([STORAGE_FULL], counts))
            one.shown = Report(Activity(one.now), replace(counts, done=6))
            await one.stop()
            assert await other.read() == ([NOT_RUNNING], replace(counts, done=6))
            left = await next_one.run(Report(Activity(next_one.now), counts), group)
            assert left == replace(counts, done=6)
            next_one.shown = Report(Activity(next_one.now))
            await other.sees(([], None))
            await next_one.stop()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_the_reasons_of_a_killed_process_are_not_those_of_the_next_one(tmp_path: Path) -> None:
    async def main() -> None:
        one, other, next_one = (Process(tmp_path) for _ in range(3))
        async with asyncio.TaskGroup() as group:
            await one.run(Report(Activity(one.now, waits=[FAILS]), Totals(done=1)), group)
            await other.sees(([FAILS], Totals(done=1)))
            await one.kill(tmp_path)
        assert await next_one.files.claim("j") == Totals(done=1)
        assert await other.read() == (None, Totals(done=1))
        await next_one.files.release("j")

    asyncio.run(main())


def test_only_one_process_shows_what_a_job_does(tmp_path: Path) -> None:
    async def main() -> None:
        one, two, other = (Process(tmp_path) for _ in range(3))
        async with asyncio.TaskGroup() as group:
            await one.run(Report(Activity(one.now, waits=[FAILS])), group)
            await two.run(Report(Activity(two.now, waits=[STORAGE_FULL])), group)
            await other.sees(([FAILS], None))
            await one.stop()
            await other.sees(([STORAGE_FULL], None))
            await two.stop()

    asyncio.run(main())


def test_a_file_that_something_else_deletes_is_made_again(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = Process(tmp_path), Process(tmp_path)
        async with asyncio.TaskGroup() as group:
            await one.run(Report(Activity(one.now, waits=[FAILS])), group)
            await other.sees(([FAILS], None))
            (tmp_path / "j.activity").unlink()
            one.shown = Report(Activity(one.now, waits=[STORAGE_FULL]))
            await other.sees(([STORAGE_FULL], None))
            await one.stop()

    asyncio.run(main())


def test_a_report_that_is_too_long_keeps_its_counts(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = Process(tmp_path), Process(tmp_path)
        waits = [replace(FAILS, cause=f"{n}" * 2_000) for n in range(9)]
        counts = Totals(done=5, failed=9, causes={f"{n}" * 2_000: 1 for n in range(9)})
        async with asyncio.TaskGroup() as group:
            await one.run(Report(Activity(one.now, waits=waits), counts), group)
            await other.sees((waits[:1], replace(counts, causes={})))
            assert (tmp_path / "j.activity").stat().st_size == SIZE
            await one.stop()

    asyncio.run(main())


def test_a_file_without_room_says_that_the_disk_is_full(tmp_path: Path, limit: list[int]) -> None:
    async def main() -> None:
        one, other = Process(tmp_path), Process(tmp_path)
        fill(limit, 0)
        async with asyncio.TaskGroup() as group:
            await one.run(Report(Activity(one.now, waits=[FAILS])), group)
            other.now = (tmp_path / "j.activity").stat().st_mtime
            assert await other.read() == ([STORAGE_FULL], None)
            free(limit)
            one.now = other.now
            one.shown = Report(Activity(one.now, waits=[FAILS]))
            await other.sees(([FAILS], None))
            await one.stop()

    asyncio.run(main())
