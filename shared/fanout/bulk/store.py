"""
Where bytes, records and results live, as the planner, the workers and the finisher see it.

A folder and SQLite on a laptop, S3 and DynamoDB on AWS. Keys are paths with `/`; nothing here knows
whose.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from .totals import Totals

Stop: TypeAlias = Literal["cancelled", "expired", "capped", "time"]
"""Why no further line is started; `time` is the worker's own, and another goes on."""


class BlobStore(Protocol):
    """Named bytes."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes `[start, end)`, piece by piece; `FileNotFoundError` if there are none."""
        ...

    async def write(self, key: str, pieces: AsyncIterable[bytes]) -> int:
        """Write all of it or, if `pieces` raises, nothing; the number of bytes."""
        ...

    async def join(self, parts: Sequence[str], key: str) -> int:
        """One blob of the parts in this order, which stay; the number of bytes."""
        ...

    async def size(self, key: str) -> int | None:
        """Its bytes; `None` if it is not there."""
        ...

    async def delete(self, prefix: str) -> None:
        """Delete this key and everything below it."""
        ...


class ShardResults(Protocol):
    """The results of one shard, which outlive the worker that puts them there."""

    def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        """Each whole line that is there, with whether it is a failure."""
        ...

    async def put(self, line: bytes, *, failed: bool) -> None:
        """Keep one output line: at once, or by the next `flush`."""
        ...

    async def flush(self) -> None:
        """See to it that all lines so far will be found by `stored`, whatever happens to us."""
        ...

    async def close(self) -> None:
        """Flush, and let go."""
        ...


class ResultKeys(Struct, frozen=True):
    """The keys that hold a shard's results."""

    answers: list[str]
    failures: list[str]


class ResultStore(Protocol):
    """The results of a job, by shard."""

    async def open(self, index: int) -> ShardResults:
        """A shard's shelf, for one worker at a time."""
        ...

    async def keys(self, index: int) -> ResultKeys:
        """Where its lines are, for the finisher."""
        ...


class JobProgress(Protocol):
    """
    What all workers of a job share: counts, dollars, and whether to go on.

    `start` and the others that do not wait may be a second behind the other workers; `sync` is
    called once a second.
    """

    def reserve(self, estimate: float) -> Stop | Literal["wait"] | None:
        """
        `None`: a line may be started, and `estimate` dollars are set aside for it.

        Else why none may be; `wait`: those under way may take all that is left to spend.
        """
        ...

    def settle(self, shard: int, estimate: float, totals: Totals) -> None:
        """A line is stored: its real cost takes the place of the estimate."""
        ...

    def release(self, estimate: float) -> None:
        """A line was started in vain: somebody will start it again."""
        ...

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """A shard is taken up; `stored` is what earlier workers did of it, and replaces counts."""
        ...

    def complete_shard(self, shard: int) -> None:
        """Every line of the shard is stored."""
        ...

    async def sync(self) -> None:
        """Tell the others, and hear from them."""
        ...

    async def completed_totals(self, shard: int) -> Totals | None:
        """The counts of a shard that is complete; `None` if it is not."""
        ...

    async def total(self) -> Totals:
        """What the job has come to."""
        ...


class RecordStore(Protocol):
    """Records by kind and id. Ids sort by their time of birth."""

    async def get(self, kind: str, key: str) -> bytes | None:
        """A record."""
        ...

    async def put(self, kind: str, key: str, new: bytes, old: bytes | None) -> bool:
        """Write it if it is still `old` (`None`: not there yet); whether it was."""
        ...

    async def delete(self, kind: str, key: str) -> bool:
        """Delete it; whether it was there."""
        ...

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[bytes]:
        """The records after that id, in order."""
        ...
