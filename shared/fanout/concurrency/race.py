"""Several calls, or streams, against each other: one wins, the others are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from time import perf_counter
from typing import Generic, TypeVar

from .outcomes import Call, Cancelled, Failure, Fate, Opener, RaceResult, Success, attempt
from .timeouts import breathe

T = TypeVar("T")


class _Race(Generic[T]):
    """One race under way: who has started, who has failed, who has won."""

    def __init__(self, calls: Sequence[Call[T]], discard: Callable[[T], Awaitable[None]] | None):
        self.calls = calls
        self.discard = discard
        self.fates: list[Fate[T]] = [None] * len(calls)
        self.tasks: list[asyncio.Task[None]] = []
        self.winner: int | None = None
        self.failed = 0
        self.heeded = 0  # failures that have started another
        self.changed = asyncio.Event()

    async def run(self, index: int) -> None:
        started = perf_counter()
        try:
            outcome = await attempt(self.calls[index])
        except asyncio.CancelledError:
            self.fates[index] = Cancelled(perf_counter() - started)
            raise
        if self.winner is not None:
            self.fates[index] = Cancelled(outcome.elapsed)
            if isinstance(outcome, Success):
                await self._drop(outcome.value)
            return
        self.fates[index] = outcome
        if isinstance(outcome, Failure):
            self.failed += 1
        else:
            self.winner = index
            for other, task in enumerate(self.tasks):
                if other != index:
                    task.cancel()
        self.changed.set()

    async def pause(self, stagger: float | None) -> None:
        """Wait until it is the next one's turn: a failure not heeded, a winner, or the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(stagger):
                while self.winner is None and self.failed <= self.heeded:
                    self.changed.clear()
                    await self.changed.wait()
        self.heeded += self.failed > self.heeded

    async def abandon(self) -> None:
        """The caller is gone: the winner's value has no taker."""
        fate = self.fates[self.winner] if self.winner is not None else None
        if isinstance(fate, Success):
            await self._drop(fate.value)

    async def _drop(self, value: T) -> None:
        if self.discard is not None:
            await attempt(partial(self.discard, value))  # a loser's bad end is nobody's fault


async def race(
    calls: Sequence[Call[T]],
    *,
    stagger: float | None = 0.0,
    discard: Callable[[T], Awaitable[None]] | None = None,
) -> RaceResult[T]:
    """
    Run the calls against each other: the first success wins, the others are cancelled at once.

    `stagger` is the pause in seconds before the next call starts: `0` starts all at once, a
    positive number hedges, `None` waits for a failure, which makes an ordered fallback. A failure
    always starts the next. Every loser is closed before this returns. `discard` gets a value that
    came too late, or that nobody is left to take.
    """
    state = _Race(calls, discard)
    try:
        async with asyncio.TaskGroup() as group:
            for index in range(len(calls)):
                if index and stagger != 0:
                    await state.pause(stagger)
                if state.winner is not None:
                    break
                state.tasks.append(group.create_task(state.run(index)))
                await breathe(index)
    except BaseException:
        await state.abandon()
        raise
    return RaceResult(state.winner, state.fates)


@asynccontextmanager
async def race_streams(
    openers: Sequence[Opener[T]],
    *,
    stagger: float | None = 0.0,
    counts: Callable[[T], bool],
    silent: Callable[[int], Exception],
) -> AsyncIterator[tuple[RaceResult[tuple[AsyncExitStack, list[T]]], AsyncIterator[T]]]:
    """
    Open every stream and keep the one whose first item that `counts` comes first.

    The race is over, and every other stream closed, before the first item is handed on, so no
    task group is open while the caller reads. A stream that ends before such an item has failed
    with the exception that `silent` makes of its index. If nobody wins the iterator is empty.
    """
    rests: dict[int, AsyncIterator[T]] = {}

    async def open_one(index: int) -> tuple[AsyncExitStack, list[T]]:
        async with AsyncExitStack() as stack:
            items = await stack.enter_async_context(openers[index]())
            head = []
            async for item in items:
                head.append(item)
                if counts(item):
                    rests[index] = items
                    return stack.pop_all(), head
            raise silent(index)

    async def close(opened: tuple[AsyncExitStack, list[T]]) -> None:
        await opened[0].aclose()

    calls = [partial(open_one, index) for index in range(len(openers))]
    contest = await race(calls, stagger=stagger, discard=close)
    if contest.winner is None:
        yield contest, _chain([], None)
        return
    stack, head = contest.value
    async with stack:
        yield contest, _chain(head, rests[contest.winner])


async def _chain(head: list[T], rest: AsyncIterator[T] | None) -> AsyncIterator[T]:
    for item in head:
        yield item
    if rest is not None:
        async for item in rest:
            yield item
