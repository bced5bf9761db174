"""Many calls, or streams, at once, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

from .outcomes import Failure, Opener, Outcome, attempt
from .timeouts import breathe

T = TypeVar("T")
R = TypeVar("R")

Items: TypeAlias = Iterable[T] | AsyncIterable[T]


async def map_all(
    func: Callable[[T], Awaitable[R]], items: Items[T], *, limit: int
) -> list[Outcome[R]]:
    """
    Apply `func` to each item, at most `limit` at a time; every outcome, in the items' order.

    Items are drawn lazily, one whenever a call may start. If drawing one fails, the calls are
    cancelled and that error is raised.
    """
    _check_limit(limit)
    outcomes: dict[int, Outcome[R]] = {}
    source = _Source(items)

    async def work(drawn: tuple[int, T] | None) -> None:
        while drawn is not None:
            index, item = drawn
            outcomes[index] = await attempt(partial(func, item))
            drawn = await source.draw()

    async with _task_group() as group:
        for number in range(limit):
            if (drawn := await source.draw()) is None:
                break
            group.create_task(work(drawn))
            await breathe(number)
    return [outcomes[index] for index in range(len(outcomes))]


class _Source(Generic[T]):
    """Items with their numbers, drawn one at a time by several workers."""

    def __init__(self, items: Items[T]) -> None:
        self._later = aiter(items) if isinstance(items, AsyncIterable) else None
        self._now = iter(()) if isinstance(items, AsyncIterable) else iter(items)
        self._numbers = count()
        self._lock = asyncio.Lock()

    async def draw(self) -> tuple[int, T] | None:
        """The next, or `None` behind the last."""
        if self._later is None:
            for item in self._now:
                return next(self._numbers), item
            return None
        async with self._lock:
            async for item in self._later:
                return next(self._numbers), item
            return None


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"`limit` must be at least 1, not {limit}: nothing would be called")


@asynccontextmanager
async def _task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """
    A task group that raises what went wrong, and not a group with that in it.

    An error of the block itself rules, as it is; of the tasks' errors the first.
    """
    own: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            try:
                yield group
            except asyncio.CancelledError:
                raise  # a task's error may be behind it
            except BaseException as error:
                own = error
                raise
    except BaseExceptionGroup as raised:
        first = first_error(raised)
    else:
        return
    raise first if own is None else own


def first_error(raised: BaseException) -> BaseException:
    """What went wrong first, of a group of groups of errors."""
    while isinstance(raised, BaseExceptionGroup):
        raised = raised.exceptions[0]
    return raised


@asynccontextmanager
async def map_each(
    func: Callable[[T], Awaitable[R]], items: Items[T], *, limit: int
) -> AsyncIterator[AsyncIterator[tuple[int, Outcome[R]]]]:
    """
    Apply `func` to each item, at most `limit` at a time, yielding in completion order.

    A context manager and not a generator, so that leaving the block early cancels the calls
    (PEP 789). Items are drawn lazily: a million-line input never becomes a million tasks.
    """
    _check_limit(limit)
    source = _Source(items)
    results: asyncio.Queue[tuple[int, Outcome[R]] | None] = asyncio.Queue(maxsize=limit)

    async def work() -> None:
        while (drawn := await source.draw()) is not None:
            index, item = drawn
            await results.put((index, await attempt(partial(func, item))))

    async def run_workers() -> None:
        async with asyncio.TaskGroup() as workers:
            for number in range(limit):
                workers.create_task(work())
                await breathe(number)
        await results.put(None)

    async with _task_group() as group:
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
            for number in range(min(limit, len(openers))):
                workers.create_task(work())
                await breathe(number)
        await items.put(None)

    async with _task_group() as group:
        runner = group.create_task(run_workers())
        try:
            yield _drain(items)
        finally:
            runner.cancel()
