"""The limit for the bytes in a data folder: `general_settings.max_storage_mb`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from ...disk.threads import in_thread
from ...errors import StorageFull

FOLDERS = ("files", "uploads", "jobs")
"""What is counted: clients' files, parts of uploads, and jobs' results; not the database."""

COUNT_INTERVAL = 10.0
"""Seconds after which the bytes are counted again: other processes write and delete, too."""

MIN_COUNT_INTERVAL = 1.0
"""Seconds after which they are counted again if they are over the limit."""

MEGABYTE = 1_000_000


class OverLimit(StorageFull):
    """The files of the data folder have as many bytes as the config allows."""

    cause = "the files have as many bytes as `general_settings.max_storage_mb` allows"
    public = (
        "The gateway's storage is full: its files have as many bytes as "
        "`general_settings.max_storage_mb` in the gateway's config allows. Delete files, or raise "
        "it. Nothing was stored."
    )


class StorageLimit:
    """How many bytes the folder's files have, and at most may have."""

    def __init__(
        self, root: Path, max_bytes: float, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._clock = clock
        self._counted_at = float("-inf")
        self._used = 0
        self._counting = asyncio.Lock()

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more fit, as far as is known."""
        return self._used + size <= self._max_bytes

    async def check(self, size: int) -> None:
        """Raise `OverLimit` unless so many bytes fit."""
        await self.take(size)
        self._used -= size

    async def take(self, size: int) -> None:
        """Count bytes that are about to be written; raises `OverLimit` if there is no room."""
        if self._is_old(COUNT_INTERVAL) or not self.has_room(size):
            await self._count()
        if not self.has_room(size):
            reason = f"over `general_settings.max_storage_mb`, {self._max_bytes / MEGABYTE:g} MB"
            raise OverLimit(os.fspath(self._root), reason)
        self._used += size

    def add(self, size: int) -> None:
        """Count bytes that are written in any case; a negative number, those that are deleted."""
        self._used += size

    def recount(self) -> None:
        """Count again before the next error: something was deleted."""
        self._counted_at = float("-inf")

    def _is_old(self, interval: float) -> bool:
        return self._clock() - self._counted_at >= interval

    async def _count(self) -> None:
        async with self._counting:
            if not self._is_old(MIN_COUNT_INTERVAL):
                return
            self._counted_at = self._clock()
            before = self._used
            found = await in_thread(_bytes_in, self._root)
            self._used = found + max(0, self._used - before)


def _bytes_in(root: Path) -> int:
    return sum(size for name in FOLDERS for size in _sizes(root / name))


def _sizes(folder: Path) -> Iterator[int]:
    """The size of each file below the folder; what is deleted meanwhile is left out."""
    try:
        with os.scandir(folder) as found:
            for one in found:
                if one.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(one.path))
                    continue
                try:
                    yield one.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue
    except FileNotFoundError:
        return
