"""A job's manifest: a file with one shard a line."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec

from ...wire import json
from ..input.planner import Shard
from ..input.splitter import iter_lines
from ..store import BlobStore

CHUNK = 1 << 20
SPOOL = 1 << 24
"""Bytes of a manifest that are kept in memory; a longer one goes to a temporary file."""


@asynccontextmanager
async def write_manifest(blobs: BlobStore, key: str) -> AsyncIterator[Callable[[Shard], object]]:
    """Yield a function that adds a shard; the end of the block writes the manifest."""
    with tempfile.SpooledTemporaryFile(SPOOL) as spool:
        yield lambda shard: spool.write(json.encode(shard) + b"\n")
        spool.seek(0)
        await blobs.write(key, _chunks(spool.read))


async def read_manifest(blobs: BlobStore, key: str) -> AsyncIterator[Shard]:
    """The shards; none if there is no manifest. Raises `ValueError` where it is damaged."""
    if await blobs.size(key) is None:
        return
    lines = [line async for _, _, _, line in iter_lines(blobs.read(key))]
    for line in lines:  # read to the end first, so that no file stays open
        yield msgspec.json.decode(line, type=Shard)


async def has_manifest(blobs: BlobStore, key: str, lines: int) -> bool:
    """Whether the manifest is whole: its shards follow each other and have so many lines."""
    found = end = 0
    try:
        async for shard in read_manifest(blobs, key):
            if shard.start < end or shard.end <= shard.start or shard.lines < 1:
                return False
            found, end = found + shard.lines, shard.end
    except ValueError:
        return False
    return found == lines


async def stream_of(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The chunks as a stream."""
    for chunk in chunks:
        yield chunk


async def _chunks(read: Callable[[int], bytes]) -> AsyncIterator[bytes]:
    while data := read(CHUNK):
        yield data
