"""Blobs in S3: reading by ranges, writing in parts, joining and deleting."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fanout.bulk.aws.clients import ClientError
from fanout.bulk.aws.s3 import PART_SIZE, READ_SIZE, S3BlobStore

MB = 1024 * 1024


def noise(size: int) -> bytes:
    """Bytes without a pattern, so that a shifted copy is not equal."""
    return hashlib.shake_128(b"noise").digest(size)


async def chunks(*given: bytes) -> AsyncIterator[bytes]:
    for chunk in given:
        yield chunk


async def content(blobs: S3BlobStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(key, start, end)])


def test_an_object_is_read_whole_or_by_ranges(blobs: S3BlobStore) -> None:
    async def main() -> None:
        assert await blobs.write("a/b", chunks(b"012", b"345", b"6789")) == 10
        assert await content(blobs, "a/b") == b"0123456789"
        assert await content(blobs, "a/b", 2, 5) == b"234"
        assert await content(blobs, "a/b", 7) == b"789"
        assert await content(blobs, "a/b", 4, 4) == b""
        assert await content(blobs, "a/b", 8, 99) == b"89"
        assert await content(blobs, "a/b", 10) == b""
        assert await blobs.size("a/b") == 10

    asyncio.run(main())


def test_an_empty_object_has_no_bytes(blobs: S3BlobStore) -> None:
    async def main() -> None:
        assert await blobs.write("empty", chunks()) == 0
        assert await content(blobs, "empty") == b""
        assert await blobs.size("empty") == 0

    asyncio.run(main())


def test_a_missing_object_has_no_size_and_cannot_be_read(blobs: S3BlobStore) -> None:
    async def main() -> None:
        assert await blobs.size("nothing") is None
        with pytest.raises(FileNotFoundError):
            await content(blobs, "nothing")
        with pytest.raises(FileNotFoundError):
            await blobs.join(["nothing"], "whole")
        assert await blobs.size("whole") is None

    asyncio.run(main())


def test_a_large_object_is_read_with_several_requests(blobs: S3BlobStore, calls: list[str]) -> None:
    async def main() -> None:
        data = noise(READ_SIZE + 3)
        await blobs.write("big", chunks(data))
        calls.clear()
        got = [chunk async for chunk in blobs.read("big")]
        assert list(map(len, got)) == [READ_SIZE, 3]
        assert b"".join(got) == data
        assert calls == ["GetObject", "GetObject"]

    asyncio.run(main())


def test_reading_an_object_that_changes_raises_an_error(
    blobs: S3BlobStore,
) -> None:
    async def main() -> None:
        await blobs.write("big", chunks(b"a" * (READ_SIZE + 1)))
        source = blobs.read("big")
        assert await anext(source) == b"a" * READ_SIZE
        await blobs.write("big", chunks(b"b" * (READ_SIZE + 1)))
        with pytest.raises(ClientError, match="PreconditionFailed"):
            await anext(source)

    asyncio.run(main())


def test_a_large_object_is_written_in_parts(blobs: S3BlobStore, calls: list[str]) -> None:
    async def main() -> None:
        data = noise(2 * PART_SIZE + 5)
        cuts = [data[start : start + 3 * MB] for start in range(0, len(data), 3 * MB)]
        assert await blobs.write("long", chunks(*cuts)) == len(data)
        assert calls == ["CreateMultipartUpload", *["UploadPart"] * 3, "CompleteMultipartUpload"]
        assert await content(blobs, "long") == data

    asyncio.run(main())


@pytest.mark.parametrize("size", [10, PART_SIZE + 10])
def test_nothing_is_left_if_the_source_fails(blobs: S3BlobStore, s3: Any, size: int) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * size
        raise ValueError("the client disconnected")

    async def main() -> None:
        with pytest.raises(ValueError, match="disconnected"):
            await blobs.write("long", broken())
        assert await blobs.size("long") is None
        assert s3.list_multipart_uploads(Bucket="jobs").get("Uploads", []) == []

    asyncio.run(main())


def test_s3_joins_large_objects_and_small_ones_are_uploaded_together(
    blobs: S3BlobStore, calls: list[str]
) -> None:
    async def main() -> None:
        parts = {
            f"part/{number}": noise(size)
            for number, size in enumerate([6 * MB, 10, 0, 2 * MB, 11 * MB, 7])
        }
        for key, data in parts.items():
            await blobs.write(key, chunks(data))
        calls.clear()
        assert await blobs.join(list(parts), "whole") == sum(map(len, parts.values()))
        assert calls.count("UploadPartCopy") == 2
        assert calls.count("UploadPart") == 2
        assert await content(blobs, "whole") == b"".join(parts.values())
        assert await content(blobs, "part/1") == parts["part/1"]

    asyncio.run(main())


def test_objects_that_are_small_together_are_joined_by_one_write(
    blobs: S3BlobStore, calls: list[str]
) -> None:
    async def main() -> None:
        for key in "abc":
            await blobs.write(key, chunks(key.encode() * 3))
        calls.clear()
        assert await blobs.join(["b", "a", "c"], "whole") == 9
        assert calls.count("PutObject") == 1
        assert "CreateMultipartUpload" not in calls
        assert await content(blobs, "whole") == b"bbbaaaccc"

    asyncio.run(main())


def test_a_join_that_fails_is_aborted(blobs: S3BlobStore, s3: Any) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("gone")

    async def main() -> None:
        await blobs.write("big", chunks(b"a" * (6 * MB)))
        s3.meta.events.register("before-call.s3.UploadPartCopy", refuse)
        with pytest.raises(ConnectionError, match="gone"):
            await blobs.join(["big", "big"], "whole")
        assert await blobs.size("whole") is None
        assert s3.list_multipart_uploads(Bucket="jobs").get("Uploads", []) == []

    asyncio.run(main())


def test_a_key_is_deleted_with_all_keys_below_it_only(blobs: S3BlobStore, s3: Any) -> None:
    async def main() -> None:
        for key in ("job/1", "job/1/a", "job/1/b/c", "job/10", "job/1x"):
            await blobs.write(key, chunks(b"."))
        await blobs.delete("job/1")
        assert await blobs.keys("") == ["job/10", "job/1x"]
        await blobs.delete("job/1")

    asyncio.run(main())
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="jobs")["Contents"]] == [
        "p/job/10",
        "p/job/1x",
    ]


def test_more_than_a_page_of_keys_is_listed_and_deleted(blobs: S3BlobStore, s3: Any) -> None:
    def small_pages(params: dict[str, Any], **_: object) -> None:
        params["MaxKeys"] = 10

    async def main() -> None:
        s3.meta.events.register("before-parameter-build.s3.ListObjectsV2", small_pages)
        names = [f"many/{number:03d}" for number in range(25)]
        for name in names:
            await blobs.write(name, chunks(b"."))
        assert await blobs.keys("many/") == names
        await blobs.delete("many")
        assert await blobs.keys("") == []

    asyncio.run(main())
