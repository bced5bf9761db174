"""Serves an ASGI app on a listening socket until it is asked to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ..errors import ConfigError
from .connections import App, Connections, Reject
from .lifespan import Lifespan
from .limits import BACKLOG, ConnectionLimits

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""What stops the server. Windows has no SIGHUP."""


class Stop:
    """
    Asks a server of this event loop to stop: `asked`, and at the second time `hurry`.

    `on_asked` is called in the event loop the first time.
    """

    def __init__(self, on_asked: Callable[[], object] = lambda: None) -> None:
        self._on_asked = on_asked
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def now(self) -> None:
        """Ask, from any thread or signal handler."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        if self.asked.is_set():
            self.hurry.set()
        else:
            self.asked.set()
            self._on_asked()

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Ask at each signal while the block runs; one that is ignored (`nohup`) stays ignored."""
        before = {}
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.now()


async def serve(
    app: App,
    listener: socket.socket,
    stop: Stop,
    *,
    limits: ConnectionLimits,
    rejection: Reject,
    report_bug: Callable[[BaseException], None],
    ready: Callable[[], object] = lambda: None,
) -> None:
    """
    Serve until asked to stop, and then until the requests in flight are done or cancelled.

    `ready` is called when the app has started and requests are served.

    Raises `ConfigError` if the app cannot start.
    """
    async with asyncio.TaskGroup() as group:
        lifespan = Lifespan()
        group.create_task(lifespan.run(app))
        failure = await lifespan.started
        if failure is None:
            connections = Connections(
                app, limits, group, rejection=rejection, report_bug=report_bug
            )
            helpers = [group.create_task(connections.sweep_forever())]
            server = await connections.loop.create_server(
                connections.make,
                sock=listener,
                backlog=BACKLOG,  # it listens again, with 100 by default
            )
            ready()
            await stop.asked.wait()
            server.close()
            helpers.append(group.create_task(_hurry(stop, connections)))
            await connections.shut_down(limits.grace_seconds)
            for helper in helpers:
                helper.cancel()
        lifespan.ended.set()
    if failure is not None:
        raise ConfigError(failure)


async def _hurry(stop: Stop, connections: Connections) -> None:
    await stop.hurry.wait()
    connections.cancel_requests()
