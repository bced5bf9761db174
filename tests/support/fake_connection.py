"""A connection to the server's protocol without sockets, for virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fanout.errors import FanoutError
from fanout.server.connection import Connection
from fanout.server.connections import Connections
from fanout.server.limits import ConnectionLimits

HIGH_WATER = 65_536
READ = 256 * 1024
"""The most bytes that an event loop reads at once."""

Message = dict[str, Any]
ASGIApp = Callable[[Message, Any, Any], Awaitable[None]]


class FakeTransport(asyncio.Transport):
    """Keeps what the server writes; `is_read` is whether the client reads it."""

    def __init__(self, protocol: Connection) -> None:
        super().__init__()
        self._protocol = protocol
        self.received = b""  # by the client
        self._buffer = b""
        self.is_read = True
        self.is_server_reading = True
        self.is_ended = False
        self.is_lost = False
        self._closing = False
        self._paused = False
        self._to_server: list[bytes] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 4000) if name == "sockname" else ("127.0.0.1", 50_000)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_ended, "written after the end"
        self._buffer += bytes(data)
        if self.is_read:
            self.read(len(self._buffer))
        elif len(self._buffer) > HIGH_WATER and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def read(self, size: int) -> None:
        """The client reads some bytes."""
        self.received += self._buffer[:size]
        self._buffer = self._buffer[size:]
        if self._paused and len(self._buffer) <= HIGH_WATER // 4:
            self._paused = False
            self._protocol.resume_writing()
        if self._closing and not self._buffer:
            self.abort()

    def deliver(self, data: bytes) -> None:
        """The client sends some bytes; they wait while the server does not read."""
        self._to_server += [data[at : at + READ] for at in range(0, len(data), READ)]
        while self._to_server and self.is_server_reading and not self._closing:
            self._protocol.data_received(self._to_server.pop(0))

    def end(self) -> None:
        """The client sends no more (a half-close); what event loops do with it."""
        if not self._protocol.eof_received():  # type: ignore[func-returns-value]
            self.close()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_ended = True

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def pause_reading(self) -> None:
        self.is_server_reading = False

    def resume_reading(self) -> None:
        self.is_server_reading = True
        asyncio.get_running_loop().call_soon(self.deliver, b"")

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        if not self._buffer:
            self.abort()

    def abort(self) -> None:
        self._closing = True
        if not self.is_lost:
            self.is_lost = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class FakeServer:
    """Connections of an app, in the running loop. `bugs` are the exceptions of the app."""

    def __init__(
        self, app: ASGIApp, group: asyncio.TaskGroup, limits: ConnectionLimits | None = None
    ) -> None:
        self.bugs: list[BaseException] = []
        self.rejected: list[FanoutError] = []
        self.connections = Connections(
            app,
            limits or ConnectionLimits(),
            group,
            rejection=self._rejection,
            report_bug=self.bugs.append,
        )
        self.sweeper = group.create_task(self.connections.sweep_forever())

    def _rejection(self, error: FanoutError) -> bytes:
        self.rejected.append(error)
        return b"HTTP/1.1 %d -\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % error.status

    def connect(self) -> FakeTransport:
        """A new client."""
        protocol = self.connections.make()
        transport = FakeTransport(protocol)
        protocol.connection_made(transport)
        return transport


async def settle() -> None:
    """Let every task run that does not wait for time."""
    for _ in range(20):
        await asyncio.sleep(0)


def statuses(received: bytes) -> list[int]:
    """The statuses of the responses in these bytes."""
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def request(
    method: str = "GET", path: str = "/", body: bytes | None = None, **headers: str
) -> bytes:
    """One request in bytes; `_` in a header's name is written as `-`."""
    given: Mapping[str, str] = {"host": "localhost", **headers}
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")
