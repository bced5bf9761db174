"""A fair lock: jobs take turns, so that a job with few lines does not wait for one with many."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class FairLock:
    """One holder at a time; each job that waits gets it once before another gets it again."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_held = False

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return sum(len(turns) for turns in self._waiting.values())

    @asynccontextmanager
    async def hold(self, job: Hashable) -> AsyncIterator[None]:
        """Wait for the turn of `job`, and hold the lock for the block."""
        await self._acquire(job)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, job: Hashable) -> None:
        if not self._is_held:
            self._is_held = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            job, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[job] = turns  # its next line after the other jobs'
            if not turn.done():
                turn.set_result(None)
                return
        self._is_held = False
