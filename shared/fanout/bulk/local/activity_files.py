"""
The activity of this machine's jobs: one small file for each job that a process runs.

So each process, such as `fanout batch status`, sees what the lines of a job wait for. The process
that runs the job holds a lock on the file, which also a kill releases. A file has its full size
from the start and is written in place, which a full disk allows. If even the first write does not
fit, the empty file says so. While the database cannot be written, the file also has the counts.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from ...disk.file_lock import try_lock
from ...disk.files import (
    DRAFT_PREFIX,
    MOVES_OPEN_FILES,
    PRIVATE_FILE,
    make_private_folder,
    write_all,
)
from ...disk.threads import in_thread
from ...wire import json
from ..activity import MAX_AGE, NOT_RUNNING, STORAGE_FULL, Activity
from ..totals import Totals

SIZE = 8192
"""Bytes of a file: as many waits as an `Activity` may have fit, with names of usual length."""

INTERVAL = 1.0
"""Seconds between two looks at a job's activity."""

WRITE_INTERVAL = 2.0
"""Seconds between two writes of a file, unless the reasons change; at most every `MAX_AGE` / 2."""


class Report(Struct, frozen=True, omit_defaults=True):
    """A job's activity, and its counts while they are in no database."""

    activity: Activity
    totals: Totals | None = None


class ActivityFiles:
    """The files, in `folder`."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._folder = folder
        self._now = now
        self._claimed: dict[str, _ClaimedFile] = {}

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.activity"

    async def read(self, job_id: str) -> tuple[Activity | None, Totals | None]:
        """
        The job's activity in the process that runs it, and the counts that are in no database.

        The activity says so if no process runs the job; it is `None` if it is not known.
        """
        is_running, found = await in_thread(_read, self._path(job_id))
        activity = None
        if not is_running:
            activity = Activity(self._now(), waits=[NOT_RUNNING])
        elif found is not None and found.activity.is_recent(self._now()):
            activity = found.activity
        return activity, None if found is None else found.totals

    async def claim(self, job_id: str) -> Totals | None:
        """
        Show other processes that this one runs the job, until `release` or a kill.

        Returns the counts that an earlier run could write to no database.
        """
        file = self._claimed.setdefault(job_id, _ClaimedFile(self._path(job_id)))
        await in_thread(file.claim)
        return file.left

    async def release(self, job_id: str, last: Report | None = None) -> None:
        """Delete the file, or leave it with what was `last`, if that has counts."""
        if (file := self._claimed.pop(job_id, None)) is not None:
            await in_thread(file.release, last)

    async def report(self, job_id: str, snapshot: Callable[[], Report | None]) -> None:
        """Write what the job does while it is claimed, again and again until cancelled."""
        written = Report(Activity(0.0))
        try:
            while True:
                await asyncio.sleep(INTERVAL)
                if (file := self._claimed.get(job_id)) is None or (now := snapshot()) is None:
                    continue
                if _is_due(now, written) and await in_thread(file.write, now):
                    written = now
        finally:
            await self.release(job_id, snapshot())


def _is_due(now: Report, written: Report) -> bool:
    new, old = now.activity, written.activity
    reasons = [[(one.reason, one.model) for one in waits] for waits in (new.waits, old.waits)]
    if reasons[0] != reasons[1] or (now.totals is None) != (written.totals is None):
        return True
    if new.at < old.at + WRITE_INTERVAL:
        return False
    is_old = new.at >= old.at + MAX_AGE / 2
    return is_old or now.totals != written.totals or replace(new, at=0.0) != replace(old, at=0.0)


def _read(path: Path) -> tuple[bool, Report | None]:
    """Whether a process runs the job, and what was written last."""
    try:
        with path.open("rb") as file:
            # readers share a lock, so they never take each other for the process that runs the job
            is_running = not try_lock(file.fileno(), shared=True)
            return is_running, _report_in(file)
    except FileNotFoundError:
        return False, None
    except OSError:
        return True, None


def _report_in(file: BinaryIO) -> Report | None:
    if data := file.read(SIZE):
        try:
            return json.decode(data.rstrip(b"\0 "), type=Report)
        except json.NOT_JSON:
            return None
    return Report(Activity(os.fstat(file.fileno()).st_mtime, waits=[STORAGE_FULL]))


class _ClaimedFile:
    """The file of a job that this process runs. Its functions block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.left: Totals | None = None

    def claim(self) -> bool:
        """Open and lock the file; `False` if that is not possible now."""
        if self._file is not None:
            with suppress(OSError):
                if os.path.samestat(os.fstat(self._file.fileno()), self._path.stat()):
                    return True
            self._close()  # another process has deleted or replaced it
        with suppress(OSError):
            make_private_folder(self._path.parent)
            self._file = self._take_over() if self._path.exists() else self._create()
        return self._file is not None

    def _take_over(self) -> BinaryIO | None:
        """The file that an earlier process has left; only its counts are still true."""
        with suppress(FileNotFoundError):
            file = self._path.open("rb+", buffering=0)
            if try_lock(file.fileno()):
                found = _report_in(file)
                self.left = None if found is None else found.totals
                _write(file, Report(Activity(0.0), self.left))
                return file
            file.close()
        return None

    def _create(self) -> BinaryIO:
        """A new file, which is locked and has its size when it gets its name."""
        draft = self._path.with_name(f"{DRAFT_PREFIX}{token_hex(8)}")
        draft = draft if MOVES_OPEN_FILES else self._path
        file = open(draft, "xb", buffering=0, opener=_private)  # noqa: SIM115 -- it stays open
        try:
            try_lock(file.fileno())
            _write(file, Report(Activity(0.0)))
            if draft != self._path:
                draft.replace(self._path)
        except OSError:
            file.close()
            raise
        return file

    def write(self, report: Report) -> bool:
        """Write the report; `False` if that is not possible now."""
        return self.claim() and self._file is not None and _write(self._file, report)

    def release(self, last: Report | None) -> None:
        """Delete the file, or leave it with what was `last`, if that has counts."""
        if last is not None and last.totals is not None:
            self.write(last)
        elif self.claim():
            if not MOVES_OPEN_FILES:
                self._close()
            with suppress(OSError):
                self._path.unlink()
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE_FILE)


def _write(file: BinaryIO, report: Report) -> bool:
    """Write the report in place. On a full disk, only a file that has its size takes it."""
    data = json.encode(report)
    if len(data) > SIZE:
        activity = replace(report.activity, waits=report.activity.waits[:1])
        totals = None if report.totals is None else replace(report.totals, causes={})
        data = json.encode(Report(activity, totals))
    with suppress(OSError):
        os.utime(file.fileno() if os.utime in os.supports_fd else file.name)
        file.seek(0)
        write_all(file, data[:SIZE].ljust(SIZE))
        return True
    return False
