"""
A limit on calls in flight that keys and requests share: a big fan-out, or a key with many requests,
leaves slots for others.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable
from weakref import WeakValueDictionary

from ..errors import Busy

KEY_FACTOR = 3
"""How many times the free slots a job, or a key alone, may hold: three quarters of all."""

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
    its shares hold fewer than are free, or than `KEY_FACTOR` times as many if no other key waits.
    Network switches divide their memory like this: Choudhury and Hahne, "Dynamic queue length
    thresholds for shared-memory packet switches", 1998.

    Unless it `keeps_free` slots, shares may take all of them.

    A free slot goes to the waiting key that holds the fewest; of its jobs and requests, to the one
    that holds the fewest. Of equals, the one that got a slot least recently is next. One that has
    had none goes before the one that got the last slot before it came, and behind the others.
    """

    def __init__(self, size: int, *, divided: bool = False, keeps_free: bool = True) -> None:
        self.free = size
        self.divided = divided
        self.keeps_free = keeps_free
        self.keys: defaultdict[str, Holder] = defaultdict(Holder)
        self.jobs: WeakValueDictionary[tuple[str, str], Holder] = WeakValueDictionary()
        self._waiting: dict[Share, None] = {}
        self._recent_starts = 0  # by big shares, since the loop last ran other tasks
        self._taken = 0

    def share(
        self, limit: int, key: str = "", patience: float | None = None, job: str = ""
    ) -> Share:
        """
        A share of a key that never holds more than `limit` slots.

        If it gets no first slot within `patience` seconds, its calls raise `Busy`. All shares of a
        `job` count as one.
        """
        return Share(self, limit, key, patience, job)

    def key_may_take(self, key: Holder) -> bool:
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

    @property
    def newcomer(self) -> int:
        """The `last` of one that has had no slot yet."""
        return self._taken - 1

    def may_start(self, held: int) -> bool:
        """Whether a share that holds `held` slots may take one now, or waits for the next tick."""
        return held < UNPACED_SLOTS or self._recent_starts < STARTS_PER_TICK

    def started(self, held: int) -> int:
        """Count a slot that a share took which held `held` before; returns its number."""
        if held >= UNPACED_SLOTS:
            self._recent_starts += 1
            if self._recent_starts == 1:
                asyncio.get_running_loop().call_soon(self._next_tick)
        self._taken += 1
        return self._taken

    def _next_tick(self) -> None:
        self._recent_starts = 0
        self.grant_waiting()

    def grant_waiting(self) -> None:
        """Give free slots to waiting shares."""
        while self.free > 0 and self._waiting:
            able = [one for one in self._waiting if one.may_take and one.next_call is not None]
            if not able:
                return
            call = min(able, key=_order).next_call
            if call is not None:
                call.start()


class Holder:
    """What holds slots: all shares of a key, or of a job. `last` is the number of its last slot."""

    __slots__ = ("__weakref__", "held", "last", "waiting")

    def __init__(self, last: int = 0) -> None:
        self.held = self.waiting = 0
        self.last = last


class Share:
    """
    One request's share: each `async with` of it waits for a slot and holds it for the block.

    `busy` is the message of the error of a call that cannot start soon.
    """

    busy = BUSY

    def __init__(
        self, limiter: FairLimiter, limit: int, key: str, patience: float | None, job: str
    ) -> None:
        self.limiter = limiter
        self._limit = limit
        self.patience = patience
        self.is_rejected = False
        self.names = key, job
        self.key = limiter.keys[key]
        self._job = limiter.jobs.setdefault(self.names, Holder(limiter.newcomer)) if job else None
        self.calls: deque[WaitingCall] = deque()
        self.held = 0
        self._last = limiter.newcomer

    @property
    def may_take(self) -> bool:
        """Whether another of its calls may start, as far as this limit is concerned."""
        limiter, job = self.limiter, self._job
        if not limiter.keeps_free:
            return limiter.free > 0 and self.held < self._limit
        return (
            self.held < self._limit
            and (limiter.free > self.held if job is None else limiter.free * KEY_FACTOR > job.held)
            and limiter.key_may_take(self.key)
            and limiter.may_start(self.held)
        )

    @property
    def is_impatient(self) -> bool:
        """Whether its calls fail that cannot start soon: it has patience, and none has started."""
        return self.patience is not None

    @property
    def next_call(self) -> WaitingCall | None:
        """The first waiting call that may start when this share has a slot for it."""
        return next((one for one in self.calls if one.may_start_with(self)), None)

    @property
    def order(self) -> tuple[int, ...]:
        """Of waiting shares, the one with the lowest order gets the next slot."""
        key, job = self.key, self._job
        if job is None:
            return key.held, key.last, self.held, self._last
        return key.held, key.last, job.held, job.last

    def take(self) -> None:
        """Take a free slot."""
        limiter, key, job = self.limiter, self.key, self._job
        self.patience = None  # it has started: its other calls may wait
        key.last = self._last = limiter.started(self.held)
        self.held += 1
        key.held += 1
        limiter.free -= 1
        if job is not None:
            job.held += 1
            job.last = key.last

    def give_back(self) -> None:
        """Give a slot back, before `grant_waiting`."""
        self.held -= 1
        self.key.held -= 1
        self.limiter.free += 1
        if self._job is not None:
            self._job.held -= 1

    async def __aenter__(self) -> object:
        """Wait for a slot."""
        if self.may_take:
            self.take()
        else:
            await self.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give_back()
        self.limiter.grant_waiting()

    async def wait(self, *others: Share) -> None:
        """
        Wait until a slot of this share and of each other one is free, and take them all at once.

        Until then the call holds none of them, so that it keeps no other from starting.
        """
        shares = self, *others
        for one in shares:
            if one.is_rejected:
                raise Busy(one.busy)
        call = WaitingCall(shares)
        loop = asyncio.get_running_loop()
        timers = [
            loop.call_later(one.patience, one.reject, call)
            for one in shares
            if one.patience is not None
        ]
        call.add()
        try:
            await call.future
        except BaseException:
            if call.is_started:
                release_all(shares)  # it was started just before the cancellation
            else:
                call.remove()
                for one in shares:
                    one.limiter.grant_waiting()
            raise
        finally:
            for timer in timers:
                timer.cancel()

    def reject(self, call: WaitingCall) -> None:
        """Let a call fail that has waited for too long, if this limit is the cause."""
        if self.is_impatient and not self.may_take and not call.future.done():
            self.is_rejected = True
            call.future.set_exception(Busy(self.busy))


class WaitingCall:
    """A call that waits for a slot of each of these shares."""

    __slots__ = ("future", "is_started", "shares")

    def __init__(self, shares: tuple[Share, ...]) -> None:
        self.shares = shares
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_started = False

    def may_start_with(self, share: Share) -> bool:
        """Whether it may start when this share has a slot for it."""
        return not self.future.done() and all(one is share or one.may_take for one in self.shares)

    def start(self) -> None:
        """Take a slot of each share, and let the call go on."""
        self.remove()
        for one in self.shares:
            one.take()
        self.is_started = True
        self.future.set_result(None)

    def add(self) -> None:
        """Let it take part when slots become free."""
        for one in self.shares:
            one.calls.append(self)
            one.limiter.add_waiting(one)

    def remove(self) -> None:
        """It waits no longer."""
        for one in self.shares:
            one.calls.remove(self)
            if not one.calls:
                one.limiter.remove_waiting(one)


def release_all(shares: Iterable[Share]) -> None:
    """Give a slot of each share back. The first limiter is the first to give its slot to others."""
    for one in shares:
        one.give_back()
    for one in shares:
        one.limiter.grant_waiting()


def _order(share: Share) -> tuple[int, ...]:
    return share.order
