"""Bytes in a folder: each key is a file. Nothing here runs in the event loop's thread."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ...disk.files import DRAFT_PREFIX, PRIVATE_FILE, Draft, make_private_folder, storage_errors
from ...disk.threads import in_thread
from .storage_limit import StorageLimit

CHUNK = 1 << 20


class FolderBlobStore:
    """
    Each key is a file below `root`; a file is written completely or not at all.

    With a `limit`, what is over it is not written.
    """

    def __init__(self, root: Path, limit: StorageLimit | None = None) -> None:
        self.root = root
        self.limit = limit

    def path(self, key: str) -> Path:
        """The file of a key; keys are made by Fanout, never by a client."""
        return self.root / key

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes `[start, end)`, a megabyte at a time."""
        file = await in_thread(_open_at, self.path(key), start)
        try:
            remaining = CHUNK if end is None else end - start
            while remaining > 0:
                data = await in_thread(file.read, min(CHUNK, remaining))
                if not data:
                    return
                yield data
                remaining = CHUNK if end is None else remaining - len(data)
        finally:
            await in_thread(file.close)

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Write to a temporary file, and rename it at the end."""
        draft = await in_thread(_private_draft, self.path(key))
        size, is_written = 0, False
        try:
            async for chunk in chunks:
                if self.limit is not None:
                    await self.limit.take(len(chunk))
                size += len(chunk)
                await in_thread(draft.write, chunk)
            await in_thread(draft.commit)
            is_written = True
        finally:
            await in_thread(draft.discard)
            if self.limit is not None and not is_written:
                self.limit.add(-size)
        return size

    async def join(self, parts: Sequence[str], key: str) -> int:
        """
        Copy the parts one after the other, in a thread.

        Parts that are files stay, so the limit has to have room for their copies.
        """
        if self.limit is not None:
            kept = [part for part in parts if part.startswith("files/")]
            await self.limit.take(sum([await self.size(part) or 0 for part in kept]))
        return await in_thread(self._join, parts, key)

    def _join(self, parts: Sequence[str], key: str) -> int:
        size = 0
        with _private_draft(self.path(key)) as draft:
            for part in parts:
                with self.path(part).open("rb", buffering=0) as source:
                    while data := source.read(CHUNK):
                        draft.write(data)
                        size += len(data)
            draft.commit()
        return size

    async def size(self, key: str) -> int | None:
        """The file's size."""
        return await in_thread(_size, self.path(key))

    async def delete(self, prefix: str) -> None:
        """Delete the file, or the folder."""
        await in_thread(_delete, self.path(prefix))
        if self.limit is not None:
            self.limit.recount()

    async def delete_drafts(self, now: float, age: float) -> None:
        """Delete what killed writers have left: drafts that are older than `age` seconds."""
        await in_thread(_delete_drafts, self.root, now, age)


def _delete_drafts(root: Path, now: float, age: float) -> None:
    for path in root.rglob(f"{DRAFT_PREFIX}*"):
        with suppress(OSError):
            if abs(now - path.stat().st_mtime) > age:  # or the clock was ahead
                path.unlink()


def _open_at(path: Path, start: int) -> BinaryIO:
    file = path.open("rb", buffering=0)
    file.seek(start)
    return file


def _private_draft(path: Path) -> Draft:
    with storage_errors(path):
        make_private_folder(path.parent)
    return Draft(path, mode=PRIVATE_FILE)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
