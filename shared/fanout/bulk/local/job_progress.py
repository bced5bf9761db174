"""One job's progress on this machine: in memory, and written to SQLite once a second."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ...errors import StorageError
from ...wire import json
from ..store import Stop
from ..totals import Totals
from .sqlite import Database


class _Status(Struct):
    status: str


class SQLiteJobProgress:
    """
    One job's progress, in memory; `sync` writes it to the database.

    Only one process works on a job at a time. Others may read its progress, and cancel it.
    """

    def __init__(
        self,
        database: Database,
        job: str,
        *,
        expires_at: float,
        now: Callable[[], float],
        max_cost: int | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._db = database
        self._job = job
        self._expires_at = expires_at
        self._now = now
        self._max_cost = max_cost
        self._is_stopping = is_stopping
        self._totals: dict[int, Totals] = {}
        self._complete: set[int] = set()
        self._is_loaded = False
        self._spent = 0
        self._reserved = 0
        self._changed: set[int] = set()
        self._cancelled = False
        self._is_behind = False

    def reserve(self, estimate: int, *, is_whole: bool = False) -> Stop | Literal["wait"] | None:
        """Reserve the estimate under the cost cap, or return why the line may not start."""
        if self._cancelled:
            return "cancelled"
        if self._now() >= self._expires_at:
            return "expired"
        if self._is_stopping():
            return "time"
        if self._max_cost is not None:
            if self._spent >= self._max_cost:
                return "capped"
            is_over = self._spent + self._reserved + estimate > self._max_cost
            if is_over and (self._reserved or is_whole):
                return "wait"
        self._reserved += estimate
        return None

    def settle(self, shard: int, estimate: int, totals: Totals) -> None:
        """Count the line, and replace its estimate by its cost."""
        self._reserved -= estimate
        self._spent += totals.cost
        self._totals[shard].add(totals)
        self._changed.add(shard)

    def release(self, estimate: int) -> None:
        """Release the estimate of a line without a result."""
        self._reserved -= estimate

    def charge(self, cost: int) -> None:
        """Count nanodollars as spent that no line's result has; no total has them."""
        self._spent += cost

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """Replace the shard's counts by those of its stored lines."""
        before = self._totals.get(shard, Totals())
        self._complete.discard(shard)
        own = self._totals[shard] = Totals()
        own.add(stored)
        self._spent += own.cost - before.cost
        self._changed.add(shard)

    def complete_shard(self, shard: int) -> None:
        """Mark the shard as complete; the next `sync` writes it."""
        self._complete.add(shard)
        self._changed.add(shard)

    async def sync(self) -> None:
        """
        Write the counts, and read whether the job was cancelled.

        If the database cannot be used, the next call does so. The results themselves are files, so
        nothing is lost: what is not counted here is read from them.
        """
        try:
            await self._load()
            await self._write()
        except StorageError:
            self._is_behind = True
            return
        self._is_behind = False
        with suppress(StorageError):
            found = await self._db.get("batch", self._job)
            if found is None or json.decode(found, type=_Status).status == "cancelling":
                self._cancelled = True

    async def close(self) -> None:
        """Write the counts; what is reserved is only in memory."""
        await self.sync()

    async def _load(self) -> None:
        """Read what earlier workers have written, once; what this one knows is newer."""
        if self._is_loaded:
            return
        stored = await self._db.shard_totals(self._job)
        if not self._is_loaded:
            self._is_loaded = True
            for shard, (is_complete, totals) in stored.items():
                if shard not in self._totals:
                    self._totals[shard] = totals
                    self._spent += totals.cost
                    if is_complete:
                        self._complete.add(shard)

    async def _write(self) -> None:
        if changed := self._changed:
            rows = [(s, s in self._complete, self._totals[s]) for s in sorted(changed)]
            self._changed = set()
            try:
                await self._db.write_totals(self._job, rows)
            except BaseException:  # also if it is cancelled: it may not have been written
                self._changed |= changed
                raise

    async def completed_totals(self, shard: int) -> Totals | None:
        """The shard's totals, if it is complete."""
        await self._load()
        return self._totals[shard] if shard in self._complete else None

    async def total(self) -> Totals:
        """The sum over all shards."""
        await self._load()
        return self._sum()

    def _sum(self) -> Totals:
        found = Totals()
        for totals in self._totals.values():
            found.add(totals)
        return found

    @property
    def lines(self) -> int:
        """The lines that are counted so far."""
        return sum(totals.lines for totals in self._totals.values())

    @property
    def unwritten(self) -> Totals | None:
        """The sum over all shards, without examples and models, unless it is stored."""
        if not self._is_behind:
            return None
        return replace(self._sum(), examples={}, models={}, named=0)
