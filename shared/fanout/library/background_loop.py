"""
The thin edge between synchronous callers and the event loop: one background loop a process.

A call that is interrupted (Ctrl-C) cancels its coroutine and waits for it, so no upstream call
outlives it; nor does one of a daemon thread outlive the process. A caller's own iterator is drawn
in the caller's thread: what it reads may belong to that thread, and it may well call one of these
functions itself. Does not depend on what is run.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")

LOOK = 0.2
"""Seconds after which a waiting thread looks whether it has been interrupted."""

SETTLE = 0.05
"""Seconds that cancelled calls have at the process's end to take leave of their providers."""

_END: Final = object()


class _Job(Generic[T]):
    """One coroutine on the loop, and the thread that waits for it."""

    def __init__(self, background_loop: BackgroundLoop, loop: asyncio.AbstractEventLoop) -> None:
        self._background = background_loop
        self._loop = loop
        self._task: asyncio.Task[T] | None = None
        self._inbox: SimpleQueue[asyncio.Future[Any] | None] = SimpleQueue()  # `None`: it has ended
        self._over = threading.Event()

    def run(self, coroutine: Coroutine[Any, Any, T], items: Iterator[Any]) -> T:
        """Run the coroutine to its end, drawing an item whenever it asks for one."""
        try:
            self._loop.call_soon_threadsafe(self._start, coroutine)
            while (asked := self._next()) is not None:
                self._draw(items, asked)
        except BaseException:
            self._loop.call_soon_threadsafe(self._stop)
            while not self._over.wait(LOOK):  # the inbox's word may be lost to the interrupt
                pass
            raise
        if self._task is None:
            raise AssertionError("it has ended, so it was started")
        if self._background.is_closed and self._task.cancelled():
            raise SystemExit  # of a daemon thread, which Python would end without a word too
        return self._task.result()

    def _next(self) -> asyncio.Future[Any] | None:
        """
        What the coroutine wants next.

        A Ctrl-C that comes the moment before the wait begins, or to another thread, does not end
        the wait: Python sees to it only between two instructions.
        """
        while True:
            with suppress(Empty):
                return self._inbox.get(timeout=LOOK)

    async def items(self) -> AsyncIterator[Any]:
        """What the waiting thread draws, for the coroutine to read."""
        while True:
            asked = self._loop.create_future()
            self._inbox.put(asked)
            if (item := await asked) is _END:
                return
            yield item

    def _start(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._task = self._loop.create_task(coroutine)
        self._task.add_done_callback(self._ended)

    def _stop(self) -> None:
        if self._task is None:  # interrupted before it was begun
            self._over.set()
        else:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # or asyncio logs that it was never retrieved
        self._over.set()
        self._inbox.put(None)

    def _draw(self, items: Iterator[Any], asked: asyncio.Future[Any]) -> None:
        try:
            item = next(items, _END)
        except Exception as error:  # noqa: BLE001 -- the coroutine's to raise
            self._loop.call_soon_threadsafe(_settle, asked, None, error)
        else:
            self._loop.call_soon_threadsafe(_settle, asked, item, None)


def _settle(asked: asyncio.Future[Any], item: object, error: Exception | None) -> None:
    if asked.done():
        return  # cancelled meanwhile
    if error is None:
        asked.set_result(item)
    else:
        asked.set_exception(error)


class BackgroundLoop:
    """An event loop in a thread of its own; it and its connections live as long as the process."""

    def __init__(self) -> None:
        self.is_closed = False
        self._loop = _new_loop()
        self._unwatched: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fanout", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def close(self) -> None:
        """
        Cancel every call and end the loop.

        Left alone, a call under way may end while the interpreter shuts down, which the HTTP
        engine's threads do not survive before CPython 3.14 (`transport/connection_pool.py`).
        """
        self.is_closed = True
        self.leave(self._end)
        self._thread.join(1.0)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=SETTLE)
            await asyncio.sleep(SETTLE)
        self._loop.stop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one coroutine to its end and return its value."""
        try:
            job = self._job()
        except RuntimeError:
            coroutine.close()  # or Python warns that it was never awaited
            raise
        value: T = job.run(coroutine, iter(()))
        return value

    def run_over(
        self, items: Iterable[S], func: Callable[[AsyncIterator[S]], Coroutine[Any, Any, T]]
    ) -> T:
        """Run `func` over the items. Each is drawn in this thread when it is asked for."""
        job, iterator = self._job(), iter(items)
        value: T = job.run(func(job.items()), iterator)
        return value

    def leave(self, func: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have `func` run without waiting for it: a finalizer may be called in any thread."""

        def start() -> None:
            task = self._loop.create_task(func())
            self._unwatched.add(task)
            task.add_done_callback(self._unwatched.discard)

        self._loop.call_soon_threadsafe(start)

    def _job(self) -> _Job[Any]:
        if threading.current_thread() is self._thread:
            raise RuntimeError("a synchronous function called on its own loop would wait for ever")
        return _Job(self, self._loop)


def _new_loop() -> asyncio.AbstractEventLoop:
    """
    uvloop's, where there is one: a thousand calls at once cost a sixth less on it.

    https://github.com/MagicStack/uvloop
    """
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


_loops: list[BackgroundLoop] = []
_lock = threading.Lock()


def background_loop() -> BackgroundLoop:
    """The process's one background loop, started when it is first asked for."""
    with _lock:
        if not _loops:
            _loops.append(BackgroundLoop())
        return _loops[0]


def _forget() -> None:
    """A fork has the loop, but not the thread that runs it."""
    for each in _loops:
        atexit.unregister(each.close)
    _loops.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
