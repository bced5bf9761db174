"""
The result lines of a native batch, by shard: blobs below its job's folder.

They come in the order of the vendor's rows, and a batch may have gigabytes of them. So they are
written in parts of `LARGEST_PART` bytes of all shards together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from ..store import BlobStore
from ..work.partial_results import whole_lines
from .ledger import BatchEntry

LARGEST_PART = 32_000_000
"""Bytes of lines that are in memory at most, but for the last one of them."""


def folder_of(job_folder: str, row: int) -> str:
    """The beginning of the keys of a batch's blobs."""
    return f"{job_folder}/native/{row:06d}"


def part_key(job_folder: str, row: int, shard: int, part: int = 0) -> str:
    """The key of a part of a batch's result lines for one shard."""
    name = f"{shard:06d}-{part}" if part else f"{shard:06d}"
    return f"{folder_of(job_folder, row)}/{name}.jsonl"


class ResultParts:
    """Writes the lines of one batch. `counts` has the number of parts of each shard with lines."""

    def __init__(
        self, blobs: BlobStore, job_folder: str, row: int, largest: int = LARGEST_PART
    ) -> None:
        self._blobs = blobs
        self._place = (job_folder, row)
        self._largest = largest
        self._lines: dict[int, list[bytes]] = {}
        self._size = 0
        self.counts: dict[int, int] = {}

    async def add(self, shard: int, line: bytes) -> None:
        """Add a result line of a shard."""
        self._lines.setdefault(shard, []).append(line)
        self._size += len(line)
        if self._size >= self._largest:
            await self.flush()

    async def flush(self) -> None:
        """Write what is in memory; after the last line, too."""
        for shard, lines in self._lines.items():
            part = self.counts.get(shard, 0)
            await self._blobs.write(part_key(*self._place, shard, part), _chunks(lines))
            self.counts[shard] = part + 1
        self._lines, self._size = {}, 0


async def part_lines(
    blobs: BlobStore, job_folder: str, row: BatchEntry, shard: int
) -> AsyncIterator[bytes]:
    """The result lines of a stored row's batch for one of its shards."""
    for part in range(row.parts_of(shard)):
        async for line in whole_lines(blobs.read(part_key(job_folder, row.number, shard, part))):
            yield line


async def _chunks(lines: Sequence[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line
