"""
A limit on calls in flight that keys and requests share: a big fan-out, or a key with many requests,
leaves slots for others.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ..errors import Busy

KEY_FACTOR = 3
"""How many times the free slots a key may hold while no other key waits: three quarters of all."""

BUSY = (
    "too many calls to models are in flight, of all keys or of this one "
    "(`global_max_parallel_requests`); try again"
)

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
    While it is `divided`, the same holds for the keys: a key may take another slot only while all
    its shares hold fewer than are free, or than `KEY_FACTOR` times as many if no other key waits. A
    free slot goes to the waiting key that holds the fewest, and then to its smallest share.
    Network switches divide their memory like this: Choudhury and Hahne, "Dynamic queue length
    thresholds for shared-memory packet switches", 1998.
    """

    def __init__(self, size: int, *, divided: bool = False) -> None:
        self.free = size
        self.divided = divided
        self._keys: dict[str, _Key] = {}
        self._waiting: dict[Share, None] = {}
        self._recent_starts = 0  # by big shares, since the loop last ran other tasks

    def share(self, limit: int, key: str = "", patience: float | None = None) -> Share:
        """
        A share of a key that never holds more than `limit` slots.

        If it gets no first slot within `patience` seconds, its calls raise `Busy`.
        """
        account = self._keys.get(key)
        if account is None:
            account = self._keys[key] = _Key()
        return Share(self, limit, account, patience)

    def key_may_take(self, key: _Key) -> bool:
        """Whether the key may hold one more slot."""
        if not self.divided:
            return True
        others_wait = len(self._waiting) > key.waiting
        return key.held < self.free * (1 if others_wait else KEY_FACTOR)

    def add_waiting(self, share: Share) -> None:
        """Let a share take part when slots become free."""
        if share not in self._waiting:
            self._waiting[share] = None
            share.key.waiting += 1

    def remove_waiting(self, share: Share) -> None:
        """A share waits no longer; it may have been what kept another key from more slots."""
        if share in self._waiting:
            del self._waiting[share]
            share.key.waiting -= 1

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
        """Give free slots to waiting shares, first to the key and the share with the fewest."""
        while able := [share for share in self._waiting if share.may_take]:
            share = min(able, key=_held)
            share.grant()
            if not share.is_waiting:
                self.remove_waiting(share)


class _Key:
    """What all shares of one key hold, and how many of them wait."""

    __slots__ = ("held", "waiting")

    def __init__(self) -> None:
        self.held = 0
        self.waiting = 0


class Share:
    """One request's share: each `async with` of it waits for a slot and holds it for the block."""

    def __init__(self, limiter: FairLimiter, limit: int, key: _Key, patience: float | None) -> None:
        self._limiter = limiter
        self._limit = limit
        self._patience = patience
        self._is_rejected = False
        self.key = key
        self._queue: deque[asyncio.Future[None]] = deque()
        self.held = 0

    @property
    def may_take(self) -> bool:
        limiter = self._limiter
        return (
            self.held < min(self._limit, limiter.free)
            and limiter.key_may_take(self.key)
            and limiter.may_start(self.held)
        )

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
        self._patience = None  # it has started: its other calls may wait
        self.held += 1
        self.key.held += 1
        self._limiter.free -= 1

    def _release(self) -> None:
        self.held -= 1
        self.key.held -= 1
        self._limiter.free += 1
        self._limiter._grant_waiting()  # noqa: SLF001 -- one limiter in two classes

    async def __aenter__(self) -> None:
        """Wait for a slot."""
        if self.may_take and not self._queue:
            self._acquire()
            return
        if self._is_rejected:
            raise Busy(BUSY)
        if self._patience is None:
            await self._wait()
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._wait()
        except TimeoutError:
            self._is_rejected = True
            raise Busy(BUSY) from None

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        self._limiter.add_waiting(self)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._release()  # granted just before the cancellation
            elif waiter in self._queue:
                self._queue.remove(waiter)
                if not self._queue:
                    self._limiter.remove_waiting(self)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()


def _held(share: Share) -> tuple[int, int]:
    return share.key.held, share.held
