"""
The protocols of everything that a job stores: bytes, results, progress and records.

On a laptop they are a folder and SQLite, on AWS S3 and DynamoDB. Keys are paths with `/`; nothing
here knows who owns them.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from .totals import Totals

Stop: TypeAlias = Literal[
    "cancelled", "expired", "capped", "refused", "time", "paused", "unfunded", "forbidden"
]
"""
Why no further line may start.

`refused`, the name that jobs have stored: every call is rejected for the same reason
(`work/rejections.py`). `unfunded`: the budget of the job's key is spent. `forbidden`: the key is
not valid any more. `time` and `paused` (all lines wait for long) stop one worker only, and a
later one continues.
"""


class BlobStore(Protocol):
    """Bytes by key."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes `[start, end)` in chunks; raises `FileNotFoundError` if the key is missing."""
        ...

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Write all chunks, or nothing if `chunks` raises; returns the number of bytes."""
        ...

    async def join(self, parts: Sequence[str], key: str) -> int:
        """Write the blobs of `parts` in this order to one blob; returns the number of bytes."""
        ...

    async def size(self, key: str) -> int | None:
        """The number of bytes; `None` if the key is missing."""
        ...

    async def delete(self, prefix: str) -> None:
        """Delete this key and everything below it."""
        ...


class ShardResults(Protocol):
    """The results of one shard; they outlive the worker that stores them."""

    def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """
        Each stored line, with whether it is a failure; the responses come first.

        A line that a crash cut is left out. One that was damaged later may be there.
        """
        ...

    @property
    def is_slow(self) -> bool:
        """Whether lines wait to be written, so that no call is to be sent meanwhile."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether no line is to be started, because there is no room for its response."""
        ...

    async def check_room(self) -> None:
        """Raise `StorageFull` if there still is no room."""
        ...

    async def put(self, line: bytes, *, failed: bool) -> None:
        """
        Store one output line, at the latest with the next `flush`.

        If the wait for it is cancelled, the line is stored by `close`.
        """
        ...

    def paid(self) -> AsyncIterator[bytes]:
        """Each stored line of `put_paid`."""
        ...

    async def put_paid(self, line: bytes) -> None:
        """Store the paid calls of a line without a result, at the latest with the next `flush`."""
        ...

    async def remove_damaged(self) -> None:
        """Remove the lines that are not whole results, before the first `put`."""
        ...

    async def flush(self) -> None:
        """Make all lines durable."""
        ...

    async def rest(self) -> None:
        """Hold no file open until the next `put`."""
        ...

    async def close(self) -> None:
        """Flush, and close what is open."""
        ...


class ResultKeys(Struct, frozen=True):
    """The keys of a shard's results."""

    responses: list[str]
    failures: list[str]


class ResultStore(Protocol):
    """The results of a job, by shard."""

    async def open(self, index: int) -> ShardResults:
        """Open a shard's results; one worker at a time has them open."""
        ...

    async def is_whole(self, index: int, lines: int, /) -> bool:
        """Whether a complete shard still has all its results, so many lines, undamaged."""
        ...

    async def keys(self, index: int) -> ResultKeys:
        """The keys of a shard's results, for the finisher."""
        ...

    def lines(self, index: int) -> AsyncIterator[tuple[bool, bytes]]:
        """
        Each line of a shard so far, with whether it is a failure; the responses come first.

        Nothing is changed, so a worker may store more meanwhile.
        """
        ...


class JobProgress(Protocol):
    """
    What all workers of a job share: its counts, its spending, and whether to start more lines.

    `sync` is called once a second. The methods that do not wait may be a second behind the other
    workers.
    """

    def reserve(self, estimate: int, *, is_whole: bool = False) -> Stop | Literal["wait"] | None:
        """
        Reserve `estimate` nanodollars for a line that is to start; `None` if it may.

        Otherwise the reason why not: `wait` if the lines in flight may use all that is left. If
        nothing is in flight, one line may start although its estimate is over what is left; with
        `is_whole`, it may not.
        """
        ...

    def settle(self, shard: int, estimate: int, totals: Totals) -> None:
        """Count a line whose result is stored, and replace its estimate by its cost."""
        ...

    def release(self, estimate: int) -> None:
        """Release the estimate of a line that ended without a result."""
        ...

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """Start on a shard; `stored` are the totals of its stored lines and replace its counts."""
        ...

    def complete_shard(self, shard: int) -> None:
        """Mark the shard as complete: every line of it is stored."""
        ...

    async def sync(self) -> None:
        """Write this worker's counts, and read the other workers'."""
        ...

    async def close(self) -> None:
        """Like `sync`, at the worker's end: no line is in flight, so nothing is reserved."""
        ...

    async def completed_totals(self, shard: int) -> Totals | None:
        """The totals of a complete shard; `None` if it is not complete."""
        ...

    async def total(self) -> Totals:
        """The totals of the whole job."""
        ...


class CappedProgress(JobProgress, Protocol):
    """Progress whose cost cap has to cover more than the results of lines."""

    def charge(self, cost: int) -> None:
        """Take nanodollars from the cap that no line's result has; only this object knows of it."""
        ...


class Change(Struct, frozen=True):
    """A record to write, if the stored one is still `old` (`None`: no record)."""

    kind: str
    key: str
    new: bytes
    old: bytes | None = None


class RecordStore(Protocol):
    """Records by kind and id; ids sort by the time of creation."""

    async def get(self, kind: str, key: str) -> bytes | None:
        """The record, or `None`."""
        ...

    async def put(self, kind: str, key: str, new: bytes, old: bytes | None) -> bool:
        """Write it if the stored one is still `old` (`None`: no record); returns whether it was."""
        ...

    async def put_all(self, changes: Sequence[Change]) -> bool:
        """Write all of them at once, or none if a stored one is not its `old`; returns which."""
        ...

    async def delete(self, kind: str, key: str) -> bool:
        """Delete it, and return whether it was there."""
        ...

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[tuple[str, bytes]]:
        """The ids and records after that id, in order."""
        ...
