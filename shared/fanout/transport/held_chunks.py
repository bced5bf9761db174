"""Chunks that a decoder holds back: what they are, and how long they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Protocol, runtime_checkable

from ..concurrency import RepeatedTimeout
from ..schema.chat import ChatChunk

HOLD_SECONDS = 0.5
"""
For how long a chunk may wait for the next one, which says what choice it is of.

Models write the next token in less, and a reader hardly sees the pause.
"""


@runtime_checkable
class Holding(Protocol):
    """A decoder that may hold chunks back, because the next one says what choice they are of."""

    @property
    def holds(self) -> bool:
        """Whether a chunk waits."""
        ...

    def rest(self) -> Iterable[ChatChunk]:
        """The chunks that wait, as if nothing followed."""
        ...


class LatePart:
    """
    The next part of a body while a chunk waits for it.

    It is read in a task of its own, which is over after `close`.
    """

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._reading: asyncio.Task[bytes | None] | None = None
        self._due = 0.0  # when the chunk that waits has waited long enough; 0 if none waits

    async def is_late(self, limit: RepeatedTimeout) -> bool:
        """Whether the part has not come while the chunk has waited for `HOLD_SECONDS`."""
        now = asyncio.get_running_loop().time()
        self._due = self._due or now + HOLD_SECONDS
        self._reading = asyncio.ensure_future(_next(self._body))
        with limit:
            await asyncio.wait({self._reading}, timeout=max(self._due - now, 0.0))
        return not self._reading.done()

    async def data(self) -> bytes | None:
        """The part; `None` after the last one."""
        if self._reading is None:  # no chunk waits
            self._due = 0.0
            return await anext(self._body, None)
        data = await self._reading
        self._reading = None
        return data

    async def close(self) -> None:
        """Stop reading."""
        if self._reading is not None and not self._reading.done():
            self._reading.cancel()
            await asyncio.wait({self._reading})


async def _next(body: AsyncIterator[bytes]) -> bytes | None:
    return await anext(body, None)
