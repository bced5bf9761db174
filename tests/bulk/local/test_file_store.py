"""The folder of files and results: complete files, crashes, and what is deleted after a job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.local.hosts import file_lock
from fanout.bulk.local.lazy_service import data_home
from fanout.bulk.local.shard_results import FolderResultStore
from tests.bulk.local_jobs import jsonl, line, open_jobs, run


async def chunks(*parts: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if error:
        raise error


async def read(blobs: FolderBlobStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(key, start, end)])


def test_a_blob_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    assert run(blobs.write("a/b", chunks(b"12", b"345"))) == 5
    with pytest.raises(OSError, match="gone"):
        run(blobs.write("a/b", chunks(b"x", error=OSError("gone"))))
    assert run(read(blobs, "a/b")) == b"12345"
    assert run(read(blobs, "a/b", 1, 3)) == b"23"
    assert run(read(blobs, "a/b", 3)) == b"45"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert run(blobs.size("a/c")) is None


def test_parts_are_joined_in_order_and_kept(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    run(blobs.write("2", chunks(b"two")))
    run(blobs.write("1", chunks(b"one")))
    assert run(blobs.join(["2", "1"], "both")) == 6
    assert run(read(blobs, "both")) == b"twoone"
    assert run(read(blobs, "1")) == b"one"
    run(blobs.delete("1"))
    run(blobs.delete("1"))
    assert run(blobs.size("1")) is None


@pytest.mark.parametrize("incomplete", [b"", b"{", b"x" * 3_000_000], ids=["none", "short", "long"])
def test_an_incomplete_line_of_a_crash_is_removed(tmp_path: Path, incomplete: bytes) -> None:
    store = FolderResultStore(FolderBlobStore(tmp_path), "job")

    async def main() -> None:
        results = await store.open(7)
        await results.put(b"one\n", failed=False)
        await results.close()
        path = tmp_path / "job" / "results" / "000007.answers.jsonl"
        path.write_bytes(path.read_bytes() + incomplete)
        again = await store.open(7)
        await again.put(b"two\n", failed=False)
        await again.put(b"three\n", failed=True)
        await again.close()
        assert [found async for found in again.stored()] == [
            (False, b"one\n"),
            (False, b"two\n"),
            (True, b"three\n"),
        ]

    run(main())


@pytest.mark.parametrize(
    ("env", "home"),
    [
        ({"FANOUT_HOME": "/x", "XDG_DATA_HOME": "/y"}, Path("/x")),
        ({"XDG_DATA_HOME": "/y"}, Path("/y/fanout")),
        ({}, Path.home() / ".local" / "share" / "fanout"),
    ],
)
def test_jobs_are_in_the_users_data_folder(env: dict[str, str], home: Path) -> None:
    assert data_home(env) == home


def test_one_process_at_a_time_can_lock_a_job(tmp_path: Path) -> None:
    with (
        file_lock(tmp_path / "locks" / "job") as first,
        file_lock(tmp_path / "locks" / "job") as second,
    ):
        assert (first, second) == (True, False)
    with file_lock(tmp_path / "locks" / "job") as third:
        assert third


def test_what_a_crash_left_of_a_finished_job_is_deleted(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_jobs(tmp_path) as jobs:
            job = await jobs.wait(await jobs.create(jsonl([line("x")])))
        left = tmp_path / "jobs" / job.id / "results" / "000000.answers.jsonl"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"{}\n")
        async with open_jobs(tmp_path) as jobs:
            await jobs.service.resume()
            assert not left.exists()
            assert await jobs.responses(job) == {"x": "a: x"}
        assert list((tmp_path / "locks").iterdir()) == []

    run(main())
