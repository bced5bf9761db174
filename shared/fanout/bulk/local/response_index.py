"""
Finds stored responses by the content of their requests, for a file that was changed.

The index has a hash of each request of the jobs that `fanout batch run` made here. A new job takes
the responses of earlier jobs to the same requests, so that only new ones are sent. Memory does not
grow with the files: what is collected is in SQLite's temporary files.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ...disk.threads import in_thread
from ...errors import StorageBusy
from ...wire import json
from ..work.result_lines import read_result, renamed_line
from .checked_reuse import ReuseChecks
from .sqlite import Connection, Database

INDEX = "responses.sqlite"
"""The file, in the folder of the jobs."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
    hash BLOB, job INTEGER, custom_id TEXT, PRIMARY KEY (hash, job, custom_id)
) WITHOUT ROWID;
"""
TEMPORARY = """
CREATE TEMP TABLE IF NOT EXISTS wanted (
    job INTEGER, old TEXT, line INTEGER, new TEXT, schema INTEGER, PRIMARY KEY (job, old, line)
) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS found (line INTEGER PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS names (custom_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS responses (line INTEGER PRIMARY KEY, data BLOB);
DELETE FROM responses;
DELETE FROM wanted;
DELETE FROM found;
DELETE FROM names;
"""
NEWEST = 4
"""Jobs with the same request that are looked at, and rows of each."""

MAX_INTEGER = 2**63 - 1

STEP = 500
"""Responses of one transaction."""

MAX_TRIES = 30
"""Each waits a second for another process, which may remove a large job."""

T = TypeVar("T")

Responses: TypeAlias = list[tuple[int, bytes]]
"""Some responses, with the numbers of their lines."""


def request_hash(body: dict[str, Any]) -> bytes:
    """A hash of the request: its model, its messages, and the parameters of a valid response."""
    data = json.encode(_without_escalation(body), order="sorted")
    return hashlib.blake2b(data, digest_size=16).digest()


class Lookup(NamedTuple):
    """
    A line that may have a response: its number, the hash of its request, and its `custom_id`.

    If it is checked, `unchecked` is the hash of its request without that, to which a response must
    fit the schema of this number.
    """

    line: int
    hash: bytes
    custom_id: str
    unchecked: bytes | None = None
    schema: int | None = None


ESCALATION = frozenset({"attempts", "escalate"})
"""Fields of `fanout` that say what follows an invalid response: a valid one is the same."""


def _without_escalation(body: dict[str, Any]) -> dict[str, Any]:
    """The request without these fields; either of them asks for a check."""
    fanout = body.get("fanout")
    if not isinstance(fanout, dict) or ESCALATION.isdisjoint(fanout):
        return body
    rest = {name: value for name, value in fanout.items() if name not in ESCALATION}
    if rest.get("check") is None and rest.get("schema") is None:
        rest["check"] = True
    return {**body, "fanout": rest}


class ResponseIndex:
    """The index, in a file of its own: writing it holds up no job."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)
        self.path = path
        self.checks = ReuseChecks()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    async def _submit(self, call: Callable[[Connection], T]) -> T:
        """Make the call; it waits for other processes that write."""
        for _ in range(MAX_TRIES - 1):
            try:
                return await self._database.submit(call)
            except StorageBusy:  # after a second
                continue
        return await self._database.submit(call)

    async def is_empty(self) -> bool:
        """Whether no job is in it."""
        if not await in_thread(self.path.exists):
            return True
        query = "SELECT 1 FROM jobs LIMIT 1"
        return await self._submit(lambda db: db.execute(query).fetchone()) is None

    async def add(self, job_id: str, requests: Sequence[tuple[bytes, str]]) -> None:
        """Add requests of a job: the hash and the `custom_id` of each."""

        def write(db: Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT OR IGNORE INTO jobs (id) VALUES (?)", (job_id,))
            (job,) = db.execute("SELECT number FROM jobs WHERE id = ?", (job_id,)).fetchone()
            rows = [(hashed, job, custom_id) for hashed, custom_id in requests]
            db.executemany("INSERT OR IGNORE INTO requests VALUES (?, ?, ?)", rows)
            db.execute("COMMIT")

        await self._submit(write)

    async def remove(self, job_id: str) -> None:
        """Remove a job."""
        if await self.is_empty():
            return

        def delete(db: Connection) -> None:
            where = "(SELECT number FROM jobs WHERE id = ?)"
            db.execute(f"DELETE FROM requests WHERE job = {where}", (job_id,))  # noqa: S608 -- fixed
            db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

        await self._submit(delete)

    async def begin(self) -> None:
        """Forget what was looked up before."""
        self.checks = ReuseChecks()
        await self._submit(lambda db: db.executescript(TEMPORARY))

    async def look_up(self, requests: Sequence[Lookup]) -> bool:
        """
        Look up requests.

        Returns `False` if a `custom_id` was there before: responses are found by it.
        """
        return await self._submit(_looking_up(requests))

    async def wanted_jobs(self) -> list[str]:
        """The ids of the jobs that have some of these requests, the newest first."""
        query = "SELECT id FROM jobs WHERE number IN (SELECT DISTINCT job FROM wanted)"
        rows = await self._submit(lambda db: db.execute(f"{query} ORDER BY number DESC").fetchall())
        return [row[0] for row in rows]

    async def take(
        self, job_id: str, lines: AsyncIterator[tuple[bool, bytes]]
    ) -> AsyncIterator[Responses]:
        """The responses among a job's result lines that are wanted, under their new names."""
        step: list[bytes] = []
        async for failed, line in lines:
            if not failed:
                step.append(line)
            if len(step) >= STEP:
                yield await self._submit(_taking(job_id, step, self.checks))
                step = []
        yield await self._submit(_taking(job_id, step, self.checks))

    async def collect(self, responses: AsyncIterator[Responses]) -> None:
        """Keep these responses in a temporary file, to have them in the order of their lines."""
        query = "INSERT INTO responses VALUES (?, ?)"
        async for step in responses:
            await self._submit(partial(_write_all, query, step))

    async def collected(self) -> AsyncIterator[Responses]:
        """The responses that were kept, in that order."""
        query, last = "SELECT line, data FROM responses WHERE line > ? ORDER BY line LIMIT ?", 0
        while True:
            step = await self._submit(partial(_read_all, query, (last, STEP)))
            if not step:
                return
            yield step
            last = step[-1][0]

    async def found(self, numbers: Sequence[int]) -> set[int]:
        """Which of these lines have a response."""
        query = f"SELECT line FROM found WHERE line IN ({', '.join('?' * len(numbers))})"  # noqa: S608 -- marks
        rows = await self._submit(lambda db: db.execute(query, numbers).fetchall())
        return {row[0] for row in rows}

    async def count_found(self) -> int:
        """How many lines have a response."""
        query = "SELECT COUNT(*) FROM found"
        return int((await self._submit(lambda db: db.execute(query).fetchone()))[0])


def _write_all(query: str, rows: Responses, db: Connection) -> None:
    db.execute("BEGIN")
    db.executemany(query, rows)
    db.execute("COMMIT")


def _read_all(query: str, values: tuple[int, int], db: Connection) -> Responses:
    return db.execute(query, values).fetchall()


def _looking_up(step: Sequence[Lookup]) -> Callable[[Connection], bool]:
    def write(db: Connection) -> bool:
        wanted = [
            (job, old, one.line, one.custom_id, schema)
            for one in step
            for hashed, schema in ((one.hash, None), (one.unchecked, one.schema))
            if hashed is not None
            for job in _newest_jobs(db, hashed)
            for old in _same_requests(db, hashed, job, one.custom_id)
        ]
        db.execute("BEGIN")
        db.executemany("INSERT OR IGNORE INTO wanted VALUES (?, ?, ?, ?, ?)", wanted)
        names = [(one.custom_id,) for one in step]
        new = db.executemany("INSERT OR IGNORE INTO names VALUES (?)", names).rowcount
        db.execute("COMMIT")
        return new == len(names)

    return write


def _newest_jobs(db: Connection, hashed: bytes) -> Iterator[int]:
    """The jobs with this request, the newest first."""
    query = "SELECT MAX(job) FROM requests WHERE hash = ? AND job < ?"
    before = MAX_INTEGER
    for _ in range(NEWEST):
        (job,) = db.execute(query, (hashed, before)).fetchone()
        if job is None:
            return
        yield job
        before = job


def _same_requests(db: Connection, hashed: bytes, job: int, custom_id: str) -> list[str]:
    """The same row of the job, if it has this request; else others with the same text."""
    same = "SELECT custom_id FROM requests WHERE hash = ? AND job = ?"
    if db.execute(f"{same} AND custom_id = ?", (hashed, job, custom_id)).fetchone():
        return [custom_id]
    return [row[0] for row in db.execute(f"{same} LIMIT ?", (hashed, job, NEWEST))]


def _taking(
    job_id: str, step: Sequence[bytes], checks: ReuseChecks
) -> Callable[[Connection], Responses]:
    def take(db: Connection) -> Responses:
        job = db.execute("SELECT number FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if job is None:
            return []
        db.execute("BEGIN")
        taken = [found for one in step for found in _taken(db, job[0], one, checks)]
        db.execute("COMMIT")
        return taken

    return take


def _taken(
    db: Connection, job: int, line: bytes, checks: ReuseChecks
) -> Iterator[tuple[int, bytes]]:
    result = read_result(line, failed=False)
    if result is None:
        return
    query = "SELECT line, new, schema FROM wanted WHERE job = ? AND old = ?"
    for number, new, schema in db.execute(query, (job, result.custom_id)).fetchall():
        fitting = line if schema is None else checks.fitting(schema, line)
        if fitting is None:
            continue
        if db.execute("INSERT OR IGNORE INTO found VALUES (?)", (number,)).rowcount:
            yield number, renamed_line(fitting, new)
