"""The lines that a worker has in flight, and when another one may start."""

from __future__ import annotations

import asyncio
from collections import deque

from ..activity import Wait
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..store import Stop
from .spec import WorkerResources, WorkSpec
from .stopping import WorkerStop

POLL_INTERVAL = 0.1
"""Seconds after which a worker that may not start a line checks again."""

MAX_RETRYING = 1000
"""Lines that wait for a retry, beside those with a call, so that the memory for them is bounded."""

LEAST_WAITING, SHORTAGE = 4, 10.0
"""
Lines that may have no call yet, or as many as have one, for so many seconds after one has waited
for a slot of its model or of the gateway: the next call starts at once, and others need not wait.
"""

PROBE_INTERVAL = 1.0
"""Seconds between two calls to a model that is down."""

DOWN = Wait("provider_error", "no call succeeds now; one is sent each second until one does")
RETRYING = Wait("provider_error", f"{MAX_RETRYING:,} lines that failed wait to be sent again")


class LineSlots:
    """
    How many lines may be in flight: by calls, by bytes, and by the job's cost cap.

    While some of them wait for a slot of their model or of the gateway, few others start.

    A line that waits for a retry has no slot. Lines to be sent again and other lines get slots in
    turn. `changed` is set when another line may start. None starts after `deadline`, by the event
    loop's clock.
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
        self._retrying = 0
        self._retries: deque[asyncio.Future[None]] = deque()
        self._next_probe = 0.0
        self._is_retrys_turn = True
        self._lacks_slot = False
        self._waited_at = float("-inf")  # a line for a slot of its model or of the gateway
        self._wanted_at = float("-inf")  # a slot, for a line that is not sent yet
        self._timer: asyncio.TimerHandle | None = None

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
                    self._took_slot(is_retry=False)
                self._activity.is_capped = stop == "wait"
                if stop != "wait":
                    return stop
            await self.pause()
        return None

    def ended(self, size: int) -> None:
        """A line of that size has ended."""
        self.in_flight -= 1
        self._bytes -= size
        self._grant()

    async def pause(self) -> None:
        """Wait until something has changed, but not long."""
        self.changed.clear()
        if self._lacks_slot:
            self._wanted_at = self._loop.time()
        timer = self._loop.call_later(POLL_INTERVAL, self.changed.set)
        try:  # not `asyncio.timeout`, which costs more; every second line comes here
            await self.changed.wait()
        finally:
            timer.cancel()

    def has_room(self, size: int) -> bool:
        """Whether the calls and the bytes in flight allow for a line of that size."""
        activity = self._activity
        activity.pause = self._why_none_starts()
        self._lacks_slot = False
        if activity.is_held:
            return False
        if not self.in_flight:
            return True
        if self._bytes + size > self._max_bytes or self._retrying >= MAX_RETRYING:
            return False
        self._grant_retries()
        is_turn = not (self._retries and self._is_retrys_turn)
        self._lacks_slot = not (is_turn and self._has_slot())
        return not self._lacks_slot or activity.open_groups > 0

    def _why_none_starts(self) -> Wait | None:
        if self._concurrency.is_down:
            return DOWN
        return RETRYING if self._retrying >= MAX_RETRYING else None

    def _has_slot(self) -> bool:
        self._concurrency.grow(self._loop.time())
        calls = self.in_flight - self._retrying - self._activity.grouped
        if calls >= int(self._concurrency.limit) or self._enough_wait(calls):
            return False
        return not self._concurrency.is_down or self._loop.time() >= self._next_probe

    def _enough_wait(self, lines: int) -> bool:
        """Whether so many of these lines have no call yet that others would only wait with them."""
        if self._activity.slot_waits:
            self._waited_at = self._loop.time()
        elif self._loop.time() - self._waited_at > SHORTAGE:
            return False
        running = self._activity.in_flight
        return lines - running >= max(LEAST_WAITING, running)

    def _took_slot(self, *, is_retry: bool) -> None:
        self._is_retrys_turn = not is_retry
        if self._concurrency.is_down:
            self._next_probe = self._loop.time() + PROBE_INTERVAL

    # ---- retries ----

    async def wait_to_retry(self, seconds: float) -> None:
        """Give the line's slot to others for so many seconds, and until there is one for it."""
        self._retrying += 1
        self._grant()
        turn: asyncio.Future[None] = self._loop.create_future()
        try:
            await asyncio.sleep(seconds)
            self._retries.append(turn)
            self._grant()
            await turn
        finally:
            if not turn.done() or turn.cancelled():
                self._retrying -= 1

    def _grant(self) -> None:
        """Give free slots to the lines that wait for one."""
        self._grant_retries()
        self.changed.set()

    def _grant_retries(self) -> None:
        while self._retries and self._may_retry():
            turn = self._retries.popleft()
            if not turn.done():
                turn.set_result(None)
                self._retrying -= 1
                self._took_slot(is_retry=True)
        if self._retries and self._timer is None:
            self._timer = self._loop.call_later(2 * POLL_INTERVAL, self._look_again)

    def _may_retry(self) -> bool:
        if self._stop.is_set():
            return True  # the line is left
        if not self._has_slot():
            return False
        is_wanted = self._loop.time() - self._wanted_at <= POLL_INTERVAL  # by another line
        return self._is_retrys_turn or not is_wanted

    def _look_again(self) -> None:
        self._timer = None
        self._grant()
