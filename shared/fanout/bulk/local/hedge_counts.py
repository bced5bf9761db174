"""
The times to the first content and the budget of hedges that the processes of this machine share.

They are in a file of their own, beside that of the jobs: an addition never waits for a job's write.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any

from msgspec import MsgspecError, Struct

from ...errors import StorageError
from ...routing.first_token_times import FirstTokenTimes
from ...routing.shared_times import SharedTimes, Stored
from ...wire import json
from .sqlite import Database

FILE = "hedges.db"

SCHEMA = """
CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""

RETENTION = 3600
"""Seconds after which counts say nothing of now; a key that is that old begins again."""


class _Counts(Struct):
    """A key's slot: when it began, when it was last written, its counts and those before it."""

    since: float
    written: float
    current: dict[str, int] = {}
    previous: dict[str, int] = {}


class SQLiteHedgeCounts:
    """A `routing.shared_times.CountStore` in the data folder `home`."""

    def __init__(self, home: Path) -> None:
        self._db = Database(home / FILE, SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    async def add(self, key: str, counts: Mapping[str, int], now: float) -> Stored:
        """Add to the slot, in one transaction."""

        def change(stored: _Counts) -> _Counts:
            current = Counter(stored.current) + Counter(counts)
            return _Counts(stored.since, now, dict(current), stored.previous)

        done = await self._change(key, now, change)
        return done.since, done.current, done.previous

    async def turn(self, key: str, old: Stored, now: float) -> None:
        """Begin the next slot if this one is still that which was read."""

        def change(stored: _Counts) -> _Counts:
            return _Counts(now, now, {}, stored.current) if stored.since == old[0] else stored

        await self._change(key, now, change)

    async def _change(self, key: str, now: float, change: Callable[[_Counts], _Counts]) -> _Counts:
        def write(db: sqlite3.Connection) -> _Counts:
            db.execute("BEGIN IMMEDIATE")
            row = db.execute("SELECT value FROM counts WHERE key = ?", (key,)).fetchone()
            changed = change(_read(row, now))
            value = json.encode(changed)
            db.execute("INSERT OR REPLACE INTO counts VALUES (?, ?)", (key, value))
            db.execute("COMMIT")
            return changed

        return await self._db.submit(write)


def shared_in(
    home: Path, times: FirstTokenTimes, report: Callable[[str, BaseException], None]
) -> Coroutine[Any, Any, None]:
    """
    Share the times with the other processes over this folder, until cancelled.

    A folder that cannot be written is no error: a gateway without jobs needs none.
    """

    def report_bug(request_id: str, error: BaseException) -> None:
        if not isinstance(error, StorageError):
            report(request_id, error)

    store = SQLiteHedgeCounts(home)
    return _keep(SharedTimes(times, store, time, report_bug), store)


async def _keep(sharing: SharedTimes, store: SQLiteHedgeCounts) -> None:
    try:
        await sharing.keep_sharing()
    finally:
        await asyncio.to_thread(store.close)


def _read(row: tuple[bytes] | None, now: float) -> _Counts:
    """What is stored; nothing, if it is old or damaged."""
    if row is not None:
        with suppress(MsgspecError):
            found = json.decode(row[0], type=_Counts)
            if 0 <= now - found.written < RETENTION:
                return found
    return _Counts(now, now)
