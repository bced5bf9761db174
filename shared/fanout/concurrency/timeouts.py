"""Limits of time: for a block, for items, and for how long a burst of starts goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

T = TypeVar("T")

BATCH = 8
"""Tasks that are started in one go: hundreds would keep everybody else waiting."""

_UNLIMITED: AbstractAsyncContextManager[object] = nullcontext()


def within(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """`asyncio.timeout` for the block; no limit costs nothing."""
    return _UNLIMITED if seconds is None else asyncio.timeout(seconds)


async def breathe(started: int) -> None:
    """Let others work for a moment, now and then, while tasks are being started by number."""
    if started % BATCH == BATCH - 1:
        await asyncio.sleep(0)


async def in_time(items: AsyncIterator[T], when: float, late: Exception) -> AsyncIterator[T]:
    """The same items; `late` is raised where one has not come by `when`, on the loop's clock."""
    while True:
        try:
            async with asyncio.timeout_at(when):
                item = await anext(items, None)
        except TimeoutError:
            raise late from None
        if item is None:
            return
        yield item
