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

from ..store import ResultKeys
from ..work.result_lines import read_result
from .s3 import S3BlobStore, once

FLUSH_SIZE = 5 * 1024 * 1024
"""Bytes after which lines are written without waiting for the next flush."""

MAX_TRIES = 10
SUFFIXES = (".answers.jsonl", ".failures.jsonl")
PAID = ".calls.jsonl"
"""The end of the keys of paid calls, which stay as they are until the job is over."""


class S3ResultStore:
    """A job's results, below `prefix`."""

    def __init__(self, blobs: S3BlobStore, prefix: str, *, flush_size: int = FLUSH_SIZE) -> None:
        self._blobs = blobs
        self._prefix = prefix
        self._flush_size = flush_size
        self._merged: dict[str, ResultKeys] | None = None
        self._listed: dict[str, list[str]] | None = None

    async def open(self, index: int) -> S3ShardResults:
        """Open a shard's results for one worker."""
        return S3ShardResults(self._blobs, self._folder(index), self._flush_size)

    async def is_whole(self, _index: int, _lines: int, /) -> bool:
        """Read nothing: S3 checks its bytes itself."""
        return True

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

    async def lines(self, index: int) -> AsyncIterator[tuple[bool, bytes]]:
        """
        The lines of a shard's objects, each once; nothing is merged.

        The first call lists the objects of all shards together.
        """
        if self._listed is None:
            self._listed = await self._list()
        folder = self._folder(index)
        async for found in _stored_lines(self._blobs, folder, self._listed.pop(folder, [])):
            yield found

    async def _list(self) -> dict[str, list[str]]:
        """The keys of all objects by folder."""
        folders: dict[str, list[str]] = {}
        for key in await self._blobs.keys(f"{self._prefix}/shards/"):
            folders.setdefault(f"{key.rpartition('/')[0]}/", []).append(key)
        return folders

    async def _find_merged(self) -> dict[str, ResultKeys]:
        """The shards whose objects need no merge, by folder."""
        kinds = {folder: _by_kind(keys) for folder, keys in (await self._list()).items()}
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
        self.is_slow = False  # lines are buffered in any case
        self.is_full = False
        self._buffers = bytearray(), bytearray(), bytearray()
        self._writing = asyncio.Lock()
        self._listed: Sequence[str] | None = None

    async def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """The lines of all workers' objects, each once."""
        self._listed = await self._blobs.keys(self._folder)
        async for found in _stored_lines(self._blobs, self._folder, self._listed):
            yield found

    async def paid(self) -> AsyncIterator[bytes]:
        """The lines of all workers; their objects are listed once for `stored` and for this."""
        listed = self._listed
        for key in await self._blobs.keys(self._folder) if listed is None else listed:
            if key.endswith(PAID):
                async for line in _complete_lines(self._blobs, key):
                    yield line

    async def check_room(self) -> None:
        """Do nothing: S3 always has room."""

    async def put(self, line: bytes, *, failed: bool) -> None:
        """Buffer a line until the next flush, or until there is enough for an object."""
        self._buffers[failed].extend(line)
        if len(self._buffers[failed]) >= self._flush_size:
            await self.flush()

    async def put_paid(self, line: bytes) -> None:
        """Buffer a line until the next flush."""
        self._buffers[2].extend(line)

    async def remove_damaged(self) -> None:
        """Merge the shard's objects, even a single one: a merge keeps only whole results."""
        await _merge(self._blobs, self._folder, has_damaged=True)

    async def flush(self) -> None:
        """Write the buffered lines; if S3 fails, they stay buffered."""
        async with self._writing:
            for buffer, suffix in zip(self._buffers, (*SUFFIXES, PAID), strict=True):
                if data := bytes(buffer):
                    self._count += 1
                    key = f"{self._folder}{self._worker}-{self._count:05d}{suffix}"
                    await self._blobs.write(key, once(data))
                    del buffer[: len(data)]

    async def rest(self) -> None:
        """Do nothing: no file is open."""

    async def close(self) -> None:
        """Flush, and merge the shard's objects."""
        await self.flush()
        await _merge(self._blobs, self._folder)


async def _merge(blobs: S3BlobStore, folder: str, *, has_damaged: bool = False) -> ResultKeys:
    """
    Merge a shard's objects to one of each kind; two workers may do so at the same time.

    Lines that are not whole results are left out; `has_damaged` says that there are some.
    """
    for _ in range(MAX_TRIES):
        keys = _by_kind(await blobs.keys(folder))
        if _is_merged(keys) and not has_damaged:
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
        has_damaged = False
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
        async for line, is_whole in _new_lines(blobs, keys[kind], seen, failed=kind):
            if kind == failed and is_whole:
                yield line


async def _stored_lines(
    blobs: S3BlobStore, folder: str, known: Sequence[str] | None = None
) -> AsyncIterator[tuple[bool, bytes]]:
    """The lines of a folder's objects; those that are `known` are not listed first."""
    seen: set[str] = set()
    for _ in range(MAX_TRIES):
        listed, known = await blobs.keys(folder) if known is None else known, None
        try:
            for failed, keys in enumerate(_by_kind(listed)):
                async for line, _ in _new_lines(blobs, keys, seen, failed=bool(failed)):
                    yield bool(failed), line
        except FileNotFoundError:
            continue  # another worker has merged it: the lines are in another object
        return
    raise OSError(f"the objects in `{folder}` keep changing")


async def _new_lines(
    blobs: S3BlobStore, keys: Sequence[str], seen: set[str], *, failed: bool
) -> AsyncIterator[tuple[bytes, bool]]:
    """The lines whose ids are not in `seen`, which gets them; whether each is a whole result."""
    for key in keys:
        async for line in _complete_lines(blobs, key):
            result = read_result(line, failed=failed)
            if result is None:
                yield line, False
            elif result.custom_id not in seen:
                seen.add(result.custom_id)
                yield line, True


async def _complete_lines(blobs: S3BlobStore, key: str) -> AsyncIterator[bytes]:
    """The lines of an object, of any length; a last one without a line break is left out."""
    held: list[bytes] = []
    async for chunk in blobs.read(key):
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield b"".join((*held, line, b"\n"))
            held.clear()
        held.append(rest)
