"""A limit on memory, in bytes: if too little is left, a call waits; first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

MIN_COUNTED = 64 * 1024
"""Bytes. Smaller reservations are not counted: a thousand of them are 64 MB."""


class MemoryBudget:
    """`size` bytes in all. A reservation that is larger waits until all of them are free."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._uncounted = MemoryReservation(self, 0)
        self.free = size

    def reserve(self, size: int) -> MemoryReservation:
        """Hold `size` bytes for an `async with` block, which starts when they are free."""
        if size < MIN_COUNTED:
            return self._uncounted
        return MemoryReservation(self, min(size, self._size))

    async def acquire(self, size: int) -> None:
        """Wait until `size` bytes are free, and take them."""
        if size <= self.free and not self._queue:
            self.free -= size
            return
        waiter = asyncio.get_running_loop().create_future()
        self._queue.append((size, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release(size)
            else:
                self.release(0)  # the next in the queue may fit
            raise

    def release(self, size: int) -> None:
        """Give `size` bytes back, and wake those in the queue that fit now."""
        self.free += size
        while self._queue and (self._queue[0][1].done() or self._queue[0][0] <= self.free):
            wanted, waiter = self._queue.popleft()
            if not waiter.done():
                self.free -= wanted
                waiter.set_result(None)


class MemoryReservation:
    """Bytes held for a block; `shrink` gives back those that are not needed."""

    def __init__(self, budget: MemoryBudget, size: int) -> None:
        self._budget = budget
        self._size = size

    async def __aenter__(self) -> Self:
        """Wait until the bytes are free."""
        if self._size:
            await self._budget.acquire(self._size)
        return self

    def shrink(self, size: int) -> None:
        """Keep `size` bytes and give the others back."""
        if size < self._size:
            self._budget.release(self._size - size)
            self._size = size

    async def __aexit__(self, *_: object) -> None:
        if self._size:
            self._budget.release(self._size)
