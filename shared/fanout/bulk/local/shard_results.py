"""The results of a job's shards: two files each, to which lines are appended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import perf_counter

from ...disk.files import storage_errors
from ...disk.threads import in_thread
from ..store import ResultKeys
from ..work.partial_results import whole_lines
from .file_store import CHUNK, FolderBlobStore
from .result_files import (
    ROOM,
    AppendedFile,
    QueuedLine,
    has_whole,
    move_damaged,
    open_if_there,
    prepare_files,
)
from .storage_limit import StorageLimit

SLOW_WRITE = 0.05
"""Seconds of a slow write; a usual one takes 0.00001, or 0.01 if it loses its CPU meanwhile."""

SLOW_WRITES = 2
"""Slow writes, one after the other, after which lines are written in a thread."""

THREAD_TIME = 10.0
"""Seconds for which a thread then writes."""


class FolderResultStore:
    """A job's results: two files a shard, one for responses and one for failures."""

    def __init__(self, blobs: FolderBlobStore, prefix: str) -> None:
        self._blobs = blobs
        self._prefix = prefix

    async def open(self, index: int) -> FolderShardResults:
        """Open the shard's files, without the incomplete line that a crash may have left."""
        paths = [self._blobs.path(key) for key in self._keys(index)]
        await in_thread(prepare_files, [*paths, _paid_path(paths[0])])
        if self._blobs.limit is not None:
            await self._blobs.limit.check(ROOM)
        results = FolderShardResults(*paths, limit=self._blobs.limit)
        await in_thread(results.prepare)
        return results

    async def is_whole(self, index: int, lines: int) -> bool:
        """Read the shard's files, and check each line."""
        paths = [self._blobs.path(key) for key in self._keys(index)]
        return await in_thread(has_whole, paths, lines)

    async def keys(self, index: int) -> ResultKeys:
        """The keys of the two files that have lines."""
        existing = [[key] if await self._blobs.size(key) else [] for key in self._keys(index)]
        return ResultKeys(*existing)

    async def lines(self, index: int) -> AsyncIterator[tuple[bool, bytes]]:
        """The lines of both files; one that is being written is left out."""
        for failed, key in zip((False, True), self._keys(index), strict=True):
            if await self._blobs.size(key):
                async for line in whole_lines(self._blobs.read(key)):
                    yield failed, line

    def _keys(self, index: int) -> list[str]:
        prefix = f"{self._prefix}/results/{index:06d}"
        return [f"{prefix}.answers.jsonl", f"{prefix}.failures.jsonl"]


class FolderShardResults:
    """
    Appends lines to two files; `put` returns when its line is in the system's memory.

    A usual write goes to that memory in some microseconds, which is less than it takes to wake a
    thread; so it happens at once, and a kill loses no response that has arrived. After
    `SLOW_WRITES` that took `SLOW_WRITE` seconds each, as on a disk that cannot keep up, a thread
    writes for `THREAD_TIME` seconds, and all else goes on meanwhile. A single one may have lost its
    CPU to another process.
    The file of responses is open before the first call, that of failures is created with its first
    line, in a thread: most shards have none.
    """

    def __init__(
        self,
        responses: Path,
        failures: Path,
        *,
        limit: StorageLimit | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._limit = limit
        self._files = AppendedFile(responses), AppendedFile(failures)
        self._paid = _paid_path(responses)
        self._clock = clock
        self._threaded_until = float("-inf")
        self._slow_writes = 0
        self._queue: list[QueuedLine] = []
        self._unstored: list[QueuedLine] = []
        self._writing: asyncio.Future[None] | None = None

    def prepare(self) -> None:
        """Open the file of responses; it blocks."""
        with storage_errors(self._files[False].path):
            self._files[False].open()

    async def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """The lines of both files."""
        for failed, file in zip((False, True), self._files, strict=True):
            async for line in _lines(file.path):
                yield failed, line

    def paid(self) -> AsyncIterator[bytes]:
        """The lines of the file of paid calls, which few shards have."""
        return _lines(self._paid)

    async def put_paid(self, line: bytes) -> None:
        """Append the line, also over the limit; no file stays open for it."""
        if self._limit is not None:
            self._limit.add(len(line))
        await in_thread(self._append_paid, line)

    def _append_paid(self, line: bytes) -> None:
        file = AppendedFile(self._paid)  # a job has few such lines, and may have many shards
        try:
            file.append(line)
        finally:
            file.close()

    @property
    def is_slow(self) -> bool:
        """Whether a thread writes, so that lines wait which a kill would lose."""
        return self._writing is not None or self._clock() < self._threaded_until

    @property
    def is_full(self) -> bool:
        """Whether the storage limit leaves no room for more lines."""
        return self._limit is not None and not self._limit.has_room(ROOM)

    async def check_room(self) -> None:
        """Raise `StorageFull` if there still is no room."""
        if self._limit is not None:
            await self._limit.check(ROOM)

    async def put(self, line: bytes, *, failed: bool) -> None:
        """
        Append the line, which is paid for, also over the limit.

        After a `StorageError`, no part of it is stored.
        """
        if self._limit is not None:
            self._limit.add(len(line))
        file, start = self._files[failed], self._clock()
        if self._writing is None and file.is_open and start >= self._threaded_until:
            file.append(line)
            self._note_time(start, self._clock())
            return
        queued = QueuedLine(line, failed, asyncio.get_running_loop().create_future())
        self._queue.append(queued)
        if self._writing is None:
            self._write_queue()
        await queued.done

    def _note_time(self, start: float, end: float) -> None:
        """Let a thread write for some time if this write and those before it were slow."""
        self._slow_writes = self._slow_writes + 1 if end - start >= SLOW_WRITE else 0
        if self._slow_writes == SLOW_WRITES:
            self._threaded_until = end + THREAD_TIME
            self._slow_writes -= 1  # the next one alone shows that the disk is still slow

    def _write_queue(self) -> None:
        lines, self._queue = self._queue, []
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, self._write, lines)
        self._writing.add_done_callback(lambda written: self._written(lines, written))

    def _write(self, lines: list[QueuedLine]) -> None:
        """In a thread: append each line to its file, and note what failed."""
        for failed, file in zip((False, True), self._files, strict=True):
            if own := [one for one in lines if one.failed == failed]:
                file.append_all(own)

    def _written(self, lines: list[QueuedLine], written: asyncio.Future[None]) -> None:
        """End the waits of `put`; a line that is not stored, and whose wait is over, is kept."""
        self._writing = None
        bug = written.exception()
        if self._queue:
            self._write_queue()
        for one in lines:
            error = one.error or bug
            if one.done.cancelled():
                if error is not None:
                    self._unstored.append(one)
            elif error is None:
                one.done.set_result(None)
            else:
                one.done.set_exception(error)

    async def remove_damaged(self) -> None:
        """Move lines that are not whole results to files beside these, until the job is over."""
        await in_thread(self._remove_damaged)

    def _remove_damaged(self) -> None:
        for file in self._files:
            file.close()  # it is replaced
        move_damaged([file.path for file in self._files])
        self.prepare()

    async def flush(self) -> None:
        """Do nothing: `put` has written to the file."""

    async def rest(self) -> None:
        """Close both files, unless lines wait to be written; the next lines open them again."""
        if self._writing is None and not self._queue and not self._unstored:
            for file in [found for one in self._files if (found := one.detach()) is not None]:
                await in_thread(file.close)

    async def close(self) -> None:
        """Write the lines whose `put` was cancelled, and close both files."""
        while self._writing is not None:
            await asyncio.wait([self._writing])
        await in_thread(self._close)

    def _close(self) -> None:
        try:
            while self._unstored:
                self._files[self._unstored[0].failed].append(self._unstored[0].line)
                del self._unstored[0]
        finally:
            for file in self._files:
                file.close()


def _paid_path(responses: Path) -> Path:
    """The file of a shard's paid calls, beside that of its responses."""
    return responses.with_name(f"{responses.name.partition('.')[0]}.calls.jsonl")


async def _lines(path: Path) -> AsyncIterator[bytes]:
    """The lines of a file, if it is there."""
    if (source := await in_thread(open_if_there, path)) is None:
        return
    try:
        while lines := await in_thread(source.readlines, CHUNK):
            for line in lines:
                yield line
    finally:
        await in_thread(source.close)
