"""
Structured fan-out: `race`, `race_streams`, `map_all`, `map_each` and `merge_streams`.

Knows nothing of HTTP, providers or configuration. Every task started here has finished, or has
been cancelled and awaited, before its function returns or its block is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from time import perf_counter
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

T = TypeVar("T")
R = TypeVar("R")

Call: TypeAlias = Callable[[], Awaitable[T]]
Opener: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncIterator[T]]]


class Success(Struct, Generic[T], frozen=True):
    value: T
    elapsed: float


class Failure(Struct, frozen=True):
    error: Exception
    elapsed: float


class Cancelled(Struct, frozen=True):
    """It was still running, or just too late, when another won."""

    elapsed: float


Outcome: TypeAlias = Success[T] | Failure
Fate: TypeAlias = Success[T] | Failure | Cancelled | None
"""What became of a contestant; `None` is one that was never started."""


class Contest(Struct, Generic[T], frozen=True):
    """A finished race: who won (`None`: nobody), and what became of each, in call order."""

    winner: int | None
    fates: Sequence[Fate[T]]

    @property
    def value(self) -> T:
        """What the winner returned."""
        fate = self.fates[self.winner] if self.winner is not None else None
        if isinstance(fate, Success):
            return fate.value
        raise LookupError("nobody won")


async def attempt(call: Call[T]) -> Outcome[T]:
    """Run one call to its `Outcome`. Cancellation is not an outcome: it propagates."""
    started = perf_counter()
    try:
        value = await call()
    except Exception as error:  # noqa: BLE001 -- the one place: a failure is a result here
        return Failure(error, perf_counter() - started)
    return Success(value, perf_counter() - started)


class _Race(Generic[T]):
    """One race under way: who has started, who has failed, who has won."""

    def __init__(self, calls: Sequence[Call[T]], discard: Callable[[T], Awaitable[None]] | None):
        self.calls = calls
        self.discard = discard
        self.fates: list[Fate[T]] = [None] * len(calls)
        self.tasks: list[asyncio.Task[None]] = []
        self.winner: int | None = None
        self.failed = 0
        self.changed = asyncio.Event()

    async def run(self, index: int) -> None:
        started = perf_counter()
        try:
            outcome = await attempt(self.calls[index])
        except asyncio.CancelledError:
            self.fates[index] = Cancelled(perf_counter() - started)
            raise
        if isinstance(outcome, Success) and self.winner is not None:
            self.fates[index] = Cancelled(outcome.elapsed)
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

    async def pause(self, stagger: float | None, seen: int) -> None:
        """Wait until it is the next one's turn: a failure not `seen` yet, a winner, or the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(stagger):
                while self.winner is None and self.failed <= seen:
                    self.changed.clear()
                    await self.changed.wait()

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
) -> Contest[T]:
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
                    await state.pause(stagger, index - 1 if stagger is None else state.failed)
                if state.winner is not None:
                    break
                state.tasks.append(group.create_task(state.run(index)))
    except BaseException:
        await state.abandon()
        raise
    return Contest(state.winner, state.fates)


@asynccontextmanager
async def race_streams(
    openers: Sequence[Opener[T]],
    *,
    stagger: float | None = 0.0,
    counts: Callable[[T], bool],
    silent: Callable[[int], Exception],
) -> AsyncIterator[tuple[Contest[tuple[AsyncExitStack, list[T]]], AsyncIterator[T]]]:
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


async def map_all(
    func: Callable[[T], Awaitable[R]], items: Iterable[T], *, limit: int
) -> list[Outcome[R]]:
    """
    Apply `func` to each item, at most `limit` at a time; every outcome, in the items' order.

    Items are drawn lazily, one whenever a call may start.
    """
    outcomes: dict[int, Outcome[R]] = {}
    source = enumerate(items)

    async def work(index: int, item: T) -> None:
        while True:
            outcomes[index] = await attempt(partial(func, item))
            try:
                index, item = next(source)
            except StopIteration:
                return

    async with asyncio.TaskGroup() as group:
        for index, item in _first(source, limit):
            group.create_task(work(index, item))
    return [outcomes[index] for index in range(len(outcomes))]


def _first(source: Iterator[T], count: int) -> Iterator[T]:
    """At most `count` items; unlike `islice` it never draws one more to see the end."""
    for _ in range(count):
        try:
            yield next(source)
        except StopIteration:
            return


@asynccontextmanager
async def map_each(
    func: Callable[[T], Awaitable[R]], items: Iterable[T], *, limit: int
) -> AsyncIterator[AsyncIterator[tuple[int, Outcome[R]]]]:
    """
    Apply `func` to each item, at most `limit` at a time, yielding in completion order.

    A context manager and not a generator, so that leaving the block early cancels the calls
    (PEP 789). Items are drawn lazily: a million-line input never becomes a million tasks.
    """
    source = enumerate(items)
    results: asyncio.Queue[tuple[int, Outcome[R]] | None] = asyncio.Queue(maxsize=limit)

    async def work() -> None:
        for index, item in source:
            await results.put((index, await attempt(partial(func, item))))

    async def run_workers() -> None:
        async with asyncio.TaskGroup() as workers:
            for _ in range(limit):
                workers.create_task(work())
        await results.put(None)

    async with asyncio.TaskGroup() as group:
        runner = group.create_task(run_workers())
        try:
            yield _drain(results)
        finally:
            runner.cancel()


async def _drain(queue: asyncio.Queue[T | None]) -> AsyncIterator[T]:
    while (item := await queue.get()) is not None:
        yield item


class Ended(Struct, frozen=True):
    """The stream at `index` is over: well, or with an error."""

    index: int
    error: Exception | None = None


@asynccontextmanager
async def merge_streams(
    openers: Sequence[Opener[T]], *, limit: int
) -> AsyncIterator[AsyncIterator[tuple[int, T] | Ended]]:
    """
    Read all streams at once, at most `limit` open at a time, items interleaved as they come.

    Each item comes with its stream's index; each stream's last word is an `Ended`. A slow reader
    holds the streams back.
    """
    items: asyncio.Queue[tuple[int, T] | Ended | None] = asyncio.Queue(maxsize=64)
    source = iter(range(len(openers)))

    async def read(index: int) -> None:
        async with openers[index]() as stream:
            async for item in stream:
                await items.put((index, item))

    async def work() -> None:
        for index in source:
            outcome = await attempt(partial(read, index))
            await items.put(Ended(index, outcome.error if isinstance(outcome, Failure) else None))

    async def run_workers() -> None:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(limit, len(openers))):
                workers.create_task(work())
        await items.put(None)

    async with asyncio.TaskGroup() as group:
        runner = group.create_task(run_workers())
        try:
            yield _drain(items)
        finally:
            runner.cancel()
