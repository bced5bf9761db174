"""
Sends requests to the Rust engine and reads its responses: whole, in bounded pieces, or streamed.

If an origin's recent responses were small, the next is read whole (`WholeReads`): it is cheaper.
pyqwest's exceptions are translated here and nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyqwest
from msgspec import Struct

from ..wire.http import WireResponse
from .engine import (
    Bounded,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    Incoming,
    Outgoing,
    Reply,
    SlowConnect,
)

SMALL = 1_000_000
"""Bytes: far more than any model says in one answer."""

ENOUGH = 20
"""Small answers in a row after which the next is thought to be one."""

# What pyqwest raises, in our words. `TimeoutError` and `ConnectionError` are the built-in ones.
_FAULTS: tuple[tuple[type[Exception], type[EngineError], str], ...] = (
    (TimeoutError, SlowConnect, "no connection in time"),
    (ConnectionError, ConnectFailed, "no connection"),
    (pyqwest.ReadError, ConnectionLost, "the connection broke while reading"),
    (pyqwest.WriteError, ConnectionLost, "the connection broke while sending"),
    (pyqwest.RemoteProtocolError, ConnectionLost, "the peer did not speak HTTP"),
    (ValueError, ConnectFailed, "an address or a header that HTTP cannot say"),
)
RAISED = tuple(fault for fault, _, _ in _FAULTS)


class WholeReads(Struct):
    """Earned by small answers, lost by one that is not. `small` counts those in a row."""

    small: int = 0

    @property
    def is_earned(self) -> bool:
        """Whether the next answer may be read in one go."""
        return self.small >= ENOUGH

    def note(self, size: int) -> None:
        """An answer of so many bytes has come."""
        if size > SMALL:
            self.small = 0
        elif self.small < ENOUGH:
            self.small += 1

    def lose(self) -> None:
        """An answer was too long to be held."""
        self.small = 0


async def execute(client: pyqwest.Client, request: Outgoing, limit: int) -> WireResponse:
    """
    The whole reply, read by the engine in one go: a fifth less CPU than in pieces.

    It is judged when it is there: `TooLong` above `limit` bytes.
    """
    try:
        reply = await client.execute(request.method, request.url, request.headers, request.body)
    except RAISED as error:
        raise translated(error) from None
    body = Bounded(limit)
    body.add(bytes(reply.content))
    return WireResponse(reply.status, _named(reply.headers), body.whole())


async def read(transport: pyqwest.HTTPTransport, request: Outgoing, limit: int) -> WireResponse:
    """The whole reply, piece by piece; `TooLong` as soon as there are more than `limit` bytes."""
    response = await begin(transport, request)
    body = Bounded(limit)
    headers = _named(response.headers)
    # A body that is all there need not be asked for its end, which costs as much as it did; over
    # HTTP/2 a stream that is left before its end is one that is reset.
    one = response.http_version == pyqwest.HTTPVersion.HTTP1
    end = int(headers.get("content-length", -1)) if one else -1
    try:
        async for piece in response.content:
            body.add(bytes(piece))
            if body.size == end:
                break
    except RAISED as error:
        raise translated(error) from None
    except BaseException:
        await response.aclose()
        raise
    return WireResponse(response.status, headers, body.whole())


async def begin(transport: pyqwest.HTTPTransport, request: Outgoing) -> pyqwest.Response:
    """The reply's head."""
    try:
        headers = pyqwest.Headers(request.headers.items())
        return await transport.execute(
            pyqwest.Request(request.method, request.url, headers, request.body)
        )
    except RAISED as error:
        raise translated(error) from None


@asynccontextmanager
async def arriving(response: pyqwest.Response) -> AsyncIterator[Incoming]:
    """A reply whose head is there; leaving the block closes it."""
    try:
        yield Reply(response.status, _named(response.headers), _pieces(response))
    finally:
        await response.aclose()


async def _pieces(response: pyqwest.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content:
            yield bytes(piece)
    except RAISED as error:
        raise translated(error) from None


def translated(error: Exception) -> EngineError:
    """What the engine raised, without the address or anything else of the call."""
    for fault, ours, words in _FAULTS:
        if isinstance(error, fault):
            return ours(words)
    return ConnectionLost("the call failed below HTTP")


def _named(headers: pyqwest.Headers) -> dict[str, str]:
    """By their names, which the engine has in lower case."""
    return dict(headers.items())
