"""
How many calls of a model with unknown limits may be in flight while a worker starts to use it.

One call is first, the probe: its response may state the limits. Then the number grows with each
response and with time, slowly enough that few calls are in flight when a limit shows itself.
"""

from __future__ import annotations

import asyncio

from .adaptive_concurrency import MAX_CONCURRENCY

PROBE_TIMEOUT = 5.0
"""Seconds for which the other lines wait for the probe's response."""

INITIAL = 2.0
PER_RESPONSE = 0.2
"""Each response adds so many calls: a fifth more in each round of calls."""

PER_SECOND = 1.6
"""By this factor the number grows each second, however long the responses take."""

MAX_GROWTH = 60.0
"""Seconds of growth after which nothing limits the number; no call may be made for hours."""

TOLERANCE = 0.001
"""Seconds by which clocks may differ."""

STEP = 0.25
"""Seconds between two looks at the time."""


class Ramp:
    """One model's start in one worker; times are the event loop's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = 1.0
        self._grown_at = self._loop.time()
        self._probe_until = self._grown_at + PROBE_TIMEOUT
        self._changed = asyncio.Event()
        self._in_flight = 0
        self.is_over = False

    async def enter(self) -> None:
        """Wait until a call may start; it is in flight until `leave`."""
        while not self.is_over and self._in_flight >= int(self._grow()):
            self._changed.clear()
            until = self._probe_until if self._limit == 1.0 else self._loop.time() + STEP
            try:
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
            except TimeoutError:
                pass
        self._in_flight += 1

    def _grow(self) -> float:
        now = self._loop.time()
        if self._limit == 1.0:  # the probe
            if now < self._probe_until - TOLERANCE:
                return 1.0
            self._limit = INITIAL
        else:
            self._limit *= PER_SECOND ** min(now - self._grown_at, MAX_GROWTH)
        self._grown_at = now
        if self._limit >= MAX_CONCURRENCY:
            self.end()
        return self._limit

    def leave(self) -> None:
        """A call has ended, or is not made."""
        self._in_flight -= 1
        if self._limit == 1.0:
            self._limit, self._grown_at = INITIAL, self._loop.time()
        else:
            self._limit = self._grow() + PER_RESPONSE
        self._changed.set()

    def end(self) -> None:
        """The number of calls is no longer limited: a rate limit is known, or seems to be far."""
        self.is_over = True
        self._changed.set()
