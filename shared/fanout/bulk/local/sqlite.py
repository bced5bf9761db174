"""
Records, totals and rate limit state in one SQLite file; they survive a killed process.

The only importer of `sqlite3`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...wire import json
from ..pacing.limits import Limits, add_learned, read_learned
from ..pacing.rate_limiter import Reservation, State, advance
from ..store import Change
from ..totals import Totals

CACHE_SECONDS = 1.0
"""Seconds for which a model's pause and learned limits are not read again."""

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


class Database:
    """The database file; several processes may have it open."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # ---- records ----

    async def get(self, kind: str, key: str) -> bytes | None:
        """The record, or `None`."""
        return self.read(kind, key)

    def read(self, kind: str, key: str) -> bytes | None:
        """The record, or `None`, without waiting."""
        found = self._db.execute(
            "SELECT value FROM records WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return found[0] if found else None

    async def put(self, kind: str, key: str, new: bytes, old: bytes | None) -> bool:
        """Write it if the stored record is still `old`; returns whether it was."""
        return self._put(Change(kind, key, new, old))

    def _put(self, change: Change) -> bool:
        kind, key, new, old = change.kind, change.key, change.new, change.old
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

    async def put_all(self, changes: Sequence[Change]) -> bool:
        """Write all changes in one transaction, or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            is_done = all(self._put(change) for change in changes)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT" if is_done else "ROLLBACK")
        return is_done

    async def delete(self, kind: str, key: str) -> bool:
        """Delete it, and return whether it was there."""
        done = self._db.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))
        return done.rowcount == 1

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[bytes]:
        """The records after that id; their order is that of creation."""
        if newest_first:
            query = "key < ? ORDER BY key DESC"
            last = after or "\U0010ffff"
        else:
            query, last = "key > ? ORDER BY key", after or ""
        found = self._db.execute(
            f"SELECT value FROM records WHERE kind = ? AND {query} LIMIT ?",  # noqa: S608 -- one of two
            (kind, last, limit),
        )
        return [row[0] for row in found]

    # ---- totals ----

    def shard_totals(self, job: str) -> dict[int, tuple[bool, Totals]]:
        """Of each shard: whether it is complete, and its totals as last written."""
        found = self._db.execute("SELECT shard, complete, tally FROM shards WHERE job = ?", (job,))
        return {
            shard: (bool(complete), json.decode(totals, type=Totals))
            for shard, complete, totals in found
        }

    def write_totals(self, job: str, rows: Sequence[tuple[int, bool, Totals]]) -> None:
        """Write rows of shard, whether it is complete, and its totals."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(
            "INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?)",
            [(job, shard, complete, json.encode(totals)) for shard, complete, totals in rows],
        )
        self._db.execute("COMMIT")

    def delete_totals(self, job: str) -> None:
        """Delete the totals of all shards of a job."""
        self._db.execute("DELETE FROM shards WHERE job = ?", (job,))

    # ---- rate limits ----

    def rate_limit_state(self, model: str) -> State:
        """A model's rate limit state."""
        found = self._db.execute("SELECT kind, mark FROM marks WHERE model = ?", (model,))
        return dict(found.fetchall())

    def change_rate_limit_state(self, model: str, change: Callable[[State], State]) -> None:
        """Replace the state by what `change` returns, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        state = self.rate_limit_state(model)
        changed = change(state)
        self._db.executemany(
            "INSERT OR REPLACE INTO marks VALUES (?, ?, ?)",
            [(model, kind, value) for kind, value in changed.items() if value != state.get(kind)],
        )
        self._db.execute("COMMIT")

    def reserve(self, model: str, reservations: Sequence[Reservation], now: float) -> float:
        """Make the reservations, and return when they may start."""
        starts: list[float] = []

        def move(state: State) -> State:
            moved, start = advance(state, list(reservations), now)
            starts.append(start)
            return moved

        self.change_rate_limit_state(model, move)
        return starts[0]

    def move_back(self, model: str, kind: str, seconds: float) -> None:
        """Move the time of the next reservation back."""
        self._db.execute(
            "UPDATE marks SET mark = mark - ? WHERE model = ? AND kind = ?", (seconds, model, kind)
        )

    def pause(self, model: str, until: float) -> None:
        """Set the end of the model's pause, unless it is later already."""
        self._db.execute(
            "INSERT INTO marks VALUES (?, 'pause', ?)"
            " ON CONFLICT DO UPDATE SET mark = max(mark, excluded.mark)",
            (model, until),
        )


class _Cached(NamedTuple):
    """A model's state, when it was read, and the learned limits in it."""

    at: float
    state: State
    limits: Limits | None


class SQLiteRateLimitStore:
    """
    The rate limit state of all models, for every process of this machine.

    Pauses and learned limits may be up to a second old.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._cache: dict[str, _Cached] = {}

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Reserve in one transaction; without reservations, return the end of the model's pause."""
        if reservations:
            return self._db.reserve(model, reservations, now)
        return max(now, self._cached(model, now).state.get("pause", 0.0))

    def _cached(self, model: str, now: float) -> _Cached:
        cached = self._cache.get(model)
        if cached is None or not 0 <= now - cached.at < CACHE_SECONDS:
            state = self._db.rate_limit_state(model)
            cached = self._cache[model] = _Cached(now, state, read_learned(state, now))
        return cached

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Move the time of the next reservation back."""
        self._db.move_back(model, reservation.kind, reservation.amount / reservation.rate)

    async def pause(self, model: str, until: float) -> None:
        """Keep the later of two pauses."""
        self._db.pause(model, until)
        self._cache.pop(model, None)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Read them from the state."""
        return self._cached(model, now).limits

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """Add them to the state, if they are new."""
        state = self._cached(model, now).state
        if add_learned(state, deployment_id, limits, now) != state:
            self._db.change_rate_limit_state(
                model, lambda found: add_learned(found, deployment_id, limits, now)
            )
            self._cache.pop(model)

    async def flush(self) -> None:
        """Do nothing: all of it is shared already."""
