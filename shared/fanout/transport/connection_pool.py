"""
The engine that Fanout uses: pyqwest (Rust: hyper, rustls) with a pool of HTTP/2 connections.

All calls to an origin share a few HTTP/2 connections. Each carries up to 100 calls, the number of
streams that servers commonly allow, so 1,000 calls need ten connections and not 1,000. Decision
0001 has the measurements.

The engine tries HTTP/2 first. If an origin's first call fails before a response, the engine asks
the server which version it speaks (`alpn.py`). Only if that is not HTTP/2 is the call sent again,
over HTTP/1.1: such a server cannot have read the request.
"""

from __future__ import annotations

import asyncio
import atexit
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pyqwest
from msgspec import Struct, field

from ..wire.http import WireResponse
from .engine import (
    MAX_RESPONSE_BYTES,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    HTTP1Required,
    Incoming,
    Outgoing,
    StreamReset,
)
from .response_reading import (
    open_response,
    read_whole,
    streamed,
    to_engine_error,
)

STREAMS_PER_CONNECTION = 100
MAX_CONNECTIONS = 10
"""HTTP/2 connections to one origin."""

MAX_SOCKETS = 800
"""Calls in flight over HTTP/1.1, each with a socket: a Lambda has 1,024 file descriptors in all."""

IDLE_SOCKETS = 400
"""HTTP/1.1 connections to one address that are kept open for later calls."""

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


class OriginProtocol(Enum):
    """The HTTP version that an origin speaks, as far as it is known."""

    UNKNOWN = 0
    HTTP2 = 1
    HTTP1 = 2


class PooledConnection(Struct):
    """
    A client of the Rust engine: one connection over HTTP/2, or a pool of its own over HTTP/1.1.

    A `with` block counts one call in flight.
    """

    transport: pyqwest.HTTPTransport
    in_flight: int = 0

    def __enter__(self) -> Self:
        self.in_flight += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1


class Origin(Struct):
    """One scheme, host and port, and the HTTP/2 connections to it."""

    protocol: OriginProtocol
    connections: list[PooledConnection] = field(default_factory=list)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class PyqwestEngine:
    """
    Sends requests over shared connections; trusts the system's certificates, or those in `ca_pem`.

    Like curl, it reads proxies from the environment (`HTTPS_PROXY`, `NO_PROXY`).
    `max_response_bytes` is the size limit of a whole response, `max_sockets` the most HTTP/1.1
    calls in flight.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        ca_pem: bytes | None = None,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        max_sockets: int = MAX_SOCKETS,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._ca_pem = ca_pem or _system_bundle()
        self._origins: dict[tuple[str, str], Origin] = {}
        self._opened: list[PooledConnection] = []
        self._http1_pool: PooledConnection | None = None
        self._max_response_bytes = max_response_bytes
        self._max_sockets = max_sockets
        self._sockets = asyncio.Semaphore(max_sockets)

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole response."""
        origin = self._origin(request.url)
        if origin.protocol is not OriginProtocol.HTTP1:
            try:
                with self._http2(origin) as connection:
                    response = await read_whole(
                        connection.transport, request, self._max_response_bytes
                    )
            except (ConnectFailed, ConnectionLost) as error:
                if not await self._may_use_http1(origin, request, error):
                    raise
            else:
                origin.protocol = OriginProtocol.HTTP2
                return response
        async with self._sockets:
            return await read_whole(self._http1().transport, request, self._max_response_bytes)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The response as it arrives."""
        origin = self._origin(request.url)
        if origin.protocol is not OriginProtocol.HTTP1:
            with self._http2(origin) as connection:
                try:
                    response = await open_response(connection.transport, request)
                except (ConnectFailed, ConnectionLost) as error:
                    if not await self._may_use_http1(origin, request, error):
                        raise
                else:
                    origin.protocol = OriginProtocol.HTTP2
                    async with streamed(response) as incoming:
                        yield incoming
                    return
        async with self._sockets:
            response = await open_response(self._http1().transport, request)
            async with streamed(response) as incoming:
                yield incoming

    async def _may_use_http1(self, origin: Origin, request: Outgoing, error: EngineError) -> bool:
        """Whether a call that failed over HTTP/2 may be sent over HTTP/1.1: it was not read."""
        async with origin.asking:
            if origin.protocol is OriginProtocol.UNKNOWN:
                origin.protocol = await self._ask(request, error)
        if isinstance(error, HTTP1Required):
            origin.protocol = OriginProtocol.HTTP1
        if origin.protocol is OriginProtocol.UNKNOWN:
            return isinstance(error, ConnectFailed)
        return origin.protocol is OriginProtocol.HTTP1

    async def _ask(self, request: Outgoing, error: EngineError) -> OriginProtocol:
        """Ask the server which version it speaks, unless the error says so."""
        if isinstance(error, StreamReset):
            return OriginProtocol.HTTP2
        from .alpn import speaks_http2

        answer = await speaks_http2(request.url, self._ca_pem, self._connect_timeout)
        if answer is None:
            return OriginProtocol.UNKNOWN
        return OriginProtocol.HTTP2 if answer else OriginProtocol.HTTP1

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in self._opened:
            await connection.transport.aclose()
        self._opened.clear()
        self._origins.clear()
        self._http1_pool = None

    def _origin(self, url: str) -> Origin:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise to_engine_error(error) from None
        key = (parts.scheme, parts.netloc)
        if (origin := self._origins.get(key)) is None:
            secure = parts.scheme == "https"
            origin = Origin(OriginProtocol.UNKNOWN if secure else OriginProtocol.HTTP1)
            self._origins[key] = origin
        return origin

    def _http2(self, origin: Origin) -> PooledConnection:
        """The first connection with a free stream; if none has one, a new or the least busy one."""
        for connection in origin.connections:
            if connection.in_flight < STREAMS_PER_CONNECTION:
                return connection
        if len(origin.connections) == MAX_CONNECTIONS:
            return min(origin.connections, key=_load)
        connection = self._open_connection(pyqwest.HTTPVersion.HTTP2)
        origin.connections.append(connection)
        return connection

    def _http1(self) -> PooledConnection:
        if self._http1_pool is None:
            self._http1_pool = self._open_connection(pyqwest.HTTPVersion.HTTP1)
        return self._http1_pool

    def _open_connection(self, version: pyqwest.HTTPVersion) -> PooledConnection:
        transport = pyqwest.HTTPTransport(
            tls_ca_cert=self._ca_pem,
            tls_include_system_certs=self._ca_pem is None,
            http_version=version,
            connect_timeout=self._connect_timeout,
            pool_idle_timeout=90.0,
            pool_max_idle_per_host=IDLE_SOCKETS,
            max_connections_per_address=self._max_sockets,
            tcp_keepalive_interval=30.0,
            use_system_dns=True,
            enable_cookie_store=False,
            follow_redirects=False,
            enable_otel=False,
        )
        connection = PooledConnection(transport)
        self._opened.append(connection)
        return connection


def _system_bundle() -> bytes | None:
    """
    The system's certificates if it has them in one file (most Linuxes, Lambda), else `None`.

    Reading this file takes 2 ms for each connection; without it, each connection reads a folder of
    some hundred files, which takes 10 ms. With `None` (macOS, Windows) the engine uses the system's
    certificate store.
    """
    paths = ssl.get_default_verify_paths()
    return Path(paths.cafile).read_bytes() if paths.cafile else None


def _load(connection: PooledConnection) -> int:
    return connection.in_flight
