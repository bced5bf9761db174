"""
The number of HTTP/1.1 calls in flight, each of which needs a socket.

It follows the process's limit for open files, which is raised only for calls that need it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

OTHER_FILES = 224
"""Open files that are left to the rest of the process: of a Lambda's 1,024, 800 are for calls."""

UNKNOWN_LIMIT = 1_024
"""Where the limit cannot be read (Windows)."""

MOST_FILES = 32_768
"""A system may allow a billion; calls to one address have about 28,000 ports."""


class SocketSlots(asyncio.Semaphore):
    """
    The slots of HTTP/1.1 calls, as many as the process's limit for open files allows.

    When all are taken, that limit is raised as far as the system allows; then calls wait. `most` is
    the number of slots that there may be then.
    """

    def __init__(self) -> None:
        files, most = open_files()
        self.most = slots_of(most)
        self._number = slots_of(files)
        super().__init__(self._number)

    async def __aenter__(self) -> None:
        if self._number < self.most and self.locked():
            self.most = slots_of(raise_open_files())
            while self._number < self.most:
                self._number += 1
                self.release()
        await self.acquire()


def slots_of(files: int) -> int:
    """The number of calls for which a limit of so many open files is enough."""
    return max(files - OTHER_FILES, files // 2, 1)


def open_files() -> tuple[int, int]:
    """The process's limit for open files, and how far it may raise it."""
    try:
        import resource
    except ImportError:
        return UNKNOWN_LIMIT, UNKNOWN_LIMIT
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    files, most = (n if 0 <= n < MOST_FILES else MOST_FILES for n in limits)  # -1: no limit
    return files, most


def raise_open_files() -> int:
    """Raise the process's limit for open files as far as needed and permitted, and return it."""
    files, most = open_files()
    if files < most:
        with suppress(ValueError, OSError):
            import resource

            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return open_files()[0]
