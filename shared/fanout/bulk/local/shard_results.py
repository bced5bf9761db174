"""The results of a job's shards: two files each, to which lines are appended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from ...disk.files import PRIVATE_FILE, check_room, make_private_folder, storage_errors, write_all
from ...disk.threads import in_thread
from ...errors import StorageError
from ..store import ResultKeys
from .file_store import CHUNK, FolderBlobStore

ROOM = 1 << 18
"""Bytes for which there must be room before lines of a shard are sent."""


class FolderResultStore:
    """A job's results: two files a shard, one for responses and one for failures."""

    def __init__(self, blobs: FolderBlobStore, prefix: str) -> None:
        self._blobs = blobs
        self._prefix = prefix

    async def open(self, index: int) -> FolderShardResults:
        """Open the shard's files, without the incomplete line that a crash may have left."""
        paths = [self._blobs.path(key) for key in self._keys(index)]
        await in_thread(_prepare, paths)
        return FolderShardResults(*paths)

    async def keys(self, index: int) -> ResultKeys:
        """The keys of the two files, if they exist."""
        existing = [
            [key] if await self._blobs.size(key) is not None else [] for key in self._keys(index)
        ]
        return ResultKeys(*existing)

    def _keys(self, index: int) -> list[str]:
        prefix = f"{self._prefix}/results/{index:06d}"
        return [f"{prefix}.answers.jsonl", f"{prefix}.failures.jsonl"]


class FolderShardResults:
    """
    Appends each line with one write, before `put` returns: a killed process loses none of them.

    That write is the only one in the event loop's thread. It goes to the system's memory, and takes
    less time than to wake a thread; meanwhile a kill would lose responses that have arrived. A file
    is created with its first line, since most shards have no failures.
    """

    def __init__(self, responses: Path, failures: Path) -> None:
        self._files = _AppendedFile(responses), _AppendedFile(failures)
        self._opening = asyncio.Lock()

    async def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """The lines of both files."""
        for failed, file in zip((False, True), self._files, strict=True):
            if (source := await in_thread(_open_if_there, file.path)) is None:
                continue
            try:
                while lines := await in_thread(source.readlines, CHUNK):
                    for line in lines:
                        yield failed, line
            finally:
                await in_thread(source.close)

    async def put(self, line: bytes, *, failed: bool) -> None:
        """Append the line; after a `StorageError`, no part of it is stored."""
        file = self._files[failed]
        try:
            if not file.is_open:
                async with self._opening:
                    await in_thread(file.open)
        except asyncio.CancelledError:
            file.cancelled.append(line)
            raise
        file.append(line)

    async def flush(self) -> None:
        """Do nothing: `put` has written to the file."""

    async def close(self) -> None:
        """Write the lines whose `put` was cancelled, and close both files."""
        for file in self._files:
            await in_thread(file.close)


class _AppendedFile:
    """A file to which whole lines are appended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cancelled: list[bytes] = []
        self._file: BinaryIO | None = None
        self._end = 0

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def open(self) -> None:
        """Open or create the file."""
        if self._file is None:
            with storage_errors(self.path):
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                number = os.open(self.path, flags, PRIVATE_FILE)
                self._end = os.fstat(number).st_size
                self._file = os.fdopen(number, "ab", buffering=0)

    def append(self, line: bytes) -> None:
        """Append the line or nothing."""
        if self._file is None:
            raise StorageError(str(self.path), "the file is closed")
        with storage_errors(self.path):
            try:
                write_all(self._file, line)
            except OSError:
                self._file.truncate(self._end)
                raise
        self._end += len(line)

    def close(self) -> None:
        """Write what was cancelled, and close the file."""
        try:
            while self.cancelled:
                self.open()
                self.append(self.cancelled[0])
                del self.cancelled[0]
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None


def _open_if_there(path: Path) -> BinaryIO | None:
    return path.open("rb") if path.is_file() else None


def _prepare(paths: list[Path]) -> None:
    """
    Create the folder, and make sure that there is room in it.

    The last line of each file is removed if it has no line break.
    """
    with storage_errors(paths[0]):
        make_private_folder(paths[0].parent)
        for path in paths:
            _truncate_last_line(path)
        check_room(paths[0].with_name(".room"), ROOM)


def _truncate_last_line(path: Path) -> None:
    if not path.is_file() or not (size := path.stat().st_size):
        return
    with path.open("rb+") as file:
        keep = size
        while keep:
            start = max(0, keep - CHUNK)
            file.seek(start)
            found = file.read(keep - start).rfind(b"\n")
            keep = start + found + 1 if found >= 0 else start
            if found >= 0:
                break
        if keep < size:
            file.truncate(keep)
