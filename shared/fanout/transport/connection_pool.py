"""
The engine: pyqwest (Rust: hyper, rustls) over a few HTTP/2 connections an origin.

An origin's calls share *lanes*. A lane is one HTTP/2 connection that carries up to 100 calls, the
number of streams that servers commonly allow, so 1,000 calls need ten connections and not 1,000.
Whether an origin speaks HTTP/2 is learned by asking for it: the first call that fails before any
answer is sent again over HTTP/1.1, which is safe because such a server cannot have read it.
Decision 0001 has the measurements.
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
    MAX_ANSWER,
    ConnectFailed,
    ConnectionLost,
    Incoming,
    Outgoing,
    TooLong,
)
from .response_reading import ENOUGH, WholeReads, arriving, begin, execute, read, translated

STREAMS_PER_LANE = 100
MAX_LANES = 10
MAX_SOCKETS = 800
"""Calls in flight over HTTP/1.1, a socket each: a Lambda has 1,024 file descriptors in all."""

IDLE_SOCKETS = 400
"""Those to one address that are kept for the next calls."""

SETTLE = 0.02
"""Seconds that the engine's threads get at the process's end to say what they are saying."""


@atexit.register
def _settle() -> None:
    """
    Before CPython 3.14 a thread of Rust's that needs the interpreter while it shuts down takes the
    process with it (SIGABRT): one still reporting a call that ended the moment before.

    https://github.com/curioswitch/pyqwest/issues/164 and https://github.com/PyO3/pyo3/issues/6084.
    """
    time.sleep(SETTLE)


class Speaks(Enum):
    """What is known of an origin's protocol."""

    UNKNOWN = 0
    HTTP2 = 1
    HTTP1 = 2


class PooledConnection(Struct):
    """
    One client of the Rust engine: over HTTP/2 one connection, over HTTP/1.1 its own pool.

    A call is in flight for a `with` block.
    """

    transport: pyqwest.HTTPTransport
    client: pyqwest.Client
    in_flight: int = 0

    def __enter__(self) -> Self:
        self.in_flight += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1


class Origin(Struct):
    """One scheme, host and port, and the lanes to it."""

    speaks: Speaks
    trust: WholeReads
    lanes: list[PooledConnection] = field(default_factory=list)


class PyqwestEngine:
    """
    Performs requests over shared connections; trusts the system's certificates, or `ca_pem`'s.

    Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`), as curl does. `max_answer`
    is how many bytes of a whole reply are held, `max_sockets` how many HTTP/1.1 calls there may be.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        ca_pem: bytes | None = None,
        max_answer: int = MAX_ANSWER,
        max_sockets: int = MAX_SOCKETS,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._ca_pem = ca_pem or _system_bundle()
        self._origins: dict[tuple[str, str], Origin] = {}
        self._opened: list[PooledConnection] = []
        self._plain: PooledConnection | None = None
        self._max_answer = max_answer
        self._max_sockets = max_sockets
        self._sockets = asyncio.Semaphore(max_sockets)

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole reply."""
        origin = self._origin(request.url)
        if origin.speaks is not Speaks.HTTP1:
            try:
                with self._lane(origin) as lane:
                    reply = await self._whole(origin, lane, request)
            except (ConnectFailed, ConnectionLost):
                if origin.speaks is Speaks.HTTP2:
                    raise
                origin.trust.lose()
            else:
                origin.speaks = Speaks.HTTP2
                return reply
        async with self._sockets:
            reply = await self._whole(origin, self._http1(), request)
        origin.speaks = Speaks.HTTP1
        return reply

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The reply as it arrives."""
        origin = self._origin(request.url)
        if origin.speaks is not Speaks.HTTP1:
            with self._lane(origin) as lane:
                try:
                    response = await begin(lane.transport, request)
                except (ConnectFailed, ConnectionLost):
                    if origin.speaks is Speaks.HTTP2:
                        raise
                    origin.trust.lose()
                else:
                    origin.speaks = Speaks.HTTP2
                    async with arriving(response) as reply:
                        yield reply
                    return
        async with self._sockets:
            response = await begin(self._http1().transport, request)
            origin.speaks = Speaks.HTTP1
            async with arriving(response) as reply:
                yield reply

    async def aclose(self) -> None:
        """Close every connection."""
        for lane in self._opened:
            await lane.transport.aclose()
        self._opened.clear()
        self._origins.clear()
        self._plain = None

    def _origin(self, url: str) -> Origin:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise translated(error) from None
        key = (parts.scheme, parts.netloc)
        if (origin := self._origins.get(key)) is None:
            secure = parts.scheme == "https"
            # Who may speak HTTP/2 is a vendor, whose first thousand calls come at once.
            trust = WholeReads(ENOUGH if secure else 0)
            origin = Origin(Speaks.UNKNOWN if secure else Speaks.HTTP1, trust)
            self._origins[key] = origin
        return origin

    def _lane(self, origin: Origin) -> PooledConnection:
        """The first lane with room; a new one where all are full; else the emptiest."""
        for lane in origin.lanes:
            if lane.in_flight < STREAMS_PER_LANE:
                return lane
        if len(origin.lanes) == MAX_LANES:
            return min(origin.lanes, key=_load)
        lane = self._open_lane(pyqwest.HTTPVersion.HTTP2)
        origin.lanes.append(lane)
        return lane

    def _http1(self) -> PooledConnection:
        if self._plain is None:
            self._plain = self._open_lane(pyqwest.HTTPVersion.HTTP1)
        return self._plain

    async def _whole(
        self, origin: Origin, lane: PooledConnection, request: Outgoing
    ) -> WireResponse:
        """The whole reply, in one go where the origin's have been small."""
        try:
            if origin.trust.is_earned:
                reply = await execute(lane.client, request, self._max_answer)
            else:
                reply = await read(lane.transport, request, self._max_answer)
        except TooLong:
            origin.trust.lose()
            raise
        origin.trust.note(len(reply.body))
        return reply

    def _open_lane(self, version: pyqwest.HTTPVersion) -> PooledConnection:
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
        lane = PooledConnection(transport, pyqwest.Client(transport))
        self._opened.append(lane)
        return lane


def _system_bundle() -> bytes | None:
    """
    The system's certificates as one file, where it keeps them so (most Linuxes, Lambda).

    Handed to every lane it costs 2 ms each; left to find its own, each lane walks a folder of some
    hundred files, 10 ms. `None` (macOS, Windows) lets the engine ask the system's store.
    """
    paths = ssl.get_default_verify_paths()
    return Path(paths.cafile).read_bytes() if paths.cafile else None


def _load(lane: PooledConnection) -> int:
    return lane.in_flight
