"""The folder: files whole or not at all, and a machine that is swept behind its jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fanout.bulk.local.batch_service import data_home, file_lock
from fanout.bulk.local.file_store import FolderBlobStore, FolderResultStore
from tests.bulk.local_jobs import jsonl, line, open_jobs, run


async def pieces(*parts: bytes, fault: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if fault:
        raise fault


async def read(blobs: FolderBlobStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in blobs.read(key, start, end)])


def test_a_blob_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    assert run(blobs.write("a/b", pieces(b"12", b"345"))) == 5
    with pytest.raises(OSError, match="gone"):
        run(blobs.write("a/b", pieces(b"x", fault=OSError("gone"))))
    assert run(read(blobs, "a/b")) == b"12345"
    assert run(read(blobs, "a/b", 1, 3)) == b"23"
    assert run(read(blobs, "a/b", 3)) == b"45"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert run(blobs.size("a/c")) is None


def test_parts_are_joined_in_order_and_stay(tmp_path: Path) -> None:
    blobs = FolderBlobStore(tmp_path)
    run(blobs.write("2", pieces(b"two")))
    run(blobs.write("1", pieces(b"one")))
    assert run(blobs.join(["2", "1"], "both")) == 6
    assert run(read(blobs, "both")) == b"twoone"
    assert run(read(blobs, "1")) == b"one"
    run(blobs.delete("1"))
    run(blobs.delete("1"))
    assert run(blobs.size("1")) is None


@pytest.mark.parametrize("torn", [b"", b"{", b"x" * 3_000_000], ids=["whole", "torn", "long"])
def test_a_shelf_cuts_off_what_a_crash_has_torn(tmp_path: Path, torn: bytes) -> None:
    shelves = FolderResultStore(FolderBlobStore(tmp_path), "job")

    async def main() -> None:
        shelf = await shelves.open(7)
        await shelf.put(b"one\n", failed=False)
        await shelf.close()
        path = tmp_path / "job" / "results" / "000007.answers.jsonl"
        path.write_bytes(path.read_bytes() + torn)
        again = await shelves.open(7)
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
def test_jobs_live_in_the_users_data(env: dict[str, str], home: Path) -> None:
    assert data_home(env) == home


def test_one_process_at_a_time_has_a_job(tmp_path: Path) -> None:
    with (
        file_lock(tmp_path / "locks" / "job") as first,
        file_lock(tmp_path / "locks" / "job") as second,
    ):
        assert (first, second) == (True, False)
    with file_lock(tmp_path / "locks" / "job") as third:
        assert third


def test_what_a_crash_left_of_a_job_that_is_over_is_swept(tmp_path: Path) -> None:
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
