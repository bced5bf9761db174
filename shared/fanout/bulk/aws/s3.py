"""Bytes in an S3 bucket: read by ranges, written in parts, joined by S3 itself where it can."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from ...concurrency import Failure, map_all
from .clients import ClientError, call, code_of
from .multipart_copy import SMALLEST, Piece, pieces_of, target_of

PIECE = 4 * 1024 * 1024
"""Bytes asked for at a time: a slow reader never holds a connection that S3 would close."""

PART = 8 * 1024 * 1024
GROWTH = 1_000
"""Parts after which they become larger, so that 10,000 of them are enough for any file."""

AT_ONCE = 8
MAX_DELETED = 1_000
GONE = frozenset({"NoSuchKey", "404", "NotFound"})


class S3BlobStore:
    """Each key an object below `prefix` of the bucket."""

    def __init__(
        self, client: Any, bucket: str, prefix: str = "", *, smallest: int = SMALLEST
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
        """The bytes `[start, end)`, all of one version of the object."""
        version: dict[str, str] = {}
        while end is None or start < end:
            last = start + PIECE if end is None else min(end, start + PIECE)
            try:
                got = await self._call(
                    "get_object", key, Range=f"bytes={start}-{last - 1}", **version
                )
            except ClientError as error:
                if code_of(error) == "InvalidRange":
                    return
                raise _missing(error, key) from None
            data: bytes = await call(got["Body"].read)
            yield data
            version = {"IfMatch": got["ETag"]}
            start += len(data)
            if start >= int(got["ContentRange"].rpartition("/")[2]):
                return

    async def size(self, key: str) -> int | None:
        """The object's size."""
        try:
            return int((await self._call("head_object", key))["ContentLength"])
        except ClientError as error:
            if code_of(error) in GONE:
                return None
            raise

    def link(self, key: str, seconds: int) -> str:
        """An address at which anyone may read the object, for so long."""
        where = {"Bucket": self._bucket, "Key": self._prefix + key}
        url: str = self._client.generate_presigned_url("get_object", where, ExpiresIn=seconds)
        return url

    async def keys(self, prefix: str) -> Sequence[str]:
        """The keys that begin so, in order."""
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

    async def write(self, key: str, pieces: AsyncIterable[bytes]) -> int:
        """Write it part by part; there is nothing until the last is there."""
        held = bytearray()
        size = 0
        upload = _Upload(self._call, key)
        try:
            async for piece in pieces:
                held += piece
                size += len(piece)
                while len(held) >= (part := PART * (1 + upload.count // GROWTH)):
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
        """Have S3 copy what is large, and gather what is small to parts that it takes."""
        sizes = await self._sizes(parts)
        total = sum(size for _, size in sizes)
        if total < self._smallest:
            return await self.write(key, self._all(parts))
        upload = _Upload(self._call, key)
        target = target_of(total, smallest=self._smallest)

        try:
            await upload.begin()
            await self._add_all(upload, enumerate(pieces_of(sizes, target), 1), target)
            await upload.complete()
        except BaseException:
            await upload.abort()
            raise
        return total

    async def _add_all(
        self, upload: _Upload, pieces: Iterable[tuple[int, Piece]], target: int
    ) -> None:
        async def add(numbered: tuple[int, Piece]) -> None:
            await self._add(upload, *numbered, target)

        for outcome in await map_all(add, pieces, limit=AT_ONCE):
            if isinstance(outcome, Failure):
                raise outcome.error

    async def _add(self, upload: _Upload, number: int, piece: Piece, target: int) -> None:
        first = piece[0]
        if len(piece) == 1 and first.size >= target:
            await upload.copy(
                number,
                {"Bucket": self._bucket, "Key": self._prefix + first.key},
                f"bytes={first.start}-{first.end - 1}",
            )
            return
        data = bytearray()
        for one in piece:
            async for got in self.read(one.key, one.start, one.end):
                data += got
        await upload.put(number, bytes(data))

    async def _sizes(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for key, outcome in zip(keys, await map_all(self._known, keys, limit=AT_ONCE), strict=True):
            if isinstance(outcome, Failure):
                raise outcome.error
            found.append((key, outcome.value))
        return found

    async def _known(self, key: str) -> int:
        size = await self.size(key)
        if size is None:
            raise FileNotFoundError(key)
        return size

    async def _all(self, keys: Sequence[str]) -> AsyncIterator[bytes]:
        for key in keys:
            async for piece in self.read(key):
                yield piece

    # ---- deleting ----

    async def delete(self, prefix: str) -> None:
        """Delete the object, and those below it."""
        below = await self.keys(f"{prefix}/")
        await self.drop([prefix, *below])

    async def drop(self, keys: Sequence[str]) -> None:
        """Delete these; one that is not there is no matter."""
        for start in range(0, len(keys), MAX_DELETED):
            names = [{"Key": self._prefix + key} for key in keys[start : start + MAX_DELETED]]
            done = await call(
                self._client.delete_objects,
                Bucket=self._bucket,
                Delete={"Objects": names, "Quiet": True},
            )
            for error in done.get("Errors", ()):
                raise OSError(f"S3 could not delete `{error['Key']}`: {error.get('Code')}")


class _Upload:
    """A multipart upload; begun with its first part."""

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
        """The next part."""
        if self._id is None:
            await self.begin()
        await self.put(self.count + 1, data)

    async def put(self, number: int, data: bytes) -> None:
        """A part with our own bytes."""
        done = await self._call(
            "upload_part", self._key, UploadId=self._id, PartNumber=number, Body=data
        )
        self._tags[number] = done["ETag"]

    async def copy(self, number: int, source: dict[str, str], bytes_: str) -> None:
        """A part that S3 takes from another object."""
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
        """Let go of what is there; a lifecycle rule would do it a day later."""
        if self._id is not None:
            with suppress(ClientError):
                await self._call("abort_multipart_upload", self._key, UploadId=self._id)


def _missing(error: ClientError, key: str) -> Exception:
    return FileNotFoundError(key) if code_of(error) in GONE else error
