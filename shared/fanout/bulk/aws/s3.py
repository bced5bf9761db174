"""Blobs in an S3 bucket: read by ranges, written in parts, and joined by S3 where it can."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from ...concurrency import Failure, map_all
from .clients import ClientError, call, error_code
from .multipart_copy import MIN_PART, Part, part_size, plan_parts

READ_SIZE = 4 * 1024 * 1024
"""Bytes of one request, read at once: a slow reader keeps no connection open."""

PART_SIZE = 8 * 1024 * 1024
PARTS_PER_SIZE = 1_000
"""Parts after which the next ones are larger, so that 10,000 of them are enough for any file."""

MAX_CONCURRENT = 8
MAX_DELETED = 1_000
"""The most keys of a `DeleteObjects`."""

T = TypeVar("T")

NOT_FOUND = frozenset({"NoSuchKey", "404", "NotFound"})


class S3BlobStore:
    """A `BlobStore` whose keys are objects below `prefix` in a bucket."""

    def __init__(
        self, client: Any, bucket: str, prefix: str = "", *, smallest: int = MIN_PART
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._smallest = smallest

    async def _call(self, name: str, key: str, **arguments: Any) -> Any:
        method = getattr(self._client, name)
        return await call(method, Bucket=self._bucket, Key=self._prefix + key, **arguments)

    # ---- reading ----

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes `[start, end)` in chunks, all from one version of the object."""
        version: dict[str, str] = {}
        while end is None or start < end:
            last = start + READ_SIZE if end is None else min(end, start + READ_SIZE)
            try:
                got = await self._call(
                    "get_object", key, Range=f"bytes={start}-{last - 1}", **version
                )
            except ClientError as error:
                if error_code(error) == "InvalidRange":
                    return
                raise _as_missing(error, key) from None
            data: bytes = await call(got["Body"].read)
            yield data
            version = {"IfMatch": got["ETag"]}
            start += len(data)
            if start >= int(got["ContentRange"].rpartition("/")[2]):
                return

    async def size(self, key: str) -> int | None:
        """The object's size in bytes; `None` if it is missing."""
        try:
            return int((await self._call("head_object", key))["ContentLength"])
        except ClientError as error:
            if error_code(error) in NOT_FOUND:
                return None
            raise

    def presigned_url(self, key: str, seconds: int) -> str:
        """A URL at which anyone can download the object for that time."""
        where = {"Bucket": self._bucket, "Key": self._prefix + key}
        url: str = self._client.generate_presigned_url("get_object", where, ExpiresIn=seconds)
        return url

    async def keys(self, prefix: str) -> Sequence[str]:
        """The keys that start with `prefix`, in order."""
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = await call(
                self._client.list_objects_v2,
                Bucket=self._bucket,
                Prefix=self._prefix + prefix,
                **more,
            )
            found += [one["Key"].removeprefix(self._prefix) for one in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    # ---- writing ----

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Write an object part by part; it exists only when all parts are written."""
        held = bytearray()
        size = 0
        upload = _MultipartUpload(self._call, key)
        try:
            async for chunk in chunks:
                held += chunk
                size += len(chunk)
                while len(held) >= (part := PART_SIZE * (1 + upload.count // PARTS_PER_SIZE)):
                    await upload.add(bytes(held[:part]))
                    del held[:part]
            if upload.count:
                if held:
                    await upload.add(bytes(held))
                await upload.complete()
            else:
                await self._call("put_object", key, Body=bytes(held))
        except BaseException:
            await upload.abort()
            raise
        return size

    async def join(self, parts: Sequence[str], key: str) -> int:
        """Join objects: S3 copies large ones, small ones are read and uploaded together."""
        sizes = await self._sizes(parts)
        total = sum(size for _, size in sizes)
        if total < self._smallest:
            return await self.write(key, self._read_all(parts))
        upload = _MultipartUpload(self._call, key)
        target = part_size(total, smallest=self._smallest)
        try:
            await upload.begin()
            await self._add_all(upload, enumerate(plan_parts(sizes, target), 1), target)
            await upload.complete()
        except BaseException:
            await upload.abort()
            raise
        return total

    async def _add_all(
        self, upload: _MultipartUpload, parts: Iterable[tuple[int, Part]], target: int
    ) -> None:
        async def add(numbered: tuple[int, Part]) -> None:
            await self._add(upload, *numbered, target)

        for outcome in await map_all(add, parts, limit=MAX_CONCURRENT):
            if isinstance(outcome, Failure):
                raise outcome.error

    async def _add(self, upload: _MultipartUpload, number: int, part: Part, target: int) -> None:
        first = part[0]
        if len(part) == 1 and first.size >= target:
            await upload.copy(
                number,
                {"Bucket": self._bucket, "Key": self._prefix + first.key},
                f"bytes={first.start}-{first.end - 1}",
            )
            return
        data = bytearray()
        for one in part:
            async for chunk in self.read(one.key, one.start, one.end):
                data += chunk
        await upload.put(number, bytes(data))

    async def _sizes(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        outcomes = await map_all(self._existing_size, keys, limit=MAX_CONCURRENT)
        for key, outcome in zip(keys, outcomes, strict=True):
            if isinstance(outcome, Failure):
                raise outcome.error
            found.append((key, outcome.value))
        return found

    async def _existing_size(self, key: str) -> int:
        size = await self.size(key)
        if size is None:
            raise FileNotFoundError(key)
        return size

    async def _read_all(self, keys: Sequence[str]) -> AsyncIterator[bytes]:
        for key in keys:
            async for chunk in self.read(key):
                yield chunk

    # ---- deleting ----

    async def delete(self, prefix: str) -> None:
        """Delete this key and all keys below it."""
        below = await self.keys(f"{prefix}/")
        await self.delete_keys([prefix, *below])

    async def delete_keys(self, keys: Sequence[str]) -> None:
        """Delete these keys; missing ones are no error."""
        for start in range(0, len(keys), MAX_DELETED):
            names = [{"Key": self._prefix + key} for key in keys[start : start + MAX_DELETED]]
            done = await call(
                self._client.delete_objects,
                Bucket=self._bucket,
                Delete={"Objects": names, "Quiet": True},
            )
            for error in done.get("Errors", ()):
                raise OSError(f"S3 could not delete `{error['Key']}`: {error.get('Code')}")


class _MultipartUpload:
    """A multipart upload, which starts with its first part."""

    def __init__(self, call_: Callable[..., Awaitable[Any]], key: str) -> None:
        self._call = call_
        self._key = key
        self._id: str | None = None
        self._tags: dict[int, str] = {}

    @property
    def count(self) -> int:
        return len(self._tags)

    async def begin(self) -> None:
        self._id = (await self._call("create_multipart_upload", self._key))["UploadId"]

    async def add(self, data: bytes) -> None:
        """Upload the next part."""
        if self._id is None:
            await self.begin()
        await self.put(self.count + 1, data)

    async def put(self, number: int, data: bytes) -> None:
        """Upload a part by its number."""
        done = await self._call(
            "upload_part", self._key, UploadId=self._id, PartNumber=number, Body=data
        )
        self._tags[number] = done["ETag"]

    async def copy(self, number: int, source: dict[str, str], bytes_: str) -> None:
        """Have S3 copy a part from another object."""
        done = await self._call(
            "upload_part_copy",
            self._key,
            UploadId=self._id,
            PartNumber=number,
            CopySource=source,
            CopySourceRange=bytes_,
        )
        self._tags[number] = done["CopyPartResult"]["ETag"]

    async def complete(self) -> None:
        parts = [{"PartNumber": n, "ETag": tag} for n, tag in sorted(self._tags.items())]
        await self._call(
            "complete_multipart_upload",
            self._key,
            UploadId=self._id,
            MultipartUpload={"Parts": parts},
        )

    async def abort(self) -> None:
        """Delete the uploaded parts; the bucket's lifecycle rule would do so a day later."""
        if self._id is not None:
            with suppress(ClientError):
                await self._call("abort_multipart_upload", self._key, UploadId=self._id)


def _as_missing(error: ClientError, key: str) -> Exception:
    return FileNotFoundError(key) if error_code(error) in NOT_FOUND else error


async def once(value: T) -> AsyncIterator[T]:
    """The value alone, for what reads an iterator, such as `S3BlobStore.write`."""
    yield value
