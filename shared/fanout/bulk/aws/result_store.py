"""
The results of a job's shards as objects: a new one about every second, one of them at the end.

An object is there whole or not at all, and is deleted only when another has all of its lines. So
nothing is lost, whoever dies or works on beside another; a line that is there twice counts once,
an answer before a failure.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

from ..input.lines import stored_custom_id
from ..store import ResultKeys
from .s3 import S3BlobStore

PART = 5 * 1024 * 1024
ROUNDS = 10
ENDS = (".answers.jsonl", ".failures.jsonl")


class S3ResultStore:
    """A job's results, below `prefix`."""

    def __init__(self, blobs: S3BlobStore, prefix: str, *, part: int = PART) -> None:
        self._blobs = blobs
        self._prefix = prefix
        self._part = part
        self._settled: dict[str, ResultKeys] | None = None

    async def open(self, index: int) -> S3ShardResults:
        """The shard's shelf."""
        return S3ShardResults(self._blobs, self._place(index), self._part)

    async def keys(self, index: int) -> ResultKeys:
        """
        At most one object of each kind, with no line in both.

        Where they are is looked up for all shards at once, when the first is asked for; only what
        is not settled is looked at again.
        """
        if self._settled is None:
            self._settled = await self._look()
        place = self._place(index)
        known = self._settled.pop(place, None)
        return known or await _settle(self._blobs, place)

    async def _look(self) -> dict[str, ResultKeys]:
        """The places of which one writer alone has written all there is."""
        places: dict[str, list[str]] = {}
        for key in await self._blobs.keys(f"{self._prefix}/shards/"):
            places.setdefault(f"{key.rpartition('/')[0]}/", []).append(key)
        kinds = {place: _by_kind(keys) for place, keys in places.items()}
        return {place: ResultKeys(*keys) for place, keys in kinds.items() if _is_settled(keys)}

    def _place(self, index: int) -> str:
        return f"{self._prefix}/shards/{index:06d}/"


class S3ShardResults:
    """One worker's turn at a shard; `<turn>-<n>` names its objects."""

    def __init__(self, blobs: S3BlobStore, place: str, part: int) -> None:
        self._blobs = blobs
        self._place = place
        self._part = part
        self._turn = secrets.token_hex(6)
        self._count = 0
        self._held = bytearray(), bytearray()
        self._writing = asyncio.Lock()

    def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """The lines of all objects, each once."""
        return _lines(self._blobs, self._place)

    async def put(self, line: bytes, *, failed: bool) -> None:
        """Hold it until the next flush, or until there is enough for an object."""
        self._held[failed].extend(line)
        if len(self._held[failed]) >= self._part:
            await self.flush()

    async def flush(self) -> None:
        """Write what is held; if S3 does not take it, it is held still."""
        async with self._writing:
            for held, end in zip(self._held, ENDS, strict=True):
                if data := bytes(held):
                    self._count += 1
                    key = f"{self._place}{self._turn}-{self._count:05d}{end}"
                    await self._blobs.write(key, _one(data))
                    del held[: len(data)]

    async def close(self) -> None:
        """Flush, and make one object of many."""
        await self.flush()
        await _settle(self._blobs, self._place)


async def _settle(blobs: S3BlobStore, place: str) -> ResultKeys:
    """Make one object of each kind; a second one doing so at the same time does no harm."""
    for _ in range(ROUNDS):
        keys = await _kinds(blobs, place)
        if _is_settled(keys):
            return ResultKeys(*keys)
        name = f"{place}{secrets.token_hex(6)}-joined"
        try:
            for failed, end in enumerate(ENDS):
                if keys[failed]:
                    await blobs.write(name + end, _only(blobs, keys, failed=bool(failed)))
        except FileNotFoundError:
            continue  # somebody else was at it
        await blobs.delete_keys([key for kind in keys for key in kind])
    raise OSError(f"`{place}` is never at rest")


def _is_settled(keys: Sequence[Sequence[str]]) -> bool:
    """Whether one writer alone wrote all there is, in an object of each kind."""
    several = any(len(kind) > 1 for kind in keys)
    return not several and len({key.rpartition("-")[0] for kind in keys for key in kind}) <= 1


async def _kinds(blobs: S3BlobStore, place: str) -> list[list[str]]:
    return _by_kind(await blobs.keys(place))


def _by_kind(keys: Sequence[str]) -> list[list[str]]:
    return [[key for key in keys if key.endswith(end)] for end in ENDS]


async def _only(blobs: S3BlobStore, keys: list[list[str]], *, failed: bool) -> AsyncIterator[bytes]:
    """
    The lines of one kind, each once; the failures without what has an answer.

    Both are read for that: a shard's names fit into memory, its lines need not.
    """
    seen: set[str] = set()
    for kind in (False, True)[: 1 + failed]:
        async for line in _fresh(blobs, keys[kind], seen):
            if kind == failed:
                yield line


async def _lines(blobs: S3BlobStore, place: str) -> AsyncIterator[tuple[bool, bytes]]:
    seen: set[str] = set()
    for _ in range(ROUNDS):
        try:
            for failed, keys in enumerate(await _kinds(blobs, place)):
                async for line in _fresh(blobs, keys, seen):
                    yield bool(failed), line
        except FileNotFoundError:
            continue  # joined meanwhile: its lines are in another
        return
    raise OSError(f"`{place}` is never at rest")


async def _fresh(blobs: S3BlobStore, keys: Sequence[str], seen: set[str]) -> AsyncIterator[bytes]:
    """Whole lines whose names have not been seen."""
    for key in keys:
        async for line in _whole_lines(blobs, key):
            name = stored_custom_id(line)
            if name is not None and name not in seen:
                seen.add(name)
                yield line


async def _whole_lines(blobs: S3BlobStore, key: str) -> AsyncIterator[bytes]:
    """Each line of an object that has its end, however long."""
    held: list[bytes] = []
    async for piece in blobs.read(key):
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join((*held, line, b"\n"))
            held.clear()
        held.append(rest)


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
