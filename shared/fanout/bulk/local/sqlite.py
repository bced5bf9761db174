"""
Records and counts in one SQLite file: what a killed process had written is there.

The only importer of `sqlite3`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ...wire import json
from ..store import Stop
from ..tally import Tally

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (
    job TEXT, shard INTEGER, complete INTEGER NOT NULL, tally BLOB NOT NULL,
    PRIMARY KEY (job, shard)
) WITHOUT ROWID;
"""


class Database:
    """The file; several processes may have it open."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close it."""
        self._db.close()

    # ---- records ----

    async def get(self, kind: str, key: str) -> bytes | None:
        """A record."""
        return self.peek(kind, key)

    def peek(self, kind: str, key: str) -> bytes | None:
        """A record, without waiting."""
        found = self._db.execute(
            "SELECT value FROM records WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return found[0] if found else None

    async def put(self, kind: str, key: str, new: bytes, old: bytes | None) -> bool:
        """Compare and set."""
        if old is None:
            done = self._db.execute(
                "INSERT OR IGNORE INTO records VALUES (?, ?, ?)", (kind, key, new)
            )
        else:
            done = self._db.execute(
                "UPDATE records SET value = ? WHERE kind = ? AND key = ? AND value = ?",
                (new, kind, key, old),
            )
        return done.rowcount == 1

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a record."""
        done = self._db.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))
        return done.rowcount == 1

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[bytes]:
        """By id, which is by time."""
        if newest_first:
            query = "key < ? ORDER BY key DESC"
            edge = after or "\U0010ffff"
        else:
            query, edge = "key > ? ORDER BY key", after or ""
        found = self._db.execute(
            f"SELECT value FROM records WHERE kind = ? AND {query} LIMIT ?",  # noqa: S608 -- one of two
            (kind, edge, limit),
        )
        return [row[0] for row in found]

    # ---- counts ----

    def shards(self, job: str) -> dict[int, tuple[bool, Tally]]:
        """The counts of a job's shards, as far as they were written."""
        found = self._db.execute("SELECT shard, complete, tally FROM shards WHERE job = ?", (job,))
        return {shard: (bool(c), json.decode(t, type=Tally)) for shard, c, t in found}

    def write_shards(self, job: str, rows: Sequence[tuple[int, bool, Tally]]) -> None:
        """Write counts in the place of older ones."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(
            "INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?)",
            [(job, shard, complete, json.encode(tally)) for shard, complete, tally in rows],
        )
        self._db.execute("COMMIT")

    def forget_shards(self, job: str) -> None:
        """A job that is planned anew has no counts."""
        self._db.execute("DELETE FROM shards WHERE job = ?", (job,))


class _Status(Struct):
    status: str


class SQLiteLedger:
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
        self._tallies = {shard: tally for shard, (_, tally) in known.items()}
        self._complete = {shard for shard, (complete, _) in known.items() if complete}
        self._spent = sum(tally.cost for tally in self._tallies.values())
        self._held = 0.0
        self._changed: set[int] = set()
        self._cancelled = False

    def start(self, estimate: float) -> Stop | Literal["wait"] | None:
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

    def settle(self, shard: int, estimate: float, tally: Tally) -> None:
        """One line is stored."""
        self._held = max(0.0, self._held - estimate)
        self._spent += tally.cost
        self._tallies[shard].add(tally)
        self._changed.add(shard)

    def put_back(self, estimate: float) -> None:
        """One line was not."""
        self._held = max(0.0, self._held - estimate)

    def begin(self, shard: int, stored: Tally) -> None:
        """What is stored is what counts."""
        before = self._tallies.get(shard, Tally())
        own = self._tallies[shard] = Tally()
        own.add(stored)
        self._spent += own.cost - before.cost
        self._changed.add(shard)

    def complete(self, shard: int) -> None:
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
            rows = [(s, s in self._complete, self._tallies[s]) for s in sorted(self._changed)]
            self._db.write_shards(self._job, rows)
            self._changed.clear()

    async def completed(self, shard: int) -> Tally | None:
        """Its counts, if it is complete."""
        return self._tallies[shard] if shard in self._complete else None

    async def total(self) -> Tally:
        """The sum."""
        found = Tally()
        for tally in self._tallies.values():
            found.add(tally)
        return found
