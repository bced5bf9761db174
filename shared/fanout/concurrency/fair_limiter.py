"""A limit on calls in flight that requests share: a big fan-out leaves slots for small requests."""

from __future__ import annotations

import asyncio
from collections import deque

UNPACED_SLOTS = 4
"""Slots that a share takes without pausing."""

STARTS_PER_TICK = 1
"""
How many more slots are taken, by all shares together, before the event loop may run other tasks.
Starting a call is work: 400 starts in one go, and then their responses, would block all others.
"""


class FairLimiter:
    """
    `size` slots in all, taken through shares.

    A share may take another slot only while it holds fewer than are free. So one share alone gets
    half of them, each of `k` big ones gets 1/(k + 1), and a new one always finds a free slot.
    Network switches divide their memory like this: Choudhury and Hahne, "Dynamic queue length
    thresholds for shared-memory packet switches", 1998.
    """

    def __init__(self, size: int) -> None:
        self.free = size
        self._waiting: dict[Share, None] = {}
        self._recent_starts = 0  # by big shares, since the loop last ran other tasks

    def share(self, limit: int) -> Share:
        """A share that never holds more than `limit` slots."""
        return Share(self, limit)

    def may_start(self, held: int) -> bool:
        """Whether a share that holds `held` slots may take one now, or waits for the next tick."""
        return held < UNPACED_SLOTS or self._recent_starts < STARTS_PER_TICK

    def started(self, held: int) -> None:
        """Count a slot that a share took which held `held` before."""
        if held >= UNPACED_SLOTS:
            self._recent_starts += 1
            if self._recent_starts == 1:
                asyncio.get_running_loop().call_soon(self._next_tick)

    def _next_tick(self) -> None:
        self._recent_starts = 0
        self._grant_waiting()

    def _grant_waiting(self) -> None:
        """Give free slots to waiting shares, first to the one that holds the fewest."""
        while able := [share for share in self._waiting if share.may_take]:
            share = min(able, key=_held)
            share.grant()
            if not share.is_waiting:
                del self._waiting[share]


class Share:
    """One request's share: each `async with` of it waits for a slot and holds it for the block."""

    def __init__(self, limiter: FairLimiter, limit: int) -> None:
        self._limiter = limiter
        self._limit = limit
        self._queue: deque[asyncio.Future[None]] = deque()
        self.held = 0

    @property
    def may_take(self) -> bool:
        limiter = self._limiter
        return self.held < min(self._limit, limiter.free) and limiter.may_start(self.held)

    @property
    def is_waiting(self) -> bool:
        return bool(self._queue)

    def grant(self) -> None:
        """Give a slot to the first in the queue that was not cancelled."""
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.done():
                self._acquire()
                waiter.set_result(None)
                return

    def _acquire(self) -> None:
        self._limiter.started(self.held)
        self.held += 1
        self._limiter.free -= 1

    def _release(self) -> None:
        self.held -= 1
        self._limiter.free += 1
        self._limiter._grant_waiting()  # noqa: SLF001 -- one limiter in two classes

    async def __aenter__(self) -> None:
        """Wait for a slot."""
        if self.may_take and not self._queue:
            self._acquire()
            return
        waiter = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        self._limiter._waiting[self] = None  # noqa: SLF001
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._release()  # granted just before the cancellation
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()


def _held(share: Share) -> int:
    return share.held
