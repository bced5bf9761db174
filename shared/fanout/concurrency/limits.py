"""Time limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

T = TypeVar("T")

_UNLIMITED: AbstractAsyncContextManager[object] = nullcontext()


def within(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """`asyncio.timeout` for the block; no limit costs nothing."""
    return _UNLIMITED if seconds is None else asyncio.timeout(seconds)


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
