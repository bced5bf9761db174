"""
Sends requests with pyqwest and reads its responses, up to a limit or as a stream.

A response is always read in parts, which pyqwest unpacks one by one: so its size is known before it
is in memory, whatever its headers say. Only this module translates pyqwest's exceptions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyqwest

from ..wire.http import WireResponse
from .engine import (
    Bounded,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    HTTP1Required,
    Incoming,
    Outgoing,
    SlowConnect,
    StreamedResponse,
    StreamReset,
)

HTTP_1_1_REQUIRED = 13
"""The code of a stream's error: https://www.rfc-editor.org/rfc/rfc9113#section-7 (July 2026)."""

# What pyqwest raises, and what it means. `TimeoutError` and `ConnectionError` are the built-ins.
_ERRORS: tuple[tuple[type[Exception], type[EngineError], str], ...] = (
    (TimeoutError, SlowConnect, "no connection in time"),
    (ConnectionError, ConnectFailed, "no connection"),
    (pyqwest.ReadError, ConnectionLost, "the connection broke while reading"),
    (pyqwest.WriteError, ConnectionLost, "the connection broke while sending"),
    (pyqwest.StreamError, StreamReset, "the server reset the stream"),
    (pyqwest.RemoteProtocolError, ConnectionLost, "the server did not speak HTTP"),
    (ValueError, ConnectFailed, "the address or a header is not valid in HTTP"),
)
RAISED = tuple(raised for raised, _, _ in _ERRORS)


async def read_whole(
    transport: pyqwest.HTTPTransport, request: Outgoing, limit: int
) -> WireResponse:
    """The whole response, part by part; raises `TooLong` as soon as it is over `limit` bytes."""
    response = await open_response(transport, request)
    body = Bounded(limit)
    headers = _header_dict(response.headers)
    # Reading until the end of the body costs one more read, so over HTTP/1.1 this stops when all
    # bytes are there. Over HTTP/2 it must not: the stream would be reset.
    is_http1 = response.http_version == pyqwest.HTTPVersion.HTTP1
    length = int(headers.get("content-length", -1)) if is_http1 else -1
    try:
        async for part in response.content:
            body.add(bytes(part))
            if body.size == length:
                break
    except RAISED as error:
        raise to_engine_error(error) from None
    except BaseException:
        await response.aclose()
        raise
    return WireResponse(response.status, headers, body.whole())


async def open_response(transport: pyqwest.HTTPTransport, request: Outgoing) -> pyqwest.Response:
    """Send the request and return the response once its headers are there."""
    try:
        headers = pyqwest.Headers(request.headers.items())
        return await transport.execute(
            pyqwest.Request(request.method, request.url, headers, request.body)
        )
    except RAISED as error:
        raise to_engine_error(error) from None


@asynccontextmanager
async def streamed(response: pyqwest.Response) -> AsyncIterator[Incoming]:
    """The response with its body as a stream; leaving the block closes it."""
    try:
        yield StreamedResponse(response.status, _header_dict(response.headers), _body(response))
    finally:
        await response.aclose()


async def _body(response: pyqwest.Response) -> AsyncIterator[bytes]:
    try:
        async for part in response.content:
            yield bytes(part)
    except RAISED as error:
        raise to_engine_error(error) from None


def to_engine_error(error: Exception) -> EngineError:
    """Pyqwest's error as an `EngineError`, without the address and other details of the call."""
    if isinstance(error, pyqwest.StreamError) and error.code == HTTP_1_1_REQUIRED:
        return HTTP1Required("the server requires HTTP/1.1")
    for raised, kind, message in _ERRORS:
        if isinstance(error, raised):
            return kind(message)
    return ConnectionLost("the call failed below HTTP")


def _header_dict(headers: pyqwest.Headers) -> dict[str, str]:
    """The headers by name; the engine's names are lower case."""
    return dict(headers.items())
