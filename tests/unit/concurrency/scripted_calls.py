"""Scripted calls and streams, and a log of what they did and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from tests.support.virtual_clock import now

Step = str | float | Exception


class ScriptedCalls:
    """Makes the calls of one test; `log` has `(virtual seconds, what happened)`."""

    def __init__(self) -> None:
        self.log: list[tuple[float, str]] = []

    def note(self, what: str) -> None:
        self.log.append((now(), what))

    @property
    def events(self) -> list[str]:
        return [what for _, what in self.log]

    def call(
        self, name: str, result: Any = None, after: float = 0.0, closing: float = 0.0
    ) -> Callable[[], Awaitable[Any]]:
        """
        A call that returns, or raises, `result` after some seconds.

        If it is cancelled, it takes `closing` seconds to end.
        """

        async def run() -> Any:
            self.note(f"{name} starts")
            try:
                await asyncio.sleep(after)
            except asyncio.CancelledError:
                await asyncio.sleep(closing)
                self.note(f"{name} is closed")
                raise
            if isinstance(result, Exception):
                raise result
            return result

        return run

    def uncancellable(self, name: str, result: Any, after: float) -> Callable[[], Awaitable[Any]]:
        """A call that ignores its cancellation: it then returns or raises `result`."""

        async def run() -> Any:
            self.note(f"{name} starts")
            try:
                await asyncio.sleep(after)
            except asyncio.CancelledError:
                self.note(f"{name} was cancelled")
            if isinstance(result, Exception):
                raise result
            return result

        return run

    def stream(
        self, name: str, *steps: Step, closing: float = 0.0
    ) -> Callable[[], AbstractAsyncContextManager[AsyncIterator[str]]]:
        """A stream of the strings in `steps`; a number is a pause, an exception is raised."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[AsyncIterator[str]]:
            self.note(f"{name} opens")
            try:
                yield self._items(name, steps)
            finally:
                try:
                    await asyncio.sleep(closing)
                finally:
                    self.note(f"{name} is closed")

        return opened

    async def _items(self, name: str, steps: Sequence[Step]) -> AsyncIterator[str]:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, str):
                self.note(f"{name} says {step}")
                yield step
            else:
                await asyncio.sleep(step)
