"""Bytes in a folder: files, and the results of a job's shards."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

from ..store import ResultKeys

PIECE = 1 << 20


class FolderBlobStore:
    """Each key a file below `root`; a file is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where a key's bytes are; the keys are ours, never a caller's."""
        return self.root / key

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes `[start, end)`, a megabyte at a time."""
        with self.path(key).open("rb", buffering=0) as file:
            file.seek(start)
            left = PIECE if end is None else end - start
            while left > 0 and (data := await asyncio.to_thread(file.read, min(PIECE, left))):
                yield data
                left = PIECE if end is None else left - len(data)

    async def write(self, key: str, pieces: AsyncIterable[bytes]) -> int:
        """Write to a file beside it, which takes its place at the end."""
        size = 0
        with _Draft(self.path(key)) as draft:
            async for piece in pieces:
                await asyncio.to_thread(draft.file.write, piece)
                size += len(piece)
            await asyncio.to_thread(draft.keep)
        return size

    async def join(self, parts: Sequence[str], key: str) -> int:
        """Copy the parts one behind the other, in a thread."""
        return await asyncio.to_thread(self._join, parts, key)

    def _join(self, parts: Sequence[str], key: str) -> int:
        with _Draft(self.path(key)) as draft:
            for part in parts:
                with self.path(part).open("rb", buffering=0) as source:
                    shutil.copyfileobj(source, draft.file, PIECE)
            size = draft.file.tell()
            draft.keep()
        return size

    async def size(self, key: str) -> int | None:
        """The file's size."""
        path = self.path(key)
        return path.stat().st_size if path.is_file() else None

    async def delete(self, prefix: str) -> None:
        """Delete the file, or the folder."""
        path = self.path(prefix)
        if path.is_dir():
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class _Draft:
    """A file under another name until it is kept; otherwise it goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        number, self._name = tempfile.mkstemp(prefix=".draft-", dir=path.parent)
        self.file: BinaryIO = os.fdopen(number, "wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def keep(self) -> None:
        """It is whole: put it in its place, safe from a power cut too."""
        os.fsync(self.file.fileno())
        Path(self._name).replace(self._path)

    def __exit__(self, *_error: object) -> None:
        self.file.close()
        Path(self._name).unlink(missing_ok=True)


class FolderResultStore:
    """A job's results: two files for each shard, written line by line."""

    def __init__(self, blobs: FolderBlobStore, prefix: str) -> None:
        self._blobs = blobs
        self._prefix = prefix

    async def open(self, index: int) -> FolderShardResults:
        """The shard's files; a line that a crash has cut is cut off."""
        paths = [self._blobs.path(key) for key in self._keys(index)]
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        return FolderShardResults(paths[0], paths[1])

    async def keys(self, index: int) -> ResultKeys:
        """Those of the two that are there."""
        there = [[k] if self._blobs.path(k).is_file() else [] for k in self._keys(index)]
        return ResultKeys(*there)

    def _keys(self, index: int) -> list[str]:
        place = f"{self._prefix}/results/{index:06d}"
        return [f"{place}.answers.jsonl", f"{place}.failures.jsonl"]


class FolderShardResults:
    """
    One `write` for each line, so that a killed process loses none that it had put.

    A file is made when its first line comes: most shards have no failures.
    """

    def __init__(self, answers: Path, failures: Path) -> None:
        self._paths = answers, failures
        self._files: list[BinaryIO | None] = [None, None]
        for path in self._paths:
            _mend(path)

    async def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """The lines of both files."""
        for failed, path in zip((False, True), self._paths, strict=True):
            if path.is_file():
                with path.open("rb") as file:
                    for line in file:
                        yield failed, line

    async def put(self, line: bytes, *, failed: bool) -> None:
        """Append it."""
        file = self._files[failed]
        if file is None:
            file = self._files[failed] = self._paths[failed].open("ab", buffering=0)
        file.write(line)

    async def flush(self) -> None:
        """It is the system's already."""

    async def close(self) -> None:
        """Close both."""
        for file in self._files:
            if file is not None:
                file.close()
        self._files = [None, None]


def _mend(path: Path) -> None:
    """Cut off a last line without its end."""
    if not path.is_file() or not (size := path.stat().st_size):
        return
    with path.open("rb+") as file:
        keep = size
        while keep:
            start = max(0, keep - PIECE)
            file.seek(start)
            found = file.read(keep - start).rfind(b"\n")
            keep = start + found + 1 if found >= 0 else start
            if found >= 0:
                break
        if keep < size:
            file.truncate(keep)
