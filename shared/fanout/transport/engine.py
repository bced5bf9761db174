"""
What the transport needs of an HTTP client: four words and three faults.

Knows nothing of any client. `lanes.py` is the engine that is used, `httpx_seam.py` makes one of
any `httpx.AsyncBaseTransport`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ..secret import Reticent
from ..wire.http import WireResponse


class Outgoing(Reticent, frozen=True):
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


class Engine(Protocol):
    """
    Performs requests. Cancelling a call closes its stream at once; nothing is retried that a
    server may have begun to work on; redirects are not followed; cookies are not kept.
    """

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole reply. Raises an `EngineError`."""
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
