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
        done = threading.Event()
        started: list[asyncio.Task[T]] = []

        def start() -> None:
            task = self._loop.create_task(coroutine)
            task.add_done_callback(lambda _: done.set())
            started.append(task)

        def stop() -> None:
            started[0].cancel()

        self._loop.call_soon_threadsafe(start)
        try:
            done.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(stop)
            done.wait()
            raise
        return started[0].result()


@lru_cache(maxsize=1)
def portal() -> Portal:
    """The process's one portal, started when it is first asked for."""
    return Portal()
