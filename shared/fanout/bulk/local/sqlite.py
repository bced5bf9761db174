"""
Records, totals and rate limit state in one SQLite file; they survive a killed process.

The only importer of `sqlite3`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TypeAlias, TypeVar

from ...disk.files import PRIVATE_FILE, make_private, make_private_folder, storage_error
from ...errors import StorageBusy, StorageError, StorageFull
from ...wire import json
from ..pacing.rate_limit_state import State
from ..store import Change
from ..totals import Totals

T = TypeVar("T")

Connection: TypeAlias = sqlite3.Connection

BUSY_TIMEOUT = 1.0
"""Seconds for which a call waits for other processes."""

TIMEOUT_STEP = 0.1
PRIMARY_CODE = 0xFF
_creating = Lock()  # no other thread connects to a file that is created

FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""
Codes of a write that failed, https://www.sqlite.org/rescode.html (2026-05-17).

SQLite reports a full disk as the first, and a quota or a limit for files as the others.
"""

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
    """
    The database file; several processes may have it open.

    One thread makes all calls, one after the other. It opens the file with the first call, and
    again after an error in opening it. Every error is a `StorageError` of the call concerned.
    """

    def __init__(self, path: Path, schema: str = SCHEMA) -> None:
        self.path = path
        self._schema = schema
        self._connection: sqlite3.Connection | None = None
        self._timeout = BUSY_TIMEOUT
        self._thread = ThreadPoolExecutor(1, "fanout-sqlite")

    def submit(self, call: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Make the call after those before it; it waits for other processes up to a second."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, self._call, call, monotonic() + BUSY_TIMEOUT)

    def _call(self, call: Callable[[sqlite3.Connection], T], until: float) -> T:
        try:
            if self._connection is None:
                self._connection = _open(self.path, self._schema)
            if (left := until - monotonic()) < self._timeout - TIMEOUT_STEP or left > self._timeout:
                self._timeout = max(0.0, left)
                self._connection.execute(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}")
            try:
                return call(self._connection)
            finally:
                if self._connection.in_transaction:
                    self._connection.rollback()
        except (sqlite3.Error, OSError) as error:
            raise _storage_error(error, self.path) from error

    def close(self) -> None:
        """Finish the calls that were made, and close the file."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection, self._timeout = None, BUSY_TIMEOUT

    # ---- records ----

    async def get(self, kind: str, key: str) -> bytes | None:
        """The record, or `None`."""

        def read(db: sqlite3.Connection) -> bytes | None:
            found = db.execute(
                "SELECT value FROM records WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
            return found[0] if found else None

        return await self.submit(read)

    async def put(self, kind: str, key: str, new: bytes, old: bytes | None) -> bool:
        """Write it if the stored record is still `old`; returns whether it was."""
        return await self.submit(partial(_put, Change(kind, key, new, old)))

    async def put_all(self, changes: Sequence[Change]) -> bool:
        """Write all changes in one transaction, or none."""

        def write(db: sqlite3.Connection) -> bool:
            db.execute("BEGIN IMMEDIATE")
            is_done = all(_put(change, db) for change in changes)
            db.execute("COMMIT" if is_done else "ROLLBACK")
            return is_done

        return await self.submit(write)

    async def delete(self, kind: str, key: str) -> bool:
        """
        Delete it, and return whether it was there.

        On a full disk, the log's content is moved to the file: then the log has room.
        """

        def delete(db: sqlite3.Connection) -> bool:
            query = "DELETE FROM records WHERE kind = ? AND key = ?"
            try:
                return db.execute(query, (kind, key)).rowcount == 1
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) not in FULL:
                    raise
            db.execute("PRAGMA wal_checkpoint(RESTART)")
            return db.execute(query, (kind, key)).rowcount == 1

        return await self.submit(delete)

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[tuple[str, bytes]]:
        """The keys and records after that id; their order is that of creation."""
        if newest_first:
            query = "key < ? ORDER BY key DESC"
            last = after or "\U0010ffff"
        else:
            query, last = "key > ? ORDER BY key", after or ""
        text = f"SELECT key, value FROM records WHERE kind = ? AND {query} LIMIT ?"  # noqa: S608 -- one of two
        return await self.submit(lambda db: db.execute(text, (kind, last, limit)).fetchall())

    # ---- totals ----

    async def shard_totals(self, job: str) -> dict[int, tuple[bool, Totals]]:
        """
        Of each shard: whether it is complete, and its totals as last written.

        Damaged ones are left out: the worker counts the shard's results again.
        """
        query = "SELECT shard, complete, tally FROM shards WHERE job = ?"
        found = await self.submit(lambda db: db.execute(query, (job,)).fetchall())
        return {
            shard: (bool(complete), read)
            for shard, complete, totals in found
            if (read := _read_totals(totals)) is not None
        }

    async def write_totals(self, job: str, rows: Sequence[tuple[int, bool, Totals]]) -> None:
        """Write rows of shard, whether it is complete, and its totals."""
        values = [(job, shard, complete, json.encode(totals)) for shard, complete, totals in rows]

        def write(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?)", values)
            db.execute("COMMIT")

        await self.submit(write)

    async def delete_totals(self, job: str) -> None:
        """Delete the totals of all shards of a job."""
        await self.submit(lambda db: db.execute("DELETE FROM shards WHERE job = ?", (job,)))

    # ---- rate limits ----

    async def rate_limit_state(self, model: str) -> State:
        """A model's rate limit state."""
        return await self.submit(partial(_state, model))

    def change_rate_limit_state(
        self, model: str, change: Callable[[State], State]
    ) -> asyncio.Future[None]:
        """Replace the state by what `change` returns, in one transaction."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            state = _state(model, db)
            changed = change(state)
            values = [(model, kind, at) for kind, at in changed.items() if at != state.get(kind)]
            db.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", values)
            if gone := state.keys() - changed.keys():
                query = "DELETE FROM marks WHERE model = ? AND kind = ?"
                db.executemany(query, [(model, kind) for kind in gone])
            db.execute("COMMIT")

        return self.submit(write)

    def move_back(self, model: str, kind: str, seconds: float) -> asyncio.Future[sqlite3.Cursor]:
        """Move the time of the next reservation back."""
        query = "UPDATE marks SET mark = mark - ? WHERE model = ? AND kind = ?"
        return self.submit(lambda db: db.execute(query, (seconds, model, kind)))


def open_temporary(schema: str) -> Connection:
    """A database in a file of its own, which ends with the connection."""
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    connection.executescript(schema)
    return connection


def _open(path: Path, schema: str) -> sqlite3.Connection:
    """Open or create the file, and make its folder private; SQLite's other files are like it."""
    make_private_folder(path.parent)
    make_private(path.parent)
    _create(path)
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=BUSY_TIMEOUT, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """
    Create the file, which only this user may read, unless it exists.

    A file that exists is not opened: closing it would end the locks of this process's connections
    to it, and another process would then delete its log (https://www.sqlite.org/howtocorrupt.html,
    section 2.2, 2026-11-30).
    """
    with _creating, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))


def _storage_error(error: sqlite3.Error | OSError, path: Path) -> StorageError:
    if isinstance(error, OSError):
        return storage_error(error, path)
    code = getattr(error, "sqlite_errorcode", 0)
    if code & PRIMARY_CODE in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StorageBusy(str(path), "another process is writing to it")
    if code in FULL:
        return StorageFull(str(path), "no space is left")
    return StorageError(str(path), str(error))


def _put(change: Change, db: sqlite3.Connection) -> bool:
    kind, key, new, old = change.kind, change.key, change.new, change.old
    if old is None:
        done = db.execute("INSERT OR IGNORE INTO records VALUES (?, ?, ?)", (kind, key, new))
    else:
        done = db.execute(
            "UPDATE records SET value = ? WHERE kind = ? AND key = ? AND value = ?",
            (new, kind, key, old),
        )
    return done.rowcount == 1


def _state(model: str, db: sqlite3.Connection) -> State:
    found = db.execute("SELECT kind, mark FROM marks WHERE model = ?", (model,)).fetchall()
    return {kind: at for kind, at in found if isinstance(kind, str) and isinstance(at, float)}


def _read_totals(stored: bytes) -> Totals | None:
    try:
        return json.decode(stored, type=Totals)
    except (ValueError, TypeError):
        return None
