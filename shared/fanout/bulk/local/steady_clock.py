"""The clock of a process, by which jobs and files expire: which does not jump."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

SMALL = 60.0
"""Seconds by which the system's clock is set at once."""

BELIEVED_AFTER = 600.0
"""Seconds after which a jump is believed."""

CHECK_INTERVAL = 0.1
"""Seconds after which the system's clock is read again: a job reads its own for every line."""

_elapsed: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic
)
"""Seconds since some moment, which no one sets; where it can, it counts while suspended."""


class SteadyClock:
    """
    Seconds since 1970; called as a function.

    A system clock that jumps, by a day and back or by an hour, would end jobs and delete files. So
    time goes on as it did; a new time that lasts for `BELIEVED_AFTER` seconds is taken over.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = _elapsed
    ) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._offset = wall() - elapsed()
        self._check_at = float("-inf")
        self._jumped_at: float | None = None

    def __call__(self) -> float:
        """The time now."""
        elapsed = self._elapsed()
        if elapsed >= self._check_at:
            self._check_at = elapsed + CHECK_INTERVAL
            self._check(elapsed)
        return elapsed + self._offset

    def _check(self, elapsed: float) -> None:
        """Follow the system's clock, unless it has just jumped."""
        offset = self._wall() - elapsed
        if abs(offset - self._offset) <= SMALL:
            self._offset, self._jumped_at = offset, None
        elif self._jumped_at is None:
            self._jumped_at = elapsed
        elif elapsed - self._jumped_at >= BELIEVED_AFTER:
            self._offset, self._jumped_at = offset, None
