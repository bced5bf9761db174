"""Results on a slow disk: a thread writes them, and the event loop does not wait."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from fanout.bulk.local.shard_results import THREAD_TIME, FolderShardResults
from fanout.errors import StorageFull
from tests.bulk.local_jobs import run
from tests.support.blocking_calls import blocking_calls

LIMIT = 1_000


@pytest.fixture
def file_size_limit() -> Iterator[None]:
    """No file may grow over `LIMIT` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITE = "disk.files.write_all: write"


def lines(*numbers: int) -> list[bytes]:
    return [b"%d\n" % number for number in numbers]


def test_after_two_slow_writes_a_thread_writes(tmp_path: Path) -> None:
    now, took = 0.0, 0.03

    def clock() -> float:
        nonlocal now
        now += took
        return now

    async def main() -> None:
        nonlocal now, took
        results = FolderShardResults(tmp_path / "a", tmp_path / "b", clock=clock)
        with blocking_calls() as found:
            await results.put(b"1\n", failed=False)  # opens the file
            for seconds in (0.06, 0.03, 0.06):  # one slow write is the scheduler's
                took = seconds
                await results.put(b"2\n", failed=False)
            assert (len(found), results.is_slow) == (3, False)
            await results.put(b"2\n", failed=False)
            assert (len(found), results.is_slow) == (4, True)
            async with asyncio.TaskGroup() as group:
                for line in lines(3, 4, 5):
                    group.create_task(results.put(line, failed=False))
            await results.put(b"failed\n", failed=True)
            assert len(found) == 4
            now += THREAD_TIME
            assert not results.is_slow
            await results.put(b"6\n", failed=False)  # the disk is still slow
            assert (found, results.is_slow) == ([WRITE] * 5, True)
        await results.close()
        assert (tmp_path / "a").read_bytes().splitlines(keepends=True) == lines(
            1, 2, 2, 2, 2, 3, 4, 5, 6
        )
        assert (tmp_path / "b").read_bytes() == b"failed\n"

    run(main())


def test_lines_whose_wait_is_cancelled_are_stored(tmp_path: Path) -> None:
    async def main() -> None:
        results = FolderShardResults(tmp_path / "a", tmp_path / "b")
        puts = [asyncio.ensure_future(results.put(line, failed=False)) for line in lines(1, 2, 3)]
        await asyncio.sleep(0)
        for put in puts:
            put.cancel()
        await results.close()
        stored = [line async for _, line in results.stored()]
        assert stored == lines(1, 2, 3)

    run(main())


@pytest.mark.usefixtures("file_size_limit")
def test_of_lines_that_are_written_together_each_is_stored_that_fits(tmp_path: Path) -> None:
    async def main() -> None:
        numbers = count()
        results = FolderShardResults(
            tmp_path / "a", tmp_path / "b", clock=lambda: THREAD_TIME * next(numbers)
        )
        await results.put(b"1\n", failed=False)
        ends = list[type[BaseException] | None]()

        async def put(line: bytes) -> None:
            try:
                await results.put(line, failed=False)
            except StorageFull as error:
                ends.append(type(error))
            else:
                ends.append(None)

        async with asyncio.TaskGroup() as group:
            for line in (b"2\n", b"x" * LIMIT + b"\n", b"3\n", b"y" * LIMIT + b"\n", b"4\n"):
                group.create_task(put(line))
        assert ends == [None, StorageFull, None, StorageFull, None]
        await results.close()
        assert (tmp_path / "a").read_bytes() == b"1\n2\n3\n4\n"

    run(main())
