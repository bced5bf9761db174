"""
Locks of open files, by which processes know of each other.

A lock ends with its file or its process, also by a kill. POSIX has `flock`. Windows locks ranges of
bytes, for one process each: an exclusive lock is the whole range, a shared one a random byte of it.
Other processes cannot read what is locked there, so the range is far beyond the end of every file.
"""

from __future__ import annotations

import os
import secrets
import time

FIRST, LENGTH = 1 << 30, 1 << 24
"""The range: two shared locks of 1,000 take the same byte once in 30 times, and then one waits."""

RETRY = 0.01
"""Seconds between two tries to get a shared lock on Windows."""

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # Windows


def try_lock(number: int, *, shared: bool = False) -> bool:
    """Lock an open file, without waiting; returns whether that was possible."""
    if fcntl is None:
        return _lock_range(number, shared=shared)
    try:
        fcntl.flock(number, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share_lock(number: int) -> None:
    """Lock an open file together with others; an exclusive lock is waited for."""
    if fcntl is not None:
        fcntl.flock(number, fcntl.LOCK_SH)
        return
    while not _lock_range(number, shared=True):
        time.sleep(RETRY)


def _lock_range(number: int, *, shared: bool) -> bool:
    import msvcrt

    place = os.lseek(number, 0, os.SEEK_CUR)
    first, length = (FIRST + secrets.randbelow(LENGTH), 1) if shared else (FIRST, LENGTH)
    try:
        os.lseek(number, first, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_NBLCK, length)  # type: ignore[attr-defined]
    except PermissionError:  # another process has it
        return False
    finally:
        os.lseek(number, place, os.SEEK_SET)
    return True
