"""
A blocking generator that an event loop reads: it runs in a thread of its own.

The thread is a daemon: at the end of the process, Python does not wait for a call that blocks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import closing, suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class ThreadedGenerator(Generic[T]):
    """
    Runs a generator step by step: each call of `next` runs it to its next item.

    Call `stop` in the end. A blocked thread cannot be cancelled, so a caller that is cancelled does
    not wait for it; after `stop`, the generator is closed as soon as its step ends.
    """

    def __init__(self, items: Generator[T, None, None], name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._requests: SimpleQueue[asyncio.Future[T | None] | None] = SimpleQueue()
        self._started = 0
        self._ended = 0
        target = copy_context().run
        threading.Thread(target=target, args=(self._run, items), name=name, daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether the generator is in a step, or about to begin one."""
        return self._started > self._ended

    async def next(self) -> T | None:
        """The next item, or `None` after the last; raises what the generator raises."""
        future: asyncio.Future[T | None] = self._loop.create_future()
        self._started += 1
        self._requests.put(future)
        return await future

    def stop(self) -> None:
        """Close the generator when its step ends, without waiting for that."""
        self._requests.put(None)

    def _run(self, items: Generator[T, None, None]) -> None:
        with closing(items):
            while (future := self._requests.get()) is not None:
                item = error = None
                if not future.cancelled():
                    try:
                        item = next(items, None)
                    except Exception as raised:  # noqa: BLE001 -- raised where it is awaited
                        error = raised
                self._ended += 1
                with suppress(RuntimeError):  # the loop is closed, so the future has no reader
                    self._loop.call_soon_threadsafe(_resolve, future, item, error)


def _resolve(future: asyncio.Future[T | None], item: T | None, error: Exception | None) -> None:
    if future.done():  # its reader was cancelled
        return
    if error is None:
        future.set_result(item)
    else:
        future.set_exception(error)
