"""
An event loop whose time jumps: where nothing is ready, the clock moves to the next timer.

So an hour takes no time, and two runs take the same time to the last digit. For code that waits on
nothing but the loop: a real socket would be jumped over.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.DefaultSelector):
    """A selector that never waits: it adds what it would have waited to `now`."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if ready := super().select(0):
            return ready
        if timeout is None:
            raise AssertionError("deadlock: every task waits, and no timer will wake one")
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its clock starts at 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


class _ThreadsAtOnce(VirtualLoop):
    """What would be done in a thread is done at once, and told `seconds` later."""

    seconds = 0.0

    # The base class's signature takes two TypeVars.
    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            tell = partial(_tell, future.set_result, func(*args))
        except Exception as error:  # noqa: BLE001 -- it is the caller's, as a thread's would be
            tell = partial(_tell, future.set_exception, error)
        self.call_later(self.seconds, tell, future)
        return future


def _tell(set_: Callable[[Any], None], what: object, future: asyncio.Future[Any]) -> None:
    if not future.done():
        set_(what)


def run_threads_at_once(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    """`run`, for code that calls AWS's client in a thread: each call takes so many seconds."""

    def loop() -> _ThreadsAtOnce:
        made = _ThreadsAtOnce()
        made.seconds = seconds
        return made

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(coroutine)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def now() -> float:
    """Virtual seconds since the loop began, to the microsecond."""
    return round(asyncio.get_running_loop().time(), 6)
