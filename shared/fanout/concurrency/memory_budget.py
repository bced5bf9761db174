"""Room in memory, in bytes: who wants more than is left waits, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

SMALL = 64 * 1024
"""What is smaller is not counted: a thousand of them are 64 MB."""


class MemoryBudget:
    """`size` bytes in all; what is larger than that has them all to itself."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._nothing = MemoryReservation(self, 0)
        self.free = size

    def holding(self, size: int) -> MemoryReservation:
        """Hold `size` bytes for a block, once there is room for them."""
        return self._nothing if size < SMALL else MemoryReservation(self, min(size, self._size))

    async def take(self, size: int) -> None:
        """Wait for room."""
        if size <= self.free and not self._queue:
            self.free -= size
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(size)
            else:
                self.give(0)  # who stood behind may fit
            raise

    def give(self, size: int) -> None:
        """Give back, and let in who fits now."""
        self.free += size
        while self._queue and (self._queue[0][1].done() or self._queue[0][0] <= self.free):
            wanted, turn = self._queue.popleft()
            if not turn.done():
                self.free -= wanted
                turn.set_result(None)


class MemoryReservation:
    """Bytes held for a block; `shrink` gives back what is not needed after all."""

    def __init__(self, room: MemoryBudget, size: int) -> None:
        self._room = room
        self._size = size

    async def __aenter__(self) -> Self:
        """Wait for the room."""
        if self._size:
            await self._room.take(self._size)
        return self

    def shrink(self, size: int) -> None:
        """`size` bytes will do."""
        if size < self._size:
            self._room.give(self._size - size)
            self._size = size

    async def __aexit__(self, *_: object) -> None:
        if self._size:
            self._room.give(self._size)
