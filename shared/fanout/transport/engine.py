"""
The interface between the transport and an HTTP client: request, response, and the errors it raises.

`connection_pool.py` implements it with pyqwest, `httpx_engine.py` with any
`httpx.AsyncBaseTransport`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from ..secret import HiddenRepr
from ..wire.http import WireResponse


class Outgoing(HiddenRepr, frozen=True):
    """A request as it goes out, keys and all: never logged, never printed."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Outgoing({self.method!r}, …)"


class Incoming(Protocol):
    """A reply whose body is still arriving; header names are lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> AsyncIterator[bytes]: ...


class Reply(Struct, frozen=True):
    """An `Incoming` as a value."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class Engine(Protocol):
    """
    Performs requests. Cancelling a call closes its stream at once; nothing is retried that a
    server may have begun to work on; redirects are not followed; cookies are not kept.
    """

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole reply, `TooLong` if the engine will not hold it. Raises an `EngineError`."""
        ...

    def stream(self, request: Outgoing) -> AbstractAsyncContextManager[Incoming]:
        """The reply as it arrives; leaving the block closes it. Raises an `EngineError`."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class EngineError(Exception):
    """A request failed below HTTP; the message holds neither the address nor the body."""


class ConnectFailed(EngineError):
    """No connection: a name that does not resolve, a closed port, a certificate not trusted."""


class ConnectionLost(EngineError):
    """The connection broke, or the peer did not speak HTTP."""


class SlowConnect(EngineError):
    """No connection, or no next byte, in time."""


class TooLong(EngineError):
    """More bytes than anyone will hold in memory."""


MAX_ANSWER = 32_000_000
"""Bytes of one answer that are held, unless an engine is told another number."""


class Bounded:
    """The pieces of a body as they come; `TooLong` once there are more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._parts: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._size += len(piece)
        if self._size > self._limit:
            raise TooLong(f"more than {self._limit} bytes")
        self._parts.append(piece)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    def whole(self) -> bytes:
        """Everything so far."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
