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

CHUNK = 1 << 20


class FolderBlobStore:
    """Each key is a file below `root`; a file is written completely or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """The file of a key; keys are made by Fanout, never by a client."""
        return self.root / key

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes `[start, end)`, a megabyte at a time."""
        with self.path(key).open("rb", buffering=0) as file:
            file.seek(start)
            remaining = CHUNK if end is None else end - start
            while remaining > 0:
                data = await asyncio.to_thread(file.read, min(CHUNK, remaining))
                if not data:
                    return
                yield data
                remaining = CHUNK if end is None else remaining - len(data)

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Write to a temporary file, and rename it at the end."""
        size = 0
        with _TemporaryFile(self.path(key)) as temporary:
            async for chunk in chunks:
                await asyncio.to_thread(temporary.file.write, chunk)
                size += len(chunk)
            await asyncio.to_thread(temporary.commit)
        return size

    async def join(self, parts: Sequence[str], key: str) -> int:
        """Copy the parts one after the other, in a thread."""
        return await asyncio.to_thread(self._join, parts, key)

    def _join(self, parts: Sequence[str], key: str) -> int:
        with _TemporaryFile(self.path(key)) as temporary:
            for part in parts:
                with self.path(part).open("rb", buffering=0) as source:
                    shutil.copyfileobj(source, temporary.file, CHUNK)
            size = temporary.file.tell()
            temporary.commit()
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


class _TemporaryFile:
    """A file under a temporary name; it is deleted at the end unless it was committed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        number, self._name = tempfile.mkstemp(prefix=".draft-", dir=path.parent)
        self.file: BinaryIO = os.fdopen(number, "wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def commit(self) -> None:
        """Sync the file to the disk and rename it to its own name."""
        os.fsync(self.file.fileno())
        Path(self._name).replace(self._path)

    def __exit__(self, *_error: object) -> None:
        self.file.close()
        Path(self._name).unlink(missing_ok=True)


class FolderResultStore:
    """A job's results: two files a shard, one for responses and one for failures."""

    def __init__(self, blobs: FolderBlobStore, prefix: str) -> None:
        self._blobs = blobs
        self._prefix = prefix

    async def open(self, index: int) -> FolderShardResults:
        """Open the shard's files, without the incomplete line that a crash may have left."""
        paths = [self._blobs.path(key) for key in self._keys(index)]
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        return FolderShardResults(paths[0], paths[1])

    async def keys(self, index: int) -> ResultKeys:
        """The keys of the two files, if they exist."""
        existing = [[key] if self._blobs.path(key).is_file() else [] for key in self._keys(index)]
        return ResultKeys(*existing)

    def _keys(self, index: int) -> list[str]:
        prefix = f"{self._prefix}/results/{index:06d}"
        return [f"{prefix}.answers.jsonl", f"{prefix}.failures.jsonl"]


class FolderShardResults:
    """
    Appends each line with one `write`, so that a killed process loses none that it has put.

    A file is created with its first line, since most shards have no failures.
    """

    def __init__(self, responses: Path, failures: Path) -> None:
        self._paths = responses, failures
        self._files: list[BinaryIO | None] = [None, None]
        for path in self._paths:
            _truncate_last_line(path)

    async def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """The lines of both files."""
        for failed, path in zip((False, True), self._paths, strict=True):
            if path.is_file():
                with path.open("rb") as file:
                    for line in file:
                        yield failed, line

    async def put(self, line: bytes, *, failed: bool) -> None:
        """Append the line."""
        file = self._files[failed]
        if file is None:
            file = self._files[failed] = self._paths[failed].open("ab", buffering=0)
        file.write(line)

    async def flush(self) -> None:
        """Do nothing: `put` has written to the file."""

    async def close(self) -> None:
        """Close both files."""
        for file in self._files:
            if file is not None:
                file.close()
        self._files = [None, None]


def _truncate_last_line(path: Path) -> None:
    """Remove the last line if it has no line break."""
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
