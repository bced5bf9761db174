"""Files and uploads: kept, listed, read, deleted. Knows nothing of HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence

from msgspec.structs import replace

from ...errors import NotFound, RequestError
from ..store import BlobStore, RecordStore
from .records import FileRecord, UploadRecord
from .registry import Page, Registry, new_id

UPLOAD_LIFE = 3600
MAX_UPLOAD = 8 * 1024**3
MAX_PART = 64 * 1024 * 1024
MONTH = 2_592_000


class FileService:
    """
    Everything that `/v1/files` and `/v1/uploads` ask for; `is_used` tells what a job reads.

    `lifetime` is the seconds after which the store itself drops files; `link` an address at which a
    file's bytes may be had instead, where that is better.
    """

    def __init__(
        self,
        blobs: BlobStore,
        table: RecordStore,
        now: Callable[[], float],
        *,
        lifetime: int | None = None,
        link: Callable[[FileRecord], str | None] = lambda _: None,
    ) -> None:
        self.blobs = blobs
        self.link = link
        self.is_used: Callable[[str], Awaitable[bool]] = _never
        self._now = now
        self._lifetime = lifetime
        self._files = Registry(table, "file", FileRecord, lambda record: record.owner)
        self._uploads = Registry(table, "upload", UploadRecord, lambda record: record.owner)

    # ---- files ----

    def new_key(self) -> str:
        """A key for bytes that have no record yet."""
        return f"files/{new_id('file-', self._now())}"

    async def register(
        self, key: str, filename: str, purpose: str, owner: str, lifetime: int | None = None
    ) -> FileRecord:
        """A record for bytes that are there, under the key that `new_key` gave."""
        created = int(self._now())
        lifetime = lifetime or self._lifetime
        record = FileRecord(
            id=key.removeprefix("files/"),
            bytes=await self.blobs.size(key) or 0,
            created_at=created,
            filename=filename,
            purpose=purpose,
            owner=owner,
            key=key,
            expires_at=None if lifetime is None else created + lifetime,
        )
        await self._files.create(record.id, record)
        return record

    async def find(self, file_id: str, caller: str | None) -> FileRecord:
        """The caller's file, unless its time is over."""
        record = await self._files.find(file_id, caller)
        if record.expires_at is not None and record.expires_at <= self._now():
            await self._drop(record)
            raise NotFound(f"the file `{file_id}` has expired", "id")
        return record

    async def page(
        self,
        caller: str,
        *,
        after: str | None,
        limit: int,
        newest_first: bool,
        purpose: str | None,
    ) -> Page[FileRecord]:
        """The caller's files."""
        now = self._now()

        def keep(record: FileRecord) -> bool:
            alive = record.expires_at is None or record.expires_at > now
            return alive and purpose in {None, record.purpose}

        return await self._files.page(
            caller, after=after, limit=limit, newest_first=newest_first, keep=keep
        )

    def content(self, record: FileRecord) -> AsyncIterator[bytes]:
        """Its bytes, as a stream."""
        return self.blobs.read(record.key)

    async def delete(self, file_id: str, caller: str) -> None:
        """Delete a file and its bytes."""
        await self._drop(await self._files.find(file_id, caller))

    async def _drop(self, record: FileRecord) -> None:
        """The record at once; the bytes when no job reads them any more."""
        await self._files.delete(record.id)
        if not await self.is_used(record.key):
            await self.blobs.delete(record.key)

    async def sweep(self, file_id: str, key: str) -> None:
        """Delete the bytes of a file that was deleted while a job read them."""
        try:
            await self._files.find(file_id, None)
        except NotFound:
            await self.blobs.delete(key)

    # ---- uploads ----

    async def begin_upload(
        self, filename: str, purpose: str, size: int, owner: str, lifetime: int | None
    ) -> UploadRecord:
        """An upload that waits for its parts, for an hour."""
        if not 0 < size <= MAX_UPLOAD:
            raise RequestError(f"`bytes` must be between 1 and {MAX_UPLOAD}", "bytes")
        now = self._now()
        record = UploadRecord(
            id=new_id("upload_", now),
            bytes=size,
            created_at=int(now),
            expires_at=int(now) + UPLOAD_LIFE,
            filename=filename,
            purpose=purpose,
            owner=owner,
            lifetime=lifetime,
        )
        await self._uploads.create(record.id, record)
        return record

    async def add_part(self, upload_id: str, caller: str, data: AsyncIterable[bytes]) -> str:
        """Keep one part; its id."""
        await self._pending(upload_id, caller)
        part_id = new_id("part_", self._now())
        await self.blobs.write(f"uploads/{upload_id}/{part_id}", data)
        return part_id

    async def complete_upload(
        self, upload_id: str, caller: str, part_ids: Sequence[str], md5: str | None
    ) -> tuple[UploadRecord, FileRecord]:
        """The parts, in this order, as a file; refused unless it is as long as was announced."""
        record = await self._pending(upload_id, caller)
        keys = [f"uploads/{upload_id}/{part_id}" for part_id in part_ids]
        sizes = [
            await self.blobs.size(k) if _is_word(p) else None
            for k, p in zip(keys, part_ids, strict=True)
        ]
        for part_id, size in zip(part_ids, sizes, strict=True):
            if size is None:
                raise RequestError(f"there is no part `{part_id[:80]}`", "part_ids")
        total = sum(size or 0 for size in sizes)
        if total != record.bytes:
            raise RequestError(
                f"the parts have {total} bytes, and `bytes` announced {record.bytes}", "part_ids"
            )
        key = self.new_key()
        await self.blobs.join(keys, key)
        if md5 is not None and await self._md5(key) != md5.lower():
            await self.blobs.delete(key)
            raise RequestError("the parts do not have this `md5`", "md5")
        file = await self.register(
            key, record.filename, record.purpose, record.owner, record.lifetime
        )
        done = await self._close(upload_id, "completed")
        return done, file

    async def cancel_upload(self, upload_id: str, caller: str) -> UploadRecord:
        """Throw the parts away."""
        await self._pending(upload_id, caller)
        return await self._close(upload_id, "cancelled")

    async def _pending(self, upload_id: str, caller: str) -> UploadRecord:
        record = await self._uploads.find(upload_id, caller)
        if record.status == "pending" and record.expires_at <= self._now():
            record = await self._close(upload_id, "expired")
        if record.status != "pending":
            raise RequestError(f"the upload `{upload_id}` is {record.status}", "upload_id")
        return record

    async def _close(self, upload_id: str, status: str) -> UploadRecord:
        await self.blobs.delete(f"uploads/{upload_id}")
        return await self._uploads.change(upload_id, lambda r: replace(r, status=status))

    async def _md5(self, key: str) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        async for piece in self.blobs.read(key):
            digest.update(piece)
        return digest.hexdigest()


async def _never(_key: str) -> bool:
    return False


def _is_word(name: str) -> bool:
    return name.replace("_", "").isalnum()
