"""
Records and counts in one SQLite file: what a killed process had written is there.

The only importer of `sqlite3`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...wire import json
from ..pacing.limits import Limits, add_learned, read_learned
from ..pacing.rate_limiter import Reservation, advance
from ..totals import Totals

LOOK = 1.0
"""Seconds for which it is known whether a model pauses, and what was learned of it."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (
    job TEXT, shard INTEGER, complete INTEGER NOT NULL, tally BLOB NOT NULL,
    PRIMARY KEY (job, shard)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
    model TEXT, kind TEXT, mark REAL NOT NULL, PRIMARY KEY (model, kind)
) WITHOUT ROWID;
"""


Marks = dict[str, float]


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

    def shards(self, job: str) -> dict[int, tuple[bool, Totals]]:
        """The counts of a job's shards, as far as they were written."""
        found = self._db.execute("SELECT shard, complete, tally FROM shards WHERE job = ?", (job,))
        return {shard: (bool(c), json.decode(t, type=Totals)) for shard, c, t in found}

    def write_shards(self, job: str, rows: Sequence[tuple[int, bool, Totals]]) -> None:
        """Write counts in the place of older ones."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(
            "INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?)",
            [(job, shard, complete, json.encode(totals)) for shard, complete, totals in rows],
        )
        self._db.execute("COMMIT")

    def forget_shards(self, job: str) -> None:
        """A job that is planned anew has no counts."""
        self._db.execute("DELETE FROM shards WHERE job = ?", (job,))

    # ---- pacing ----

    def marks(self, model: str) -> Marks:
        """A model's marks, by kind."""
        found = self._db.execute("SELECT kind, mark FROM marks WHERE model = ?", (model,))
        return dict(found.fetchall())

    def move_marks(self, model: str, reservations: Sequence[Reservation], now: float) -> float:
        """Reserve the reservations; when they may start."""
        starts: list[float] = []

        def move(marks: Marks) -> Marks:
            moved, start = advance(marks, list(reservations), now)
            starts.append(start)
            return moved

        self.change_marks(model, move)
        return starts[0]

    def change_marks(self, model: str, change: Callable[[Marks], Marks]) -> None:
        """Put what `change` makes of them in their place, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        marks = self.marks(model)
        changed = change(marks)
        self._db.executemany(
            "INSERT OR REPLACE INTO marks VALUES (?, ?, ?)",
            [(model, kind, mark) for kind, mark in changed.items() if mark != marks.get(kind)],
        )
        self._db.execute("COMMIT")

    def shift_mark(self, model: str, kind: str, seconds: float) -> None:
        """Move one mark back."""
        self._db.execute(
            "UPDATE marks SET mark = mark - ? WHERE model = ? AND kind = ?", (seconds, model, kind)
        )

    def hold(self, model: str, until: float) -> None:
        """Nobody starts before."""
        self._db.execute(
            "INSERT INTO marks VALUES (?, 'pause', ?)"
            " ON CONFLICT DO UPDATE SET mark = max(mark, excluded.mark)",
            (model, until),
        )


class _Seen(NamedTuple):
    """A model's marks, when they were read, and what they say was learned."""

    at: float
    marks: Marks
    limits: Limits | None


class SQLiteRateLimitStore:
    """
    The marks of all models, for every process of this machine.

    What is only read of them is as it was up to a second ago.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._seen: dict[str, _Seen] = {}

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """One transaction; of a model without limits only pauses are looked for."""
        if reservations:
            return self._db.move_marks(model, reservations, now)
        return max(now, self._look(model, now).marks.get("pause", 0.0))

    def _look(self, model: str, now: float) -> _Seen:
        seen = self._seen.get(model)
        if seen is None or not 0 <= now - seen.at < LOOK:
            marks = self._db.marks(model)
            seen = self._seen[model] = _Seen(now, marks, read_learned(marks, now))
        return seen

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Move the mark back."""
        self._db.shift_mark(model, reservation.kind, reservation.amount / reservation.rate)

    async def pause(self, model: str, until: float) -> None:
        """Keep the later time."""
        self._db.hold(model, until)
        self._seen.pop(model, None)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Of the marks."""
        return self._look(model, now).limits

    def record_limits(self, model: str, place: str, limits: Limits, now: float) -> None:
        """Put it with the marks, if it is new."""
        marks = self._look(model, now).marks
        if add_learned(marks, place, limits, now) != marks:
            self._db.change_marks(model, lambda found: add_learned(found, place, limits, now))
            self._seen.pop(model)

    async def flush(self) -> None:
        """Nothing is kept elsewhere."""
