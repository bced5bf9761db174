"""
The engine that Fanout uses: which client sends a call, and over which connection.

All calls to an origin with TLS share a few HTTP/2 connections of pyqwest (Rust: hyper, rustls).
Each carries up to 100 calls, the number of streams that servers commonly allow, so 1,000 calls need
ten connections and not 1,000. Decision 0001 has the measurements.

The engine tries HTTP/2 first. If an origin's first call fails before a response, the engine asks
the server which version it speaks (`alpn.py`). Only if that is not HTTP/2 is the call sent again,
over HTTP/1.1: such a server cannot have read it.

Servers without TLS speak HTTP/1.1. They are called by `http1_client.py`, or by pyqwest if there may
be a proxy.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct, field

from ..settings import has_http_proxy
from ..wire.http import WireResponse
from .engine import (
    IDLE_TIMEOUT,
    MAX_RESPONSE_BYTES,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    HTTP1Required,
    Incoming,
    InvalidHTTP2,
    Outgoing,
    StreamReset,
)

if TYPE_CHECKING:
    from .http1_client import Address, HTTP1Client
    from .pyqwest_connection import PooledConnection

STREAMS_PER_CONNECTION = 100
MAX_CONNECTIONS = 100
"""HTTP/2 connections to one origin."""

LOOPBACK = re.compile(r"(.+\.)?localhost|127(\.\d{1,3}){3}|::1")
"""Hosts that are this machine."""

NO_ADDRESS = "the address or a header is not valid in HTTP"


class OriginProtocol(Enum):
    """The HTTP version that an origin speaks, as far as it is known."""

    UNKNOWN = 0
    HTTP2 = 1
    HTTP1 = 2


class Origin(Struct):
    """
    One scheme, host and port, and the HTTP/2 connections to it.

    `is_local` is whether it is this machine, `is_direct` whether it is called without TLS or proxy.
    """

    protocol: OriginProtocol
    is_local: bool
    is_direct: bool
    connections: list[PooledConnection] = field(default_factory=list)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class PyqwestEngine:
    """
    Sends requests over shared connections; trusts the system's certificates, or those in `ca_pem`.

    Like curl, it reads proxies from the environment (`HTTPS_PROXY`, `NO_PROXY`), but never uses one
    for a server on this machine. `max_response_bytes` is the size limit of a whole response,
    `max_sockets` the most HTTP/1.1 calls in flight, by default what the process's limit for open
    files allows (`socket_limit.py`); `idle_timeout` the seconds after which an unused connection is
    closed.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        ca_pem: bytes | None = None,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        max_sockets: int | None = None,
        idle_timeout: float = IDLE_TIMEOUT,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._ca_pem = ca_pem or _system_bundle()
        self._origins: dict[tuple[str, str], Origin] = {}
        self._opened: list[PooledConnection] = []
        self._http1_pools: dict[bool, PooledConnection] = {}
        self._plain: HTTP1Client | None = None
        self._max_response_bytes = max_response_bytes
        self._idle_timeout = idle_timeout
        self._sockets, self._max_sockets = _sockets(max_sockets)

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole response."""
        origin = self._origin(request.url)
        if origin.protocol is not OriginProtocol.HTTP1:
            try:
                connection = self._http2(origin)
                response = await connection.send(request, self._max_response_bytes)
            except (ConnectFailed, ConnectionLost) as error:
                if isinstance(error, InvalidHTTP2):
                    await self._avoid_http2(origin, request)
                    raise
                if error.received or not await self._may_use_http1(origin, request, error):
                    raise
            else:
                origin.protocol = OriginProtocol.HTTP2
                return response
        async with self._sockets:
            if (address := self._direct_address(request.url, origin)) is not None:
                client = self._http1_client()
                return await client.send(request, address, self._max_response_bytes)
            return await self._http1(origin).send(request, self._max_response_bytes)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The response as it arrives."""
        origin = self._origin(request.url)
        if origin.protocol is not OriginProtocol.HTTP1:
            with self._http2(origin) as connection:
                try:
                    response = await connection.open(request)
                except (ConnectFailed, ConnectionLost) as error:
                    if not await self._may_use_http1(origin, request, error):
                        raise
                else:
                    origin.protocol = OriginProtocol.HTTP2
                    async with connection.stream(response) as incoming:
                        yield incoming
                    return
        async with self._sockets:
            if (address := self._direct_address(request.url, origin)) is not None:
                async with self._http1_client().stream(request, address) as incoming:
                    yield incoming
                return
            pool = self._http1(origin)
            async with pool.stream(await pool.open(request)) as incoming:
                yield incoming

    async def _may_use_http1(self, origin: Origin, request: Outgoing, error: EngineError) -> bool:
        """Whether a call that failed over HTTP/2 may be sent over HTTP/1.1: it was not read."""
        async with origin.asking:
            if origin.protocol is OriginProtocol.UNKNOWN:
                origin.protocol = await self._ask(origin, request, error)
        if isinstance(error, HTTP1Required):
            origin.protocol = OriginProtocol.HTTP1
        if origin.protocol is OriginProtocol.UNKNOWN:
            return isinstance(error, ConnectFailed)
        return origin.protocol is OriginProtocol.HTTP1

    async def _ask(self, origin: Origin, request: Outgoing, error: EngineError) -> OriginProtocol:
        """Ask the server which version it speaks, unless the error says so."""
        if isinstance(error, StreamReset):
            return OriginProtocol.HTTP2
        from .alpn import speaks_http2

        is_http2 = await speaks_http2(
            request.url, self._ca_pem, self._connect_timeout, may_use_proxy=not origin.is_local
        )
        if is_http2 is None:
            return OriginProtocol.UNKNOWN
        return OriginProtocol.HTTP2 if is_http2 else OriginProtocol.HTTP1

    async def _avoid_http2(self, origin: Origin, request: Outgoing) -> None:
        """
        Use HTTP/1.1 for the next calls to a server whose HTTP/2 loses responses, if it speaks it.

        Some responses have a `content-length` that is too large: HTTP/2 ends them as an error, and
        HTTP/1.1 shows what has arrived of them.
        """
        from .alpn import speaks_http1

        if await speaks_http1(
            request.url, self._ca_pem, self._connect_timeout, may_use_proxy=not origin.is_local
        ):
            origin.protocol = OriginProtocol.HTTP1

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in self._opened:
            await connection.transport.aclose()
        if self._plain is not None:
            await self._plain.aclose()
        self._opened.clear()
        self._origins.clear()
        self._http1_pools.clear()

    def _origin(self, url: str) -> Origin:
        scheme, netloc, host = _parts(url)
        if (origin := self._origins.get((scheme, netloc))) is None:
            secure = scheme == "https"
            protocol = OriginProtocol.UNKNOWN if secure else OriginProtocol.HTTP1
            is_local = LOOPBACK.fullmatch(host) is not None
            is_direct = not secure and (is_local or not _may_have_proxy())
            origin = self._origins[scheme, netloc] = Origin(protocol, is_local, is_direct)
        return origin

    @staticmethod
    def _direct_address(url: str, origin: Origin) -> Address | None:
        """Where `http1_client.py` sends the call; `None` if pyqwest does: a proxy, an odd URL."""
        if not origin.is_direct:
            return None
        from .http1_client import address_of

        return address_of(url)

    def _http1_client(self) -> HTTP1Client:
        if self._plain is None:
            from .http1_client import HTTP1Client

            self._plain = HTTP1Client(
                self._connect_timeout, max(1, self._max_sockets // 2), self._idle_timeout
            )
        return self._plain

    def _http2(self, origin: Origin) -> PooledConnection:
        """The first connection with a free stream; if none has one, a new or the least busy one."""
        for connection in origin.connections:
            if connection.in_flight < STREAMS_PER_CONNECTION:
                return connection
        if len(origin.connections) == MAX_CONNECTIONS:
            return min(origin.connections, key=attrgetter("in_flight"))
        connection = self._open_connection(http2=True, origin=origin)
        origin.connections.append(connection)
        return connection

    def _http1(self, origin: Origin) -> PooledConnection:
        if (pool := self._http1_pools.get(origin.is_local)) is None:
            pool = self._open_connection(http2=False, origin=origin)
            self._http1_pools[origin.is_local] = pool
        return pool

    def _open_connection(self, *, http2: bool, origin: Origin) -> PooledConnection:
        from .pyqwest_connection import open_connection  # the first call loads pyqwest

        connection = open_connection(
            http2=http2,
            is_local=origin.is_local,
            ca_pem=self._ca_pem,
            connect_timeout=self._connect_timeout,
            idle_timeout=self._idle_timeout,
            max_sockets=self._max_sockets,
        )
        self._opened.append(connection)
        return connection


@lru_cache(maxsize=256)
def _parts(url: str) -> tuple[str, str, str]:
    """The scheme of an address, its host and port, and its host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConnectFailed(NO_ADDRESS) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConnectFailed(NO_ADDRESS)
    return parts.scheme, parts.netloc, parts.hostname


def _may_have_proxy() -> bool:
    """Whether a server without TLS may have a proxy, of the environment or of the system."""
    return sys.platform != "linux" or has_http_proxy()


def _sockets(most: int | None) -> tuple[asyncio.Semaphore, int]:
    """The slots of HTTP/1.1 calls, and how many there may be."""
    if most is not None:
        return asyncio.Semaphore(most), most
    from .socket_limit import SocketSlots  # the gateway's limit is in its config

    slots = SocketSlots()
    return slots, slots.most


def _system_bundle() -> bytes | None:
    """
    The system's certificates if it has them in one file (most Linuxes, Lambda), else `None`.

    Reading this file takes 2 ms for each connection; without it, each connection reads a folder of
    some hundred files, which takes 10 ms. With `None` (macOS, Windows) the engine uses the system's
    certificate store.
    """
    paths = ssl.get_default_verify_paths()
    return Path(paths.cafile).read_bytes() if paths.cafile else None
