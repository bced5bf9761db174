"""Time limits for blocks and streams, and a pause between the starts of many tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

T = TypeVar("T")

BATCH = 8
"""Tasks that are started before the event loop may run others: hundreds would block it."""

_UNLIMITED: AbstractAsyncContextManager[object] = nullcontext()


def optional_timeout(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """`asyncio.timeout` for the block; `None` means no limit and costs nothing."""
    return _UNLIMITED if seconds is None else asyncio.timeout(seconds)


async def yield_to_loop(started: int) -> None:
    """Let other tasks run after every `BATCH` starts; `started` is the number of this start."""
    if started % BATCH == BATCH - 1:
        await asyncio.sleep(0)


async def with_deadline(
    items: AsyncIterator[T], deadline: float, error: Exception
) -> AsyncIterator[T]:
    """The same items; raises `error` if the next is not there by `deadline` (the loop's clock)."""
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                item = await anext(items, None)
        except TimeoutError:
            raise error from None
        if item is None:
            return
        yield item
