"""Races of calls and of streams: the first success wins, the others are cancelled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from time import perf_counter
from typing import Generic, Protocol, TypeAlias, TypeVar

from .outcomes import (
    Call,
    Cancelled,
    Failure,
    Opener,
    RaceOutcome,
    RaceResult,
    Success,
    TaskGroup,
    attempt,
)
from .timeouts import yield_to_loop

T = TypeVar("T")


class Delays(Protocol):
    """When each next call starts, if that depends on the calls."""

    def delay(self, index: int) -> float:
        """Seconds from the start of the call before it to the start of call `index`."""
        ...

    async def allows(self, index: int) -> bool:
        """Whether it may start after that time; if not, only a failure starts it."""
        ...


Stagger: TypeAlias = float | Delays | None


class _Race(Generic[T]):
    """A running race: its tasks, its outcomes so far and its winner."""

    def __init__(self, calls: Sequence[Call[T]], discard: Callable[[T], Awaitable[None]] | None):
        self.calls = calls
        self.discard = discard
        self.outcomes: list[RaceOutcome[T]] = [None] * len(calls)
        self.tasks: list[asyncio.Task[None]] = []
        self.winner: int | None = None
        self.failed = 0
        self.handled = 0  # failures after which the next call was started
        self.changed = asyncio.Event()

    async def run(self, index: int) -> None:
        started = perf_counter()
        try:
            outcome = await attempt(self.calls[index])
        except asyncio.CancelledError:
            self.outcomes[index] = Cancelled(perf_counter() - started)
            raise
        if self.winner is not None:
            self.outcomes[index] = Cancelled(outcome.elapsed)
            if isinstance(outcome, Success):
                await self._discard(outcome.value)
            return
        self.outcomes[index] = outcome
        if isinstance(outcome, Failure):
            self.failed += 1
        else:
            self.winner = index
            for other, task in enumerate(self.tasks):
                if other != index:
                    task.cancel()
        self.changed.set()

    async def wait_for_next_start(self, stagger: Stagger, index: int) -> None:
        """Wait for a failure that has not started another call yet, a winner, or the delay."""
        if stagger is None or isinstance(stagger, float | int):
            with suppress(TimeoutError):
                await self._wait(stagger)
        else:
            try:
                await self._wait(stagger.delay(index))
            except TimeoutError:
                if not await stagger.allows(index):
                    await self._wait(None)
        self.handled += self.failed > self.handled

    async def _wait(self, seconds: float | None) -> None:
        async with asyncio.timeout(seconds):
            while self.winner is None and self.failed <= self.handled:
                self.changed.clear()
                await self.changed.wait()

    async def discard_winner(self) -> None:
        """Discard the winner's value after the race itself was cancelled."""
        outcome = self.outcomes[self.winner] if self.winner is not None else None
        if isinstance(outcome, Success):
            await self._discard(outcome.value)

    async def _discard(self, value: T) -> None:
        if self.discard is not None:
            await attempt(self.discard, value)  # an error here does not change the race


async def race(
    calls: Sequence[Call[T]],
    *,
    stagger: Stagger = 0.0,
    discard: Callable[[T], Awaitable[None]] | None = None,
) -> RaceResult[T]:
    """
    Run the calls against each other: the first success wins, the others are cancelled at once.

    `stagger` is the pause in seconds before the next call starts: `0` starts all at once, a
    positive number hedges, `Delays` hedge by times of their own, `None` waits for a failure (an
    ordered fallback). A failure always starts the next call. Every loser has ended before this
    returns. `discard` gets a loser's value that was there too late, and the winner's if the race is
    cancelled.
    """
    state = _Race(calls, discard)
    try:
        async with TaskGroup() as group:
            for index in range(len(calls)):
                if index and stagger != 0:
                    await state.wait_for_next_start(stagger, index)
                if state.winner is not None:
                    break
                state.tasks.append(group.create_task(state.run(index)))
                await yield_to_loop(index)
    except BaseException:
        await state.discard_winner()
        raise
    finally:
        state.tasks.clear()  # a cancelled one holds the function that it was in, and that the race
    return RaceResult(state.winner, state.outcomes)


@asynccontextmanager
async def race_streams(
    openers: Sequence[Opener[T]],
    *,
    stagger: Stagger = 0.0,
    qualifies: Callable[[T], bool],
    empty_error: Callable[[int], Exception],
) -> AsyncIterator[tuple[RaceResult[tuple[AsyncExitStack, list[T]]], AsyncIterator[T]]]:
    """
    Open every stream and keep the one that is the first to yield an item that `qualifies`.

    The race is over, and every other stream closed, before the first item is yielded, so no task
    group is open while the items are read. The items before the qualifying one are yielded too. A
    stream that ends without such an item has failed with the error `empty_error(index)`. If no
    stream wins, the iterator is empty.
    """
    rests: dict[int, AsyncIterator[T]] = {}

    async def open_one(index: int) -> tuple[AsyncExitStack, list[T]]:
        async with AsyncExitStack() as stack:
            items = await stack.enter_async_context(openers[index]())
            head = []
            async for item in items:
                head.append(item)
                if qualifies(item):
                    rests[index] = items
                    return stack.pop_all(), head
            raise empty_error(index)

    async def close(opened: tuple[AsyncExitStack, list[T]]) -> None:
        await opened[0].aclose()

    calls = [partial(open_one, index) for index in range(len(openers))]
    result = await race(calls, stagger=stagger, discard=close)
    if result.winner is None:
        yield result, prepend([], None)
        return
    stack, head = result.value
    async with stack:
        yield result, prepend(head, rests[result.winner])


def prepend(head: Sequence[T], rest: AsyncIterator[T] | None) -> AsyncIterator[T]:
    """The items of `head`, then those of `rest`."""
    return _Prepended(head, rest)


class _Prepended(AsyncIterator[T]):
    """No generator, because each of `rest` would pass through it."""

    __slots__ = ("_head", "_rest")

    def __init__(self, head: Sequence[T], rest: AsyncIterator[T] | None) -> None:
        self._head = deque(head)
        self._rest = rest

    def __anext__(self) -> Awaitable[T]:
        if self._head or self._rest is None:
            return self._next_of_head()
        return self._rest.__anext__()

    async def _next_of_head(self) -> T:
        if not self._head:
            raise StopAsyncIteration
        return self._head.popleft()
