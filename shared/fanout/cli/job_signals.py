"""
What SIGINT, SIGTERM and SIGHUP do while `fanout batch` runs an action in its loop.

The first one goes to what follows a job, if something does; the next one cancels the action, and a
further one ends the process at once. Once the action is done, a signal changes nothing any more.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

from .stop_signals import NAMES

T = TypeVar("T")


class JobSignals:
    """The signals of one action."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._first: Callable[[], None] | None = None
        self._is_cancelled = self._is_done = False

    async def run(self, action: Coroutine[Any, Any, T]) -> T:
        """The action's result; a signal cancels it from now on, and is ignored after it."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        result = await action
        self.done()
        return result

    @contextmanager
    def first_to(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """In the block, the first signal calls this in the loop."""
        self._first = interrupt
        try:
            yield
        finally:
            self._first = None

    def done(self) -> None:
        """The action is done: from now on, to the end of the process, signals are ignored."""
        self._is_done = True
        for name in ("SIGINT", *NAMES):
            if (number := getattr(signal, name, None)) is not None:
                signal.signal(number, signal.SIG_IGN)

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal, in the main thread, at any point."""
        if self._is_done:
            return
        if self._loop is None or self._task is None or self._is_cancelled:
            raise KeyboardInterrupt
        interrupt, self._first = self._first, None
        if interrupt is None:
            self._is_cancelled = True
            interrupt = self._cancel
        with suppress(RuntimeError):  # the loop has just ended
            self._loop.call_soon_threadsafe(interrupt)

    def _cancel(self) -> None:
        if self._task is not None and not self._is_done:
            self._task.cancel()


@contextmanager
def job_signals() -> Iterator[JobSignals]:
    """
    Handles the signals of the block's action.

    SIGTERM and SIGHUP stay ignored if they are: `nohup` starts a command so that it outlives a
    terminal.
    """
    signals, before = JobSignals(), {}
    for name in ("SIGINT", *NAMES):
        number = getattr(signal, name, None)
        is_ours = number is not None and (
            name == "SIGINT" or signal.getsignal(number) is not signal.SIG_IGN
        )
        if number is not None and is_ours:
            before[number] = signal.signal(number, signals.handle)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) == signals.handle:
                signal.signal(number, handler)


def active() -> JobSignals | None:
    """The signals that are handled now; `None` if no action handles them."""
    owner = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    return owner if isinstance(owner, JobSignals) else None


def action_is_done() -> None:
    """Ignore signals from now on, if an action handles them."""
    if (signals := active()) is not None:
        signals.done()
