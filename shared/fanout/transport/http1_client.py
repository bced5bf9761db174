"""
An HTTP/1.1 client for servers without TLS, such as vLLM, Ollama and the local model.

Each call has a connection to itself, which is kept for the next one. `connection_pool.py` says
which calls come here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from math import inf

from msgspec import Struct

from ..concurrency import Deadline, EarlyEnd
from ..wire.http import WireResponse
from .engine import (
    Bounded,
    ConnectFailed,
    EngineError,
    Incoming,
    Outgoing,
    SlowConnect,
    StreamedResponse,
    connect_failed,
    with_received,
)
from .http1_connection import Connection

OWN_HEADERS = frozenset({"connection", "content-length", "transfer-encoding"})
"""Headers that only the client sets: a second one could be read as another request."""

PORT, LAST_PORT = 80, 65_535

SETTLE_TIME = 0.005
"""
Seconds that a new connection is idle before its second request.

A server that closes each connection after its response, without `Connection: close`, does so by
then. A request that is sent to it may not be sent again, since the server may have read it.
"""

USABLE = 0.9
"""
The part of a server's idle time in which a connection is used again.

A call that meets the server's own close is lost: it may not be sent again, since the server may
have read it. Servers close within some milliseconds of their time.
"""

OUTLIVED = 2
"""How many times the learned idle time an open connection shows that it is wrong: some are late."""

MAX_LEARNED = 256
"""Addresses whose idle time is remembered."""

_TIMEOUT = re.compile(r"(?:^|[,;\s])timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_URL = re.compile(
    r"http://(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<target>/[\w.~!$&'()*+,;=:@%/?-]*)",
    re.ASCII,
)
_HEAD = re.compile(r"(?:[!#$%&'*+.^`|~\w-]+: [\t -~]*\r\n)*", re.ASCII)


class Address(Struct, frozen=True):
    """Where a URL leads: to a host and port, with a `Host` header and a request target."""

    host: str
    port: int
    host_header: str
    target: str


@lru_cache(maxsize=256)
def address_of(url: str) -> Address | None:
    """The parts of a URL; `None` for one that needs more than this client has, or is invalid."""
    found = _URL.fullmatch(url)
    if found is None or "/." in found["target"]:
        return None
    host, port = found["host"].lower(), int(found["port"] or PORT)
    if port > LAST_PORT:
        return None
    return Address(
        host.strip("[]"), port, host if port == PORT else f"{host}:{port}", found["target"]
    )


def head_of(request: Outgoing, address: Address) -> bytes:
    """The request's head; raises `ConnectFailed` for a header that HTTP cannot carry."""
    lines = [f"host: {address.host_header}\r\n"]
    for name, value in request.headers.items():
        if (lower := name.lower()) == "host":
            lines[0] = f"host: {value}\r\n"
        elif lower not in OWN_HEADERS:
            lines.append(f"{name}: {value}\r\n")
    if request.body or request.method == "POST":
        lines.append(f"content-length: {len(request.body)}\r\n")
    head = "".join(lines)
    if not _HEAD.fullmatch(head) or head.count("\n") != len(lines):
        raise ConnectFailed("the address or a header is not valid in HTTP")
    return f"{request.method} {address.target} HTTP/1.1\r\n{head}\r\n".encode("ascii")


class HTTP1Client:
    """
    Sends requests over connections that are kept for the next ones.

    At most `max_idle` connections to an address are kept, each for `idle_timeout` seconds; each is
    idle for `settle_time` seconds before its second request. If a server tells its own idle time
    (`Keep-Alive: timeout=5`), or has closed a connection after some time, the others are used only
    for `USABLE` of it.
    """

    def __init__(
        self,
        connect_timeout: float,
        max_idle: int,
        idle_timeout: float,
        settle_time: float = SETTLE_TIME,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._max_idle = max_idle
        self._idle_timeout = idle_timeout
        self._settle_time = settle_time
        self._idle: dict[tuple[str, int], list[Connection]] = {}
        self._closed_after: dict[tuple[str, int], float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shutdown: AsyncGenerator[None, None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    async def send(self, request: Outgoing, address: Address, limit: int) -> WireResponse:
        """The whole response; raises `TooLong` as soon as it is over `limit` bytes."""
        body = Bounded(limit, by_bytes=request.by_bytes)
        connection = await self._send(request, address, body)
        try:
            with EarlyEnd() as early:
                await connection.wait_for_part()
                if not connection.is_complete:
                    if request.watch is not None:
                        request.watch(early, connection.status, connection.headers, body)
                    await connection.wait_for_end()
        except EngineError as error:
            connection.close()
            with_received(error, connection.status, connection.headers, body)
            raise
        except BaseException:
            connection.close()
            raise
        status, headers = connection.status, connection.headers
        self._release(connection, address)
        return WireResponse(status, headers, body.whole(), early.has_ended)

    @asynccontextmanager
    async def stream(self, request: Outgoing, address: Address) -> AsyncIterator[Incoming]:
        """The response as it arrives; leaving the block before its end closes the connection."""
        connection = await self._send(request, address, None)
        try:
            await connection.wait_for_head()
            yield StreamedResponse(connection.status, connection.headers, connection.parts())
        except BaseException:
            connection.close()
            raise
        self._release(connection, address)

    async def aclose(self) -> None:
        """Close the connections that are not in use."""
        if self._shutdown is not None:
            await self._shutdown.aclose()

    async def _send(self, request: Outgoing, address: Address, body: Bounded | None) -> Connection:
        """Write the request to a connection that is kept, or to a new one."""
        head = head_of(request, address)
        while (connection := self._kept(address)) is not None:
            if connection.was_reused or await self._settles(connection):
                break
        else:
            connection = await self._connect(address)
        connection.send(head, request.body, body)
        return connection

    def _kept(self, address: Address) -> Connection | None:
        """The connection that was used last, and that its server has not closed since."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._idle, self._loop, self._shutdown = {}, loop, None  # the other loop is over
        place = address.host, address.port
        kept = self._idle.get(place)
        while kept:
            connection = kept.pop()
            idle = loop.time() - connection.idle_since
            is_open = connection.is_open and not connection.has_input()
            if is_open and idle < min(self._idle_timeout, self._usable(place, connection, idle)):
                return connection
            connection.close()
        return None

    def _usable(self, place: tuple[str, int], connection: Connection, idle: float) -> float:
        """For how many idle seconds an open connection is used, by what is known of its server."""
        if idle > OUTLIVED * self._closed_after.get(place, inf):
            del self._closed_after[place]  # it closed that one for another reason
        stated = _TIMEOUT.search(connection.headers.get("keep-alive", ""))
        limit = float(stated[1]) if stated else inf
        return USABLE * min(limit, self._closed_after.get(place, inf))

    def _note_idle_end(self, place: tuple[str, int], idle: float) -> None:
        """Learn from a connection that its server has closed, but not right after a response."""
        if idle > self._settle_time:
            if len(self._closed_after) >= MAX_LEARNED:
                self._closed_after.clear()
            self._closed_after[place] = min(idle, self._closed_after.get(place, inf))

    async def _settles(self, connection: Connection) -> bool:
        """Whether the server keeps the connection open after its first response."""
        rest = connection.idle_since + self._settle_time - asyncio.get_running_loop().time()
        try:
            connection.was_reused = rest <= 0 or await connection.stays_quiet(rest)
        finally:
            if not connection.was_reused:
                connection.close()
        return connection.was_reused

    async def _connect(self, address: Address) -> Connection:
        loop = asyncio.get_running_loop()
        if self._shutdown is None:
            self._shutdown = self._close_at_shutdown()
            await anext(self._shutdown)
        try:
            with Deadline(loop.time() + self._connect_timeout):
                _, made = await loop.create_connection(Connection, address.host, address.port)
        except TimeoutError:
            raise SlowConnect("no connection in time") from None
        except (OSError, UnicodeError) as error:
            raise connect_failed(f"{type(error).__name__} {error}") from None
        return made

    def _release(self, connection: Connection, address: Address) -> None:
        """Keep the connection for the next call, if it may be used again."""
        if not connection.is_reusable or self._loop is None:
            connection.close()
            return
        place = address.host, address.port
        connection.set_idle(self._loop.time(), partial(self._note_idle_end, place))
        kept = self._idle.setdefault(place, [])
        if len(kept) >= self._max_idle:
            kept.pop(0).close()
        kept.append(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._idle_timeout, self._sweep)

    def _sweep(self) -> None:
        """Close the connections that have not been used for too long."""
        self._sweeping = None
        if self._loop is None:
            return
        oldest = self._loop.time() - self._idle_timeout
        for place, kept in list(self._idle.items()):
            for connection in kept:
                if connection.idle_since <= oldest:
                    connection.close()
            self._idle[place] = [one for one in kept if one.is_open]
            if not self._idle[place]:
                del self._idle[place]
        if self._idle:
            self._sweeping = self._loop.call_later(self._idle_timeout, self._sweep)

    async def _close_at_shutdown(self) -> AsyncGenerator[None, None]:
        """
        Close the connections when this generator is closed: by `aclose`, or by `asyncio.run`.

        `asyncio.run` closes the asynchronous generators of its loop at its end, and nothing closes
        the engine of the Python functions there.
        """
        try:
            yield
        finally:
            self._shutdown = None
            if self._sweeping is not None:
                self._sweeping.cancel()
                self._sweeping = None
            for kept in self._idle.values():
                for connection in kept:
                    connection.close()
            self._idle.clear()
