"""Time limits for blocks and streams, and a pause between the starts of many tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Self, TypeVar

T = TypeVar("T")

BATCH = 8
"""Tasks that are started before the event loop may run others: hundreds would block it."""

_UNLIMITED: AbstractAsyncContextManager[object] = nullcontext()

TIMER_ERROR = 0.01
"""Seconds that a timer may be early, because a loop's clock may have whole milliseconds."""


def optional_timeout(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """`asyncio.timeout` for the block; `None` means no limit and costs nothing."""
    return _UNLIMITED if seconds is None else asyncio.timeout(seconds)


async def within(seconds: float, awaitable: Awaitable[T], late: type[Exception] | None = None) -> T:
    """
    The awaitable's result; raises `late`, or `TimeoutError`, if it waits longer than `seconds`.

    `asyncio.timeout` costs more than most sends, which need not wait. So the limit is only set when
    the awaitable waits for the first time.
    """
    steps = awaitable.__await__()
    try:
        first = next(steps)
    except StopIteration as ended:
        result: T = ended.value
        return result
    try:
        async with asyncio.timeout(seconds):
            return await _Rest(steps, first)
    except TimeoutError:
        if late is None:
            raise
        raise late from None


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


SPAN = 10.0
"""Seconds: deadlines of the same span share a timer until it begins."""


class Deadline:
    """
    A `with` block that may wait until `at`, a time of the loop's clock: then `TimeoutError`.

    It works as `asyncio.timeout_at`, which sets a timer for each block: 0.7 kB and a twentieth of
    the CPU of a call, though hardly any of them runs out. So all blocks whose deadlines are in the
    same ten seconds share one timer. When these seconds begin, each block that is not over yet gets
    a timer of its own.
    """

    __slots__ = ("_at", "_cancelling", "_group", "_is_over", "_task", "_timer")

    def __init__(self, at: float) -> None:
        self._at = at
        self._group: _DeadlineGroup | None = None
        self._timer: asyncio.Handle | None = None
        self._is_over = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a time limit needs a task")
        self._task, self._cancelling = task, task.cancelling()
        now, span = loop.time(), self._at // SPAN
        if now < span * SPAN:
            key = (loop, span)
            if (group := _groups.get(key)) is None:
                group = _groups[key] = _DeadlineGroup(key)
            group.deadlines.add(self)
            self._group = group
        elif now < self._at:
            self._timer = loop.call_at(self._at, self._end)
        else:
            self._timer = loop.call_soon(self._end)

    def __exit__(self, kind: object, error: BaseException | None, _traceback: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        elif self._group is not None:
            self._group.remove(self)
        if self._is_over:
            self._is_over = False
            is_own = self._task.uncancel() <= self._cancelling
            if is_own and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave the group, whose span begins."""
        self._group, self._timer = None, loop.call_at(self._at, self._end)

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()


class _DeadlineGroup:
    """The deadlines of one span on one loop; without any, its timer is canceled."""

    def __init__(self, key: tuple[asyncio.AbstractEventLoop, float]) -> None:
        self.deadlines: set[Deadline] = set()
        self._key = key
        self._timer = key[0].call_at(key[1] * SPAN, self._begin)

    def remove(self, deadline: Deadline) -> None:
        self.deadlines.remove(deadline)
        if not self.deadlines:
            self._timer.cancel()
            del _groups[self._key]

    def _begin(self) -> None:
        del _groups[self._key]
        for deadline in self.deadlines:
            deadline.set_timer(self._key[0])


_groups: dict[tuple[asyncio.AbstractEventLoop, float], _DeadlineGroup] = {}


class RepeatedTimeout:
    """
    A time limit for many waits, one after the other: of `seconds` each, or all until `at`.

    Each wait is a `with` block, which raises `TimeoutError`. It works as `asyncio.timeout`, which
    sets a timer for each wait; a stream waits for each of its chunks, and one timer for all of them
    costs half. `at` is a time of the loop's clock. Without any limit, a wait takes as long as it
    takes.
    """

    __slots__ = ("_cancelling", "_is_over", "_loop", "_seconds", "_timer", "_until", "_waiting")

    def __init__(self, seconds: float | None = None, *, at: float | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._until = at
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._is_over = False

    def __enter__(self) -> None:
        if self._seconds is not None:
            self._until = self._loop.time() + self._seconds
        if self._until is None:
            return
        if self._timer is None:
            self._timer = self._loop.call_at(self._until, self._end)
        task = self._waiting = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a time limit needs a task")
        self._cancelling = task.cancelling()

    def __exit__(self, kind: object, error: BaseException | None, _traceback: object) -> None:
        task, self._waiting = self._waiting, None
        if self._is_over and task is not None:
            self._is_over = False
            is_own = task.uncancel() <= self._cancelling
            if is_own and kind is asyncio.CancelledError:
                raise TimeoutError from None

    def close(self) -> None:
        """Stop the timer; there is no wait any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """The timer has run out; the wait may have begun after it was set."""
        self._timer = None
        if self._waiting is None or self._until is None:
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._end)
            return
        self._is_over = True
        self._waiting.cancel()


class EarlyEnd:
    """
    A `with` block that may end, without an error, before what it waits for is there.

    `watch` says when. `has_ended` says whether it was so.
    """

    __slots__ = ("_cancelling", "_task", "_timer", "has_ended")

    def __init__(self) -> None:
        self.has_ended = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        return self

    @property
    def is_watched(self) -> bool:
        """Whether `watch` was called."""
        return self._timer is not None

    def watch(self, check: Callable[[], float | None], after: float) -> None:
        """
        Call `check` after so many seconds.

        It returns the seconds until its next call, or `None` to end the block.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a block that may end early needs a task")
        self._task, self._cancelling = task, task.cancelling()
        self._timer = loop.call_later(after, self._ask, loop, check)

    def __exit__(self, kind: object, _error: object, _traceback: object) -> bool:
        if self._timer is not None:
            self._timer.cancel()
        if not self.has_ended:
            return False
        return self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError

    def _ask(self, loop: asyncio.AbstractEventLoop, check: Callable[[], float | None]) -> None:
        after = check()
        if after is None:
            self.has_ended = True
            self._task.cancel()
        else:
            self._timer = loop.call_later(after, self._ask, loop, check)


async def yield_to_loop(started: int) -> None:
    """Let other tasks run after every `BATCH` starts; `started` is the number of this start."""
    if started % BATCH == BATCH - 1:
        await asyncio.sleep(0)


async def with_deadline(
    items: AsyncIterator[T], deadline: float, error: Exception
) -> AsyncIterator[T]:
    """The same items; raises `error` if the next is not there by `deadline` (the loop's clock)."""
    limit, following = RepeatedTimeout(at=deadline), items.__anext__
    try:
        while True:
            try:
                with limit:
                    item = await following()
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise error from None
            yield item
    finally:
        limit.close()
