"""
Connections of pyqwest: sends requests and reads their responses, up to a limit or as a stream.

A response is always read in parts, which pyqwest unpacks one by one: so its size is known before it
is in memory, whatever its headers say. Only this module imports pyqwest and translates its errors.
"""

from __future__ import annotations

import atexit
import re
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Self

import pyqwest
from msgspec import DecodeError, Raw, Struct, field, json

from ..concurrency import EarlyEnd
from ..wire.http import WireResponse
from .engine import (
    CERTIFICATE,
    Bounded,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    HTTP1Required,
    Incoming,
    InvalidHTTP2,
    Outgoing,
    SlowConnect,
    StreamedResponse,
    StreamReset,
    connect_failed,
    damaged,
    with_received,
)
from .unread_ends import UnreadEnds

HTTP_1_1_REQUIRED = 13
"""The code of a stream's error: https://www.rfc-editor.org/rfc/rfc9113#section-7 (July 2026)."""

MAX_SHORT_BODY = 64_000
"""Bytes up to which a body without a length is tried as a JSON object after each part."""

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
_CONNECTION = re.compile("from connection|unexpected end of file")
"""What the texts of hyper's errors have, and of those of a compressed body that ends too early."""

INVALID_HTTP2 = "stream error detected"
"""What the text of hyper's error has if it resets a stream itself; else, it was `received`."""

RAISED = tuple(raised for raised, _, _ in _ERRORS)


EXIT_DELAY = 0.02
"""Seconds that the process waits at its end for the engine's threads."""


@atexit.register
def _wait_for_engine_threads() -> None:
    """
    Wait until the engine's threads have reported calls that ended just before the process does.

    Before CPython 3.14 a Rust thread that needs the interpreter while it shuts down aborts the
    process (SIGABRT): https://github.com/curioswitch/pyqwest/issues/164 and
    https://github.com/PyO3/pyo3/issues/6084.
    """
    time.sleep(EXIT_DELAY)


class PooledConnection(Struct):
    """
    A client of the Rust engine: one connection over HTTP/2, or a pool of its own over HTTP/1.1.

    A `with` block counts one call in flight.
    """

    transport: pyqwest.HTTPTransport
    in_flight: int = 0
    unread: UnreadEnds = field(default_factory=UnreadEnds)

    def __enter__(self) -> Self:
        self.in_flight += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1

    async def send(self, request: Outgoing, limit: int) -> WireResponse:
        """The whole response; see `read_whole`."""
        self.in_flight += 1  # a `with` block, or `open`, would be another object of each call
        try:
            try:
                response = await self.transport.execute(_to_pyqwest(request))
            except RAISED as error:
                raise to_engine_error(error) from None
            return await read_whole(response, request, limit, self.unread)
        finally:
            self.in_flight -= 1

    def open(self, request: Outgoing) -> Awaitable[pyqwest.Response]:
        """The response once its headers are there."""
        return open_response(self.transport, request)

    @staticmethod
    def stream(response: pyqwest.Response) -> AbstractAsyncContextManager[Incoming]:
        """The response as it arrives; leaving the block closes it."""
        return streamed(response)


def open_connection(
    *,
    http2: bool,
    is_local: bool,
    ca_pem: bytes | None,
    connect_timeout: float,
    idle_timeout: float,
    max_sockets: int,
) -> PooledConnection:
    """
    A connection that is opened by its first call.

    Without `ca_pem` it trusts the system's certificates; `is_local` servers have no proxy.
    """
    transport = pyqwest.HTTPTransport(
        tls_ca_cert=ca_pem,
        tls_include_system_certs=ca_pem is None,
        http_version=pyqwest.HTTPVersion.HTTP2 if http2 else pyqwest.HTTPVersion.HTTP1,
        proxy=_no_proxy() if is_local else None,
        connect_timeout=connect_timeout,
        pool_idle_timeout=idle_timeout,
        pool_max_idle_per_host=max(1, max_sockets // 2),  # the others are closed after their call
        max_connections_per_address=max_sockets,
        tcp_keepalive_interval=30.0,
        use_system_dns=True,
        enable_cookie_store=False,
        follow_redirects=False,
        enable_otel=False,
    )
    return PooledConnection(transport)


def _no_proxy() -> pyqwest.Proxy:
    """A rule instead of those of the environment: servers on this machine have no proxy."""
    return pyqwest.Proxy("http://127.0.0.1:9", no_proxy="localhost,127.0.0.0/8,::1")


async def read_whole(
    response: pyqwest.Response, request: Outgoing, limit: int, unread: UnreadEnds
) -> WireResponse:
    """
    The whole response, part by part; raises `TooLong` as soon as it is over `limit` bytes.

    Each read costs as much CPU as sending the request. So the end of a body is not read where the
    bytes show that it is complete: its length is known, or over HTTP/2 it is a JSON object.
    """
    headers = _header_dict(response.headers)
    body = Bounded(limit, by_bytes=request.by_bytes)
    length = int(headers.get("content-length", -1))
    is_http1 = response.http_version == pyqwest.HTTPVersion.HTTP1
    is_json = not is_http1 and length < 0 and "json" in headers.get("content-type", "")
    try:
        with EarlyEnd() as early:
            async for part in response.content:
                body.add(bytes(part))
                if body.size == length or (is_json and is_json_object(body)):
                    if not is_http1:
                        unread.keep(response)
                    break
                if request.watch is not None:
                    request.watch(early, response.status, headers, body)
        if early.has_ended:
            await response.aclose()
    except RAISED as error:
        raise with_received(_body_error(error), response.status, headers, body) from None
    except BaseException:
        await response.aclose()
        raise
    return WireResponse(response.status, headers, body.whole(), early.has_ended)


def is_json_object(body: Bounded) -> bool:
    """Whether the body so far is one complete JSON object; larger ones are read to their end."""
    if body.size > MAX_SHORT_BODY or not body.latest.endswith((b"}", b"}\n")):
        return False
    try:
        json.decode(body.whole(), type=Raw)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


async def open_response(transport: pyqwest.HTTPTransport, request: Outgoing) -> pyqwest.Response:
    """Send the request and return the response once its headers are there."""
    try:
        return await transport.execute(_to_pyqwest(request))
    except RAISED as error:
        raise to_engine_error(error) from None


def _to_pyqwest(request: Outgoing) -> pyqwest.Request:
    headers = _to_headers(tuple(request.headers.items()))
    return pyqwest.Request(request.method, request.url, headers, request.body)


@lru_cache(maxsize=256)
def _to_headers(items: tuple[tuple[str, str], ...]) -> pyqwest.Headers:
    """The engine's headers, which it only reads: calls in flight with the same ones share them."""
    return pyqwest.Headers(items)


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
        raise _body_error(error) from None


def to_engine_error(error: Exception) -> EngineError:
    """Pyqwest's error as an `EngineError`, without the address and other details of the call."""
    if isinstance(error, pyqwest.StreamError) and error.code == HTTP_1_1_REQUIRED:
        return HTTP1Required("the server requires HTTP/1.1")
    if CERTIFICATE in str(error).lower():
        return connect_failed(str(error))
    for raised, kind, message in _ERRORS:
        if isinstance(error, raised):
            is_connect = raised is ConnectionError
            return connect_failed(str(error)) if is_connect else kind(message)
    return ConnectionLost("the call failed below HTTP")


def _body_error(error: Exception) -> EngineError:
    """The error of a body that breaks: the server has read its request, which is not sent again."""
    if INVALID_HTTP2 in str(error):
        return InvalidHTTP2("the server's HTTP/2 is not valid")
    if isinstance(error, pyqwest.ReadError) and not _CONNECTION.search(str(error)):
        return damaged()
    found = to_engine_error(error)
    if isinstance(found, ConnectionLost):
        return found
    return ConnectionLost("the connection broke while reading")


def _header_dict(headers: pyqwest.Headers) -> dict[str, str]:
    """The headers by name; the engine's names are lower case."""
    return dict(headers.items())
