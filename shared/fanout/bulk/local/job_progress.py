"""One job's counts on this machine: in memory and, a second later, in SQLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from ...wire import json
from ..store import Stop
from ..totals import Totals
from .sqlite import Database


class _Status(Struct):
    status: str


class SQLiteJobProgress:
    """
    One job's counts, in memory and, a second later, in the file.

    One process works on a job at a time; others may look, and cancel.
    """

    def __init__(
        self,
        database: Database,
        job: str,
        *,
        expires_at: float,
        now: Callable[[], float],
        max_cost: float | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._db = database
        self._job = job
        self._expires_at = expires_at
        self._now = now
        self._max_cost = max_cost
        self._is_stopping = is_stopping
        known = database.shards(job)
        self._totals = {shard: totals for shard, (_, totals) in known.items()}
        self._complete = {shard for shard, (complete, _) in known.items() if complete}
        self._spent = sum(totals.cost for totals in self._totals.values())
        self._held = 0.0
        self._changed: set[int] = set()
        self._cancelled = False

    def reserve(self, estimate: float) -> Stop | Literal["wait"] | None:
        """Whether a line may start."""
        if self._cancelled:
            return "cancelled"
        if self._now() >= self._expires_at:
            return "expired"
        if self._is_stopping():
            return "time"
        if self._max_cost is not None:
            if self._spent >= self._max_cost:
                return "capped"
            if self._held and self._spent + self._held + estimate > self._max_cost:
                return "wait"
        self._held += estimate
        return None

    def settle(self, shard: int, estimate: float, totals: Totals) -> None:
        """One line is stored."""
        self._held = max(0.0, self._held - estimate)
        self._spent += totals.cost
        self._totals[shard].add(totals)
        self._changed.add(shard)

    def release(self, estimate: float) -> None:
        """One line was not."""
        self._held = max(0.0, self._held - estimate)

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """What is stored is what counts."""
        before = self._totals.get(shard, Totals())
        own = self._totals[shard] = Totals()
        own.add(stored)
        self._spent += own.cost - before.cost
        self._changed.add(shard)

    def complete_shard(self, shard: int) -> None:
        """Written at once: a complete shard is never read again."""
        self._complete.add(shard)
        self._changed.add(shard)
        self._write()

    async def sync(self) -> None:
        """Write the counts, and see whether somebody cancelled the job."""
        self._write()
        found = self._db.peek("batch", self._job)
        if found is None or json.decode(found, type=_Status).status == "cancelling":
            self._cancelled = True

    def _write(self) -> None:
        if self._changed:
            rows = [(s, s in self._complete, self._totals[s]) for s in sorted(self._changed)]
            self._db.write_shards(self._job, rows)
            self._changed.clear()

    async def completed_totals(self, shard: int) -> Totals | None:
        """Its counts, if it is complete."""
        return self._totals[shard] if shard in self._complete else None

    async def total(self) -> Totals:
        """The sum."""
        found = Totals()
        for totals in self._totals.values():
            found.add(totals)
        return found
