"""
The results of a job's shards in S3: a worker writes about one object a second.

S3 stores an object as a whole or not at all. At a shard's end its objects are merged: they are
deleted only when another object has all of their lines. So no line is lost, even if a worker is
killed or two work on the same shard. A line that is stored twice counts once, and a response counts
before a failure.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

from ..input.lines import stored_custom_id
from ..store import ResultKeys
from .s3 import S3BlobStore

FLUSH_SIZE = 5 * 1024 * 1024
"""Bytes after which lines are written without waiting for the next flush."""

MAX_TRIES = 10
SUFFIXES = (".answers.jsonl", ".failures.jsonl")


class S3ResultStore:
    """A job's results, below `prefix`."""

    def __init__(self, blobs: S3BlobStore, prefix: str, *, flush_size: int = FLUSH_SIZE) -> None:
        self._blobs = blobs
        self._prefix = prefix
        self._flush_size = flush_size
        self._merged: dict[str, ResultKeys] | None = None

    async def open(self, index: int) -> S3ShardResults:
        """Open a shard's results for one worker."""
        return S3ShardResults(self._blobs, self._folder(index), self._flush_size)

    async def keys(self, index: int) -> ResultKeys:
        """
        At most one object of each kind, with no line in both; merged now if necessary.

        The first call lists the objects of all shards together. Only shards that are not merged yet
        are listed again.
        """
        if self._merged is None:
            self._merged = await self._find_merged()
        folder = self._folder(index)
        known = self._merged.pop(folder, None)
        return known or await _merge(self._blobs, folder)

    async def _find_merged(self) -> dict[str, ResultKeys]:
        """The shards whose objects need no merge, by folder."""
        folders: dict[str, list[str]] = {}
        for key in await self._blobs.keys(f"{self._prefix}/shards/"):
            folders.setdefault(f"{key.rpartition('/')[0]}/", []).append(key)
        kinds = {folder: _by_kind(keys) for folder, keys in folders.items()}
        return {folder: ResultKeys(*keys) for folder, keys in kinds.items() if _is_merged(keys)}

    def _folder(self, index: int) -> str:
        return f"{self._prefix}/shards/{index:06d}/"


class S3ShardResults:
    """One worker's results of a shard; its objects are named `<worker>-<number>`."""

    def __init__(self, blobs: S3BlobStore, folder: str, flush_size: int) -> None:
        self._blobs = blobs
        self._folder = folder
        self._flush_size = flush_size
        self._worker = secrets.token_hex(6)
        self._count = 0
        self._buffers = bytearray(), bytearray()
        self._writing = asyncio.Lock()

    def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """The lines of all workers' objects, each once."""
        return _stored_lines(self._blobs, self._folder)

    async def put(self, line: bytes, *, failed: bool) -> None:
        """Buffer a line until the next flush, or until there is enough for an object."""
        self._buffers[failed].extend(line)
        if len(self._buffers[failed]) >= self._flush_size:
            await self.flush()

    async def flush(self) -> None:
        """Write the buffered lines; if S3 fails, they stay buffered."""
        async with self._writing:
            for buffer, suffix in zip(self._buffers, SUFFIXES, strict=True):
                if data := bytes(buffer):
                    self._count += 1
                    key = f"{self._folder}{self._worker}-{self._count:05d}{suffix}"
                    await self._blobs.write(key, _once(data))
                    del buffer[: len(data)]

    async def close(self) -> None:
        """Flush, and merge the shard's objects."""
        await self.flush()
        await _merge(self._blobs, self._folder)


async def _merge(blobs: S3BlobStore, folder: str) -> ResultKeys:
    """Merge a shard's objects to one of each kind; two workers may do so at the same time."""
    for _ in range(MAX_TRIES):
        keys = _by_kind(await blobs.keys(folder))
        if _is_merged(keys):
            return ResultKeys(*keys)
        name = f"{folder}{secrets.token_hex(6)}-joined"
        try:
            for failed, suffix in enumerate(SUFFIXES):
                if keys[failed]:
                    lines = _unique_lines(blobs, keys, failed=bool(failed))
                    await blobs.write(name + suffix, lines)
        except FileNotFoundError:
            continue  # another worker has merged them
        await blobs.delete_keys([key for kind in keys for key in kind])
    raise OSError(f"the objects in `{folder}` keep changing")


def _is_merged(keys: Sequence[Sequence[str]]) -> bool:
    """Whether there is at most one object of each kind, and both are the same worker's."""
    several = any(len(kind) > 1 for kind in keys)
    return not several and len({key.rpartition("-")[0] for kind in keys for key in kind}) <= 1


def _by_kind(keys: Sequence[str]) -> list[list[str]]:
    """The keys of the responses, and those of the failures."""
    return [[key for key in keys if key.endswith(suffix)] for suffix in SUFFIXES]


async def _unique_lines(
    blobs: S3BlobStore, keys: list[list[str]], *, failed: bool
) -> AsyncIterator[bytes]:
    """
    The lines of one kind, each once; failures only of lines that have no response.

    For failures, the responses are read as well. A shard's ids fit into memory; its lines may not.
    """
    seen: set[str] = set()
    for kind in (False, True)[: 1 + failed]:
        async for line in _new_lines(blobs, keys[kind], seen):
            if kind == failed:
                yield line


async def _stored_lines(blobs: S3BlobStore, folder: str) -> AsyncIterator[tuple[bool, bytes]]:
    seen: set[str] = set()
    for _ in range(MAX_TRIES):
        try:
            for failed, keys in enumerate(_by_kind(await blobs.keys(folder))):
                async for line in _new_lines(blobs, keys, seen):
                    yield bool(failed), line
        except FileNotFoundError:
            continue  # another worker has merged it: the lines are in another object
        return
    raise OSError(f"the objects in `{folder}` keep changing")


async def _new_lines(
    blobs: S3BlobStore, keys: Sequence[str], seen: set[str]
) -> AsyncIterator[bytes]:
    """The whole lines whose ids are not in `seen`, to which they are added."""
    for key in keys:
        async for line in _whole_lines(blobs, key):
            custom_id = stored_custom_id(line)
            if custom_id is not None and custom_id not in seen:
                seen.add(custom_id)
                yield line


async def _whole_lines(blobs: S3BlobStore, key: str) -> AsyncIterator[bytes]:
    """The lines of an object, of any length; a last one without a line break is left out."""
    held: list[bytes] = []
    async for chunk in blobs.read(key):
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield b"".join((*held, line, b"\n"))
            held.clear()
        held.append(rest)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
