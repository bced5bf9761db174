"""All connections of a server: their number, their clocks, and the tasks of their requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Any, TypeAlias

from ..errors import FanoutError, TooManyConnections
from .connection import Connection
from .limits import ConnectionLimits
from .served_request import ServedRequest

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Reject: TypeAlias = Callable[[FanoutError], bytes]


class Connections:
    """
    The open connections. `rejection` makes the whole response to a request that no app gets.

    `idle` are those without a request of the app, the one that has been idle longest first.
    """

    def __init__(
        self,
        app: App,
        limits: ConnectionLimits,
        group: asyncio.TaskGroup,
        *,
        rejection: Reject,
        report_bug: Callable[[BaseException], None],
    ) -> None:
        self.app = app
        self.limits = limits
        self.rejection = rejection
        self.report_bug = report_bug
        self.loop = asyncio.get_running_loop()
        self.date_header = b""
        self._group = group
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self.sweep()

    def __len__(self) -> int:
        return len(self._open)

    def make(self) -> Connection:
        """A new connection: the event loop's protocol factory."""
        return Connection(self)

    # ---- what a connection calls ----

    def opened(self, connection: Connection) -> None:
        """Count it; if there are too many, close the one that has been idle longest."""
        if len(self._open) >= self.limits.connections:
            longest = next(iter(self._idle), None)
            if longest is None:
                connection.turn_away(
                    TooManyConnections(f"{len(self._open)} connections are busy; try again")
                )
                return
            self.closed(longest)
            longest.abort()
        self._open.add(connection)
        self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)
        self._changed.set()

    def is_idle(self, connection: Connection) -> None:
        """The app has no request of this connection."""
        if connection in self._open:
            self._idle.pop(connection, None)
            self._idle[connection] = None

    def serve(self, connection: Connection, request: ServedRequest) -> None:
        """Run the app for a request."""
        self._idle.pop(connection, None)
        task = self._group.create_task(request.run())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()

    # ---- what the server calls ----

    def sweep(self) -> None:
        """End what is over its deadline."""
        self.date_header = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        now = self.loop.time()
        for connection in [one for one in self._open if one.deadline <= now]:
            connection.expire()

    async def sweep_forever(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self.limits.sweep_seconds)
            self.sweep()

    async def shut_down(self, grace: float) -> None:
        """
        Wait for the requests in flight for at most `grace` seconds; then cancel them.

        A cancelled request still has `shutdown_seconds` to send its last response.
        """
        for connection in list(self._open):
            connection.shut_down()
        await self._wait(grace)
        self.cancel_requests()
        await self._wait(self.limits.shutdown_seconds)
        for connection in list(self._open):
            connection.abort()

    def cancel_requests(self) -> None:
        """Cancel the requests in flight; the app sends their last responses."""
        for task in self._tasks:
            task.cancel()

    async def _wait(self, seconds: float) -> None:
        """Wait until nothing is open, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open or self._tasks:
                    self._changed.clear()
                    await self._changed.wait()
