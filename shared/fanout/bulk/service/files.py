"""Files and uploads: create, list, read, delete. Does not depend on HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from ...errors import DamagedRecord, NotFound, RequestError, StorageFull
from ..store import BlobStore, RecordStore
from .file_records import FileRecord, UploadRecord
from .records import R, as_if_created_now
from .registry import Page, Registry, Report, new_id

UPLOAD_LIFETIME = 3600
MAX_UPLOAD = 8 * 1024**3
MAX_PART = 64 * 1024 * 1024
MONTH = 2_592_000


class FileService:
    """
    The operations of `/v1/files` and `/v1/uploads`.

    `is_used` returns whether a running job reads a key. `lifetime` is the seconds after which the
    store deletes files by itself. `link` returns a URL from which to download a file, or `None` if
    the gateway is to send its bytes. `report` gets the ids of records that cannot be read.
    """

    def __init__(
        self,
        blobs: BlobStore,
        table: RecordStore,
        now: Callable[[], float],
        *,
        lifetime: int | None = None,
        link: Callable[[FileRecord], str | None] = lambda _: None,
        report: Report = lambda _id, _error: None,
    ) -> None:
        self.blobs = blobs
        self.link = link
        self.report = report
        self.is_used: Callable[[str], Awaitable[bool]] = _never
        self._now = now
        self._lifetime = lifetime
        self._files = Registry(table, "file", FileRecord, lambda record: record.owner, report)
        self._uploads = Registry(table, "upload", UploadRecord, lambda record: record.owner, report)

    # ---- files ----

    def new_key(self) -> str:
        """A key for bytes that have no record yet."""
        return f"files/{new_id('file-', self._now())}"

    async def register(
        self, key: str, filename: str, purpose: str, owner: str, lifetime: int | None = None
    ) -> FileRecord:
        """Add the record of bytes that are stored under a key from `new_key`."""
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

    async def find(self, file_id: str, client: str | None) -> FileRecord:
        """The client's file; `NotFound` if it is missing, another client's or has expired."""
        record = await self._files.find(file_id, client)
        if record.expires_at is not None and record.expires_at <= self._now():
            await self._delete(record)
            raise NotFound(f"the file `{file_id}` has expired", "id")
        return record

    async def page(
        self,
        client: str,
        *,
        after: str | None,
        limit: int,
        newest_first: bool,
        purpose: str | None,
    ) -> Page[FileRecord]:
        """The client's files, one page of them."""
        now = self._now()

        def keep(record: FileRecord) -> bool:
            is_valid = record.expires_at is None or record.expires_at > now
            return is_valid and purpose in {None, record.purpose}

        return await self._files.page(
            client, after=after, limit=limit, newest_first=newest_first, keep=keep
        )

    async def content(self, record: FileRecord) -> AsyncIterator[bytes]:
        """The file's bytes, in chunks; raises `DamagedRecord` if some are missing."""
        await self.check_bytes(record)
        async for chunk in self.blobs.read(record.key):
            yield chunk

    async def check_bytes(self, record: FileRecord) -> None:
        """Raise `DamagedRecord` unless the stored bytes are as many as were registered."""
        size = await self.blobs.size(record.key)
        if size != record.bytes:
            stored = f"{size or 0} of its {record.bytes} bytes are stored"
            raise DamagedRecord("file", record.id, stored)

    async def delete(self, file_id: str, client: str) -> None:
        """Delete a file and its bytes; of a damaged record, which names them, only the record."""
        record = await self._files.find_or_delete(file_id, client)
        if record is not None:
            await self._delete(record)

    async def _delete(self, record: FileRecord) -> None:
        """
        Delete the record at once, and the bytes unless a job still reads them.

        On a full disk, the bytes are deleted first, so that the change of the record has room.
        """
        try:
            await self._files.delete(record.id)
        except StorageFull:
            if await self.is_used(record.key):
                raise
            await self.blobs.delete(record.key)
            await self._files.delete(record.id)
            return
        if not await self.is_used(record.key):
            await self.blobs.delete(record.key)

    async def delete_orphan(self, file_id: str, key: str) -> None:
        """Delete the bytes of a file whose record was deleted while a job read it."""
        try:
            await self._files.find(file_id, None)
        except NotFound:
            await self.blobs.delete(key)

    async def delete_expired(self) -> None:
        """Delete all files that have expired, and the parts of uploads that have."""
        now = self._now()
        await _give_lifetime(self._files, now)
        await _give_lifetime(self._uploads, now)
        files = await self._files.all(
            lambda one: one.expires_at is not None and one.expires_at <= now
        )
        for file in files:
            await self._delete(file)
        uploads = await self._uploads.all(
            lambda one: one.status == "pending" and one.expires_at <= now
        )
        for upload in uploads:
            await self._close(upload.id, "expired")

    # ---- uploads ----

    async def begin_upload(
        self, filename: str, purpose: str, size: int, owner: str, lifetime: int | None
    ) -> UploadRecord:
        """Create an upload; its parts may be added for an hour."""
        if not 0 < size <= MAX_UPLOAD:
            raise RequestError(f"`bytes` must be between 1 and {MAX_UPLOAD}", "bytes")
        now = self._now()
        record = UploadRecord(
            id=new_id("upload_", now),
            bytes=size,
            created_at=int(now),
            expires_at=int(now) + UPLOAD_LIFETIME,
            filename=filename,
            purpose=purpose,
            owner=owner,
            lifetime=lifetime,
        )
        await self._uploads.create(record.id, record)
        return record

    async def add_part(self, upload_id: str, client: str, data: AsyncIterable[bytes]) -> str:
        """Store one part and return its id."""
        await self._pending(upload_id, client)
        part_id = new_id("part_", self._now())
        await self.blobs.write(f"uploads/{upload_id}/{part_id}", data)
        return part_id

    async def complete_upload(
        self, upload_id: str, client: str, part_ids: Sequence[str], md5: str | None
    ) -> tuple[UploadRecord, FileRecord]:
        """Join the parts, in this order, into a file; its size must be the announced one."""
        if len(set(part_ids)) < len(part_ids):
            raise RequestError("`part_ids` has an id twice", "part_ids")
        record = await self._pending(upload_id, client)
        keys = [f"uploads/{upload_id}/{part_id}" for part_id in part_ids]
        sizes = [
            await self.blobs.size(key) if _is_id(part_id) else None
            for key, part_id in zip(keys, part_ids, strict=True)
        ]
        for part_id, size in zip(part_ids, sizes, strict=True):
            if size is None:
                raise RequestError(f"there is no part `{part_id[:80]}`", "part_ids")
        total = sum(size or 0 for size in sizes)
        if total != record.bytes:
            raise RequestError(
                f"the parts have {total} bytes, but `bytes` announced {record.bytes}", "part_ids"
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

    async def cancel_upload(self, upload_id: str, client: str) -> UploadRecord:
        """Cancel the upload and delete its parts."""
        await self._pending(upload_id, client)
        return await self._close(upload_id, "cancelled")

    async def _pending(self, upload_id: str, client: str) -> UploadRecord:
        record = await self._uploads.find(upload_id, client)
        if record.status == "pending" and record.expires_at <= self._now():
            record = await self._close(upload_id, "expired")
        if record.status != "pending":
            raise RequestError(f"the upload `{upload_id}` is {record.status}", "upload_id")
        return record

    async def _close(self, upload_id: str, status: str) -> UploadRecord:
        await self.blobs.delete(f"uploads/{upload_id}")
        return await self._uploads.change(upload_id, lambda record: replace(record, status=status))

    async def _md5(self, key: str) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        async for chunk in self.blobs.read(key):
            await asyncio.to_thread(digest.update, chunk)
        return digest.hexdigest()


async def _give_lifetime(registry: Registry[R], now: float) -> None:
    """Let the lifetime of records begin now that were created in the future: the clock was set."""
    change = partial(as_if_created_now, now=now)
    for record in await registry.all(lambda one: change(one) is not None):
        with suppress(NotFound):
            await registry.change(record.id, change)


async def _never(_key: str) -> bool:
    return False


def _is_id(name: str) -> bool:
    return name.replace("_", "").isalnum()
