"""
An event loop with virtual time: when nothing is ready, its clock jumps to the next timer.

An hour passes at once, and every run has exactly the same times. Only for code that waits for
timers and not for real sockets.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.DefaultSelector):
    """A selector that never waits, but adds the time to `now`; `shown` is to the microsecond."""

    now = 0.0
    shown = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return []  # a callback is ready, and no file has to be asked
        if ready := super().select(0):
            return ready
        if timeout is None:
            raise AssertionError("deadlock: every task waits, and there is no timer")
        self.now += timeout
        self.shown = round(self.now, 6)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its clock starts at 0."""

    def __init__(self) -> None:
        self.clock = _Jump()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


class _ThreadsAtOnce(VirtualLoop):
    """Runs the work of threads at once, in the loop, and delivers its result `seconds` later."""

    seconds = 0.0

    # The base class's signature takes two TypeVars.
    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            settle = partial(_settle, future.set_result, func(*args))
        except Exception as error:  # noqa: BLE001 -- raised in the task that awaits it
            settle = partial(_settle, future.set_exception, error)
        self.call_later(self.seconds, settle, future)
        return future


def _settle(set_: Callable[[Any], None], what: object, future: asyncio.Future[Any]) -> None:
    if not future.done():
        set_(what)


def run_threads_at_once(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    """`run` for code that calls AWS's client in threads; each call takes `seconds`."""

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
    """Seconds of the loop's clock, virtual or not, to the microsecond."""
    loop = asyncio.get_running_loop()
    return loop.clock.shown if isinstance(loop, VirtualLoop) else round(loop.time(), 6)
