"""Places that many share: a big fan-out leaves room and time for the others."""

from __future__ import annotations

import asyncio
from collections import deque

FEW = 4
"""Places that a share takes without pausing."""

BURST = 1
"""
Beyond them, how many are taken between two looks at what else there is to do. A start is work: four
hundred in one go, and then their answers, would keep everybody else waiting.
"""


class FairLimiter:
    """
    `size` places in all, taken through shares.

    A share may take another place only while it holds fewer than are free. So one alone gets half
    of them, of `k` big ones each gets its part of `k + 1`, and a newcomer always finds one. (It is
    how switches part their memory: Choudhury and Hahne, "Dynamic queue length thresholds", 1998.)
    """

    def __init__(self, size: int) -> None:
        self.free = size
        self._waiting: dict[Share, None] = {}
        self._taken = 0  # by big shares, since the loop last looked around

    def share(self, limit: int) -> Share:
        """A share that never holds more than `limit` places."""
        return Share(self, limit)

    def may_start(self, held: int) -> bool:
        """Whether a share that holds so many may take another now, or has to let others first."""
        return held < FEW or self._taken < BURST

    def started(self, held: int) -> None:
        """A share that held so many has taken another."""
        if held >= FEW:
            self._taken += 1
            if self._taken == 1:
                asyncio.get_running_loop().call_soon(self._look_around)

    def _look_around(self) -> None:
        self._taken = 0
        self._wake()

    def _wake(self) -> None:
        """Give what is free to those who wait, first to who holds least."""
        while able := [share for share in self._waiting if share.may_take]:
            share = min(able, key=_held)
            share.grant()
            if not share.waits:
                del self._waiting[share]


class Share:
    """One request's part: each `async with` of it holds a place, and waits for it first."""

    def __init__(self, pool: FairLimiter, limit: int) -> None:
        self._pool = pool
        self._limit = limit
        self._queue: deque[asyncio.Future[None]] = deque()
        self.held = 0

    @property
    def may_take(self) -> bool:
        return self.held < min(self._limit, self._pool.free) and self._pool.may_start(self.held)

    @property
    def waits(self) -> bool:
        return bool(self._queue)

    def grant(self) -> None:
        """Hand a place to the one who has waited longest, passing over who has left."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                self._take()
                turn.set_result(None)
                return

    def _take(self) -> None:
        self._pool.started(self.held)
        self.held += 1
        self._pool.free -= 1

    def _give(self) -> None:
        self.held -= 1
        self._pool.free += 1
        self._pool._wake()  # noqa: SLF001 -- one thing in two classes

    async def __aenter__(self) -> None:
        """Wait for a place."""
        if self.may_take and not self._queue:
            self._take()
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._pool._waiting[self] = None  # noqa: SLF001
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give()  # it was handed over in the very moment
            raise

    async def __aexit__(self, *_: object) -> None:
        self._give()


def _held(share: Share) -> int:
    return share.held
