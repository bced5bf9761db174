"""
The interface of an HTTP engine: its request, its address, its response and its errors.

`connection_pool.py` implements it with pyqwest, `client_engine.py` with a client of httpx.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Protocol, TypeAlias

from msgspec import Struct

from ..concurrency import EarlyEnd
from ..secret import HiddenRepr
from ..wire.http import WireResponse
from ..wire.json_size import Weight


class Outgoing(HiddenRepr, frozen=True):
    """
    A request to send, with its key: never logged, never printed.

    `watch` is called after each part of a plain response, with its status, headers and body so far:
    it may end the block in which the response is read, because nothing of it is missing. With
    `by_bytes`, the size limit of the response is of its bytes alone: its values are not decoded.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    watch: WatchEnd | None = None
    by_bytes: bool = False

    def __repr__(self) -> str:
        return f"Outgoing({self.method!r}, …)"


WatchEnd: TypeAlias = "Callable[[EarlyEnd, int, Mapping[str, str], Bounded], None]"


class Incoming(Protocol):
    """A response whose body is still arriving; header names are lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> AsyncIterator[bytes]: ...


class StreamedResponse(Struct, frozen=True):
    """An `Incoming` response as a value."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class Engine(Protocol):
    """
    Sends requests. Cancelling a call closes its stream at once. A request that the server may have
    received is never sent again; redirects are not followed; the engine stores no cookies.
    """

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole response. Raises an `EngineError`; `TooLong` if it is over the size limit."""
        ...

    def stream(self, request: Outgoing) -> AbstractAsyncContextManager[Incoming]:
        """The response as it arrives; leaving the block closes it. Raises an `EngineError`."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class EngineError(Exception):
    """
    A request got no whole HTTP response; the message contains neither the address nor the body.

    `received` is what has arrived of a plain response whose connection broke. HTTP does not show
    whether its body is whole, but the body itself may: see `premature_close.py`. If `is_damaged`,
    the body is not compressed as its headers say, so none of its bytes is certain.
    """

    received: WireResponse | None = None
    is_damaged = False
    in_success = False
    """Whether a part of a success had arrived."""


class ConnectFailed(EngineError):
    """
    No connection: the name does not resolve, the port is closed, the certificate is invalid.

    `reason` is for the user; it is empty if it is unknown. So is `server`: which one it is, if it
    is not the provider's.
    """

    def __init__(
        self, message: str = "no connection", reason: str = "", *, server: str = ""
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.server = server


CERTIFICATE = "certificate"
NO_CERTIFICATE = "it requires a client certificate: use `http_client`"
REJECTED = "it rejects the client certificate, or requires one"
NO_NAME = "its host name cannot be resolved"
REFUSED = "the connection was refused"

REASONS = {
    "certificate_required": NO_CERTIFICATE,
    "certificaterequired": NO_CERTIFICATE,
    "alert_bad_certificate": REJECTED,
    "alert_certificate": REJECTED,
    "not valid for": "its TLS certificate is for another name",
    "expired": "its TLS certificate has expired",
    CERTIFICATE: "its TLS certificate is not trusted; `SSL_CERT_FILE` may name the authority's",
    "dns error": NO_NAME,
    "name or service not known": NO_NAME,
    "nodename nor servname": NO_NAME,
    "name resolution": NO_NAME,
    "refused": REFUSED,
    "errno 111": REFUSED,
}
"""
What the texts of rustls, OpenSSL, hyper and the operating system contain, and what that means.

The first that fits counts.
"""


def connect_failed(text: str) -> ConnectFailed:
    """The error for a library's text. The text is not shown: it may have the address."""
    known = text.lower()
    found = next((reason for part, reason in REASONS.items() if part in known), "")
    return ConnectFailed(reason=found)


class ConnectionLost(EngineError):
    """The connection broke, or the server did not speak HTTP. `hint` is for the user."""

    hint = ""


class HTTP1Required(ConnectFailed):
    """The server has not processed the request, and requires HTTP/1.1 for it."""


def damaged() -> ConnectionLost:
    """The error of a body that cannot be unpacked."""
    error = ConnectionLost("the response is not compressed as its headers say")
    error.is_damaged = True
    return error


class StreamReset(ConnectionLost):
    """The server reset or refused an HTTP/2 stream, so it speaks HTTP/2."""


class InvalidHTTP2(ConnectionLost):
    """The server's HTTP/2 is not valid, so its response is lost; it was not the server's reset."""


class SlowConnect(EngineError):
    """No connection in time."""


class ProxyRefused(EngineError):
    """The proxy did not connect; the message is its status, such as `HTTP 407`, if it sent one."""


class SlowResponse(EngineError):
    """No response, or no more data, within the HTTP client's own read timeout."""


class TooLong(EngineError):
    """The response is over the size limit."""


SUCCESS = range(200, 300)
"""HTTP statuses of a response. Some proxies send a 201."""

MAX_RESPONSE_BYTES = 32_000_000
"""The default size limit of one response, in bytes."""

OVER_SIZE_LIMIT = "the response is over the size limit (`max_response_size_mb`)"
"""The message of a response that is larger."""

IDLE_TIMEOUT = 90.0
"""Seconds after which an unused connection is closed."""


class Bounded:
    """
    Collects the parts of a body; raises `TooLong` above `limit` bytes, by its weight as JSON.

    With `by_bytes`, only the bytes count.
    """

    def __init__(self, limit: int, *, by_bytes: bool = False) -> None:
        self._limit = limit
        self._weight = Weight(limit, by_bytes=by_bytes)
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        """Add the next part."""
        self._parts.append(part)
        if self._weight.add(part):
            self._parts.clear()  # the error's traceback keeps this object until it is collected
            raise TooLong(f"more than {self._limit} bytes")

    @property
    def size(self) -> int:
        """The number of bytes so far."""
        return self._weight.bytes

    @property
    def latest(self) -> bytes:
        """The last part."""
        return self._parts[-1]

    def whole(self) -> bytes:
        """All bytes so far."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def is_broken_end(error: Exception) -> bool:
    """Whether a connection broke, or went silent, so that what has arrived may be whole."""
    if isinstance(error, EngineError):
        return isinstance(error, ConnectionLost | SlowResponse) and not error.is_damaged
    return isinstance(error, TimeoutError)


def with_received(
    error: EngineError, status: int, headers: Mapping[str, str], body: Bounded
) -> EngineError:
    """
    The error of a plain response's connection, with what has arrived of the response.

    If the body is damaged, only an error response is certain: its status and its headers are.
    """
    error.in_success = status in SUCCESS
    is_damaged_error = error.is_damaged and not error.in_success
    if is_damaged_error or (body.size and is_broken_end(error)):
        error.received = WireResponse(status, headers, body.whole())
    return error


@lru_cache(maxsize=1024)
def join(base: str, path: str) -> str:
    """
    Join a base URL and a path; a part in both (`…/v1` and `/v1/messages`) is not repeated.

    LiteLLM's users, and the vendors' documentation, write `api_base` with and without that part.
    """
    parts = path.split("/")
    below = base.partition("://")[2].partition("/")[2]  # without the host
    for end in range(len(parts) - 1, 1, -1):
        start = "/".join(parts[:end])
        if f"/{below}".endswith(start):
            return base + path.removeprefix(start)
    return base + path
