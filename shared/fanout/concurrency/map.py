"""Many calls or streams at once, with a limit on how many run at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
)
from contextlib import asynccontextmanager
from itertools import count
from time import perf_counter
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct

from .outcomes import Failure, Opener, Outcome, Success, TaskGroup, attempt, failure_of
from .timeouts import yield_to_loop

T = TypeVar("T")
R = TypeVar("R")

Items: TypeAlias = Iterable[T] | AsyncIterable[T]


async def map_all(
    func: Callable[[T], Awaitable[R]], items: Items[T], *, limit: int
) -> list[Outcome[R]]:
    """
    Apply `func` to each item, at most `limit` at a time; every outcome, in the items' order.

    Items are read lazily, one whenever a call may start. If reading one fails, the calls are
    cancelled and that error is raised.
    """
    _check_limit(limit)
    outcomes: dict[int, Outcome[R]] = {}
    source = _Source(items)

    async def work(index: int, item: T) -> None:
        while True:
            started = perf_counter()
            try:  # as `attempt`, which would be another coroutine of each call
                value = await func(item)
            except Exception as error:  # noqa: BLE001 -- a failure is a result
                outcomes[index] = failure_of(error, started)
            else:
                outcomes[index] = Success(value, perf_counter() - started)
                del value
            if (following := await source.next_item()) is None:
                return
            index, item = following

    async with _task_group() as group:
        for number in range(limit):
            if (numbered := await source.next_item()) is None:
                break
            group.create_task(work(*numbered), name="fanout")
            await yield_to_loop(number)
    return [outcomes[index] for index in range(len(outcomes))]


class _Source(Generic[T]):
    """Items with their numbers, read one at a time by several workers."""

    def __init__(self, items: Items[T]) -> None:
        self._async_items = aiter(items) if isinstance(items, AsyncIterable) else None
        self._items = iter(()) if isinstance(items, AsyncIterable) else iter(items)
        self._numbers = count()
        self._lock = asyncio.Lock()

    async def next_item(self) -> tuple[int, T] | None:
        """The next item and its number, or `None` after the last."""
        if self._async_items is None:
            for item in self._items:
                return next(self._numbers), item
            return None
        async with self._lock:
            async for item in self._async_items:
                return next(self._numbers), item
            return None


async def map_in_order(
    func: Callable[[T], Coroutine[Any, Any, R]],
    items: Iterable[T],
    use: Callable[[R], Awaitable[None]],
    *,
    ahead: int,
) -> None:
    """
    Apply `func` to each item, and `use` to each result in the items' order, one after the other.

    At most `ahead` items are started whose results are not used yet: others wait, so that few
    results are in memory. The first error cancels all calls and is raised.
    """
    _check_limit(ahead)
    pending: deque[asyncio.Task[R]] = deque()
    async with _task_group() as group:
        for number, item in enumerate(items):
            if len(pending) >= ahead:
                await use(await pending.popleft())
            pending.append(group.create_task(func(item)))
            await yield_to_loop(number)
        while pending:
            await use(await pending.popleft())


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"`limit` must be at least 1, not {limit}")


@asynccontextmanager
async def _task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """
    A task group that raises a single error instead of an exception group.

    It raises the error of the block itself if there is one, else the first error of a task.
    """
    own: BaseException | None = None
    try:
        async with TaskGroup() as group:
            try:
                yield group
            except asyncio.CancelledError:
                raise  # a task's error may be its cause
            except BaseException as error:
                own = error
                raise
    except BaseExceptionGroup as raised:
        first = first_error(raised)
    else:
        return
    raise first if own is None else own


def first_error(raised: BaseException) -> BaseException:
    """The first error in an exception group, which may hold groups itself."""
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
    (PEP 789). Items are read lazily: a million lines of input never become a million tasks.
    """
    _check_limit(limit)
    source = _Source(items)
    results: asyncio.Queue[tuple[int, Outcome[R]] | None] = asyncio.Queue(maxsize=limit)

    async def work() -> None:
        while (numbered := await source.next_item()) is not None:
            index, item = numbered
            await results.put((index, await attempt(func, item)))

    async def run_workers() -> None:
        async with TaskGroup() as workers:
            for number in range(limit):
                workers.create_task(work())
                await yield_to_loop(number)
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
    """The stream at `index` has ended, with `error` if it failed."""

    index: int
    error: Exception | None = None


@asynccontextmanager
async def merge_streams(
    openers: Sequence[Opener[T]], *, limit: int
) -> AsyncIterator[AsyncIterator[tuple[int, T] | Ended]]:
    """
    Read all streams at once, at most `limit` open at a time, and yield items as they arrive.

    Each item has its stream's index; an `Ended` marks the end of a stream. If the items are read
    slowly, the streams are read slowly too: at most 64 items are kept.
    """
    items: asyncio.Queue[tuple[int, T] | Ended | None] = asyncio.Queue(maxsize=64)
    source = iter(range(len(openers)))

    async def read(index: int) -> None:
        async with openers[index]() as stream:
            async for item in stream:
                await items.put((index, item))

    async def work() -> None:
        for index in source:
            outcome = await attempt(read, index)
            await items.put(Ended(index, outcome.error if isinstance(outcome, Failure) else None))

    async def run_workers() -> None:
        async with TaskGroup() as workers:
            for number in range(min(limit, len(openers))):
                workers.create_task(work())
                await yield_to_loop(number)
        await items.put(None)

    async with _task_group() as group:
        runner = group.create_task(run_workers())
        try:
            yield _drain(items)
        finally:
            runner.cancel()
