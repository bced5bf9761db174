"""The lines that a worker has in flight, and when another one may start."""

from __future__ import annotations

import asyncio

from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..store import Stop
from .spec import WorkerResources, WorkSpec
from .stopping import WorkerStop

POLL_INTERVAL = 0.1
"""Seconds after which a worker that may not start a line checks again."""


class LineSlots:
    """
    How many lines may be in flight: by calls, by bytes, and by the job's cost cap.

    `changed` is set when another line may start. None starts after `deadline`, by the event loop's
    clock.
    """

    def __init__(
        self,
        spec: WorkSpec,
        resources: WorkerResources,
        concurrency: AdaptiveConcurrency,
        stop: WorkerStop,
        deadline: float | None,
    ) -> None:
        self.in_flight = 0
        self.changed = asyncio.Event()
        self._bytes = 0
        self._max_bytes = spec.max_bytes_in_flight
        self._activity = resources.activity
        self._progress = resources.progress
        self._concurrency = concurrency
        self._stop = stop
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()

    async def wait_to_start(self, size: int, estimate: int) -> Stop | None:
        """Wait until a line of that size may start, or return why none may start any more."""
        while not self._stop.is_set():
            if self._deadline is not None and self._loop.time() >= self._deadline:
                return "time"
            if self.has_room(size):
                stop = self._progress.reserve(estimate)
                if stop is None:
                    self.in_flight += 1
                    self._bytes += size
                self._activity.is_capped = stop == "wait"
                if stop != "wait":
                    return stop
            await self.pause()
        return None

    def ended(self, size: int) -> None:
        """A line of that size has ended."""
        self.in_flight -= 1
        self._bytes -= size
        self.changed.set()

    async def pause(self) -> None:
        """Wait until something has changed, but not long."""
        self.changed.clear()
        timer = self._loop.call_later(POLL_INTERVAL, self.changed.set)
        try:  # not `asyncio.timeout`, which costs more; every second line comes here
            await self.changed.wait()
        finally:
            timer.cancel()

    def has_room(self, size: int) -> bool:
        """Whether the calls and the bytes in flight allow for a line of that size."""
        activity = self._activity
        if activity.is_held:
            return False
        if not self.in_flight:
            return True
        calls = self.in_flight - activity.grouped
        fits = self._bytes + size <= self._max_bytes
        return fits and (calls < int(self._concurrency.limit) or activity.open_groups > 0)
