"""
The thin edge between synchronous callers and the event loop: one background loop a process.

A call that is interrupted (Ctrl-C) cancels its coroutine and waits for it, so no upstream call
outlives it. Knows nothing of what is run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")


class Portal:
    """An event loop in a thread of its own; it and its connections live as long as the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="fanout", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one coroutine to its end and return its value."""
        future = asyncio.run_coroutine_threadsafe(
            _held(coroutine, done := threading.Event()), self._loop
        )
        try:
            return future.result()
        except BaseException:
            future.cancel()
            done.wait()
            raise


async def _held(coroutine: Coroutine[Any, Any, T], done: threading.Event) -> T:
    try:
        return await coroutine
    finally:
        done.set()


@lru_cache(maxsize=1)
def portal() -> Portal:
    """The process's one portal, started when it is first asked for."""
    return Portal()
