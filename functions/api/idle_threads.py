"""
Waits until the process's other threads have nothing to do.

The HTTP engine closes a cancelled call in threads of its own, without saying when it has. Lambda
may freeze the process after a response, and a call that is still open then stays open, and is paid
for. A thread that has been given work is runnable from that moment on, also while it waits for a
processor. So once no thread is runnable, all calls are closed.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

THREADS = Path("/proc/self/task")
"""Linux lists the threads here: https://man7.org/linux/man-pages/man5/proc_pid_task.5.html."""

INTERVAL = 0.0005
LIMIT = 0.1
"""Seconds after which other work of the threads is not waited for any longer."""

BUSY = frozenset({b"R", b"D"})
"""Running or runnable, and waiting for a disk."""


async def wait_for_idle_threads(limit: float = LIMIT) -> None:
    """Wait until the other threads sleep, at most `limit` seconds; not at all without Linux."""
    clock = asyncio.get_running_loop().time
    until = clock() + limit
    while _are_busy() and clock() < until:  # noqa: ASYNC110 -- the threads set no event
        await asyncio.sleep(INTERVAL)


def _are_busy() -> bool:
    own = str(threading.get_native_id())
    try:
        threads = [thread for thread in THREADS.iterdir() if thread.name != own]
    except OSError:  # not Linux
        return False
    return any(_state(thread) in BUSY for thread in threads)


def _state(thread: Path) -> bytes:
    """The letter after the thread's name, which is in brackets and may contain some."""
    try:
        return (thread / "stat").read_bytes().rpartition(b") ")[2][:1]
    except OSError:  # the thread has just ended
        return b""
