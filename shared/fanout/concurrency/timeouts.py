"""Time limits for blocks and streams, and a pause between the starts of many tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

T = TypeVar("T")

BATCH = 8
"""Tasks that are started before the event loop may run others: hundreds would block it."""

_UNLIMITED: AbstractAsyncContextManager[object] = nullcontext()


def optional_timeout(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """`asyncio.timeout` for the block; `None` means no limit and costs nothing."""
    return _UNLIMITED if seconds is None else asyncio.timeout(seconds)


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """
    The awaitable's result; raises `TimeoutError` if it waits longer than `seconds`.

    `asyncio.timeout` costs more than most sends, which need not wait. So the limit is only set when
    the awaitable waits for the first time.
    """
    steps = awaitable.__await__()
    try:
        first = next(steps)
    except StopIteration as ended:
        result: T = ended.value
        return result
    async with asyncio.timeout(seconds):
        return await _Rest(steps, first)


class _Rest(Awaitable[T]):
    """What is left of an awaitable after its first step, which gave `first` to wait for."""

    def __init__(self, steps: Generator[Any, Any, T], first: Any) -> None:
        self._steps = steps
        self._first = first

    def __await__(self) -> Generator[Any, Any, T]:
        waited = self._first
        while True:
            try:
                try:
                    value = yield waited
                except BaseException as error:  # noqa: BLE001 -- the awaitable's to handle
                    waited = self._steps.throw(error)
                else:
                    waited = self._steps.send(value)
            except StopIteration as ended:
                result: T = ended.value
                return result


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
