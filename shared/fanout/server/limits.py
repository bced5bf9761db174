"""
What one connection may take, whatever it sends.

`docs/threat-model.md` has the same limits as a table.
"""

from __future__ import annotations

from math import inf

from msgspec import Struct

KIBIBYTE = 1024

BACKLOG = 2_048
"""
Connections that the kernel holds for a listening socket until they are accepted.

Beyond it, a client's connect waits for its retries, after 1, 3, 7 and 15 s (RFC 6298). Linux holds
no more than `net.core.somaxconn`, which is 4,096 (since Linux 5.4).
"""


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """
    The limits of one connection, and the number of connections.

    The seconds for a head are nginx's `client_header_timeout` made shorter, the idle seconds its
    `keepalive_timeout`, those of lingering its `lingering_timeout` and `lingering_time`
    (https://nginx.org/en/docs/http/ngx_http_core_module.html, 28 November 2026). A minimum rate
    is how Apache's mod_reqtimeout limits slow bodies.
    """

    connections: int = 2_000
    """Open connections. Beyond it, the one that has been idle longest is closed."""

    head_bytes: int = 64 * KIBIBYTE
    """Request line and headers together."""

    head_fields: int = 256
    """Headers of one request."""

    head_seconds: float = 10.0
    """From the first byte of a request to the end of its headers; also to a first request."""

    framing_bytes: int = 64 * KIBIBYTE
    """Bytes of a body that are not content: chunk sizes, their extensions, and trailers."""

    framing_bytes_per_byte: int = 8
    """So much more framing is allowed for each byte of the body: some clients send small chunks."""

    body_buffer: int = 64 * KIBIBYTE
    """Bytes of a body that the app has not read, from which no more is read from the client."""

    large_read: int = 64 * KIBIBYTE
    """
    Bytes read at once, after which other connections are served before this one is read again.

    Otherwise libuv reads 32 times from a connection that has always more (`uv__read` in
    src/unix/stream.c, https://github.com/libuv/libuv, 29 November 2026): that are 8 MB.
    """

    body_idle_timeout: float = 30.0
    """Seconds without a byte after which an unfinished body is given up."""

    body_rate: float = 500.0
    """Bytes a second that a body must have on average, after those seconds."""

    pipelined: int = 16
    """Requests that wait for the response before theirs. With more, the connection is closed."""

    pipelined_bytes: int = 64 * KIBIBYTE
    """Bytes of their heads, from which no more may wait. Their bodies are within one read."""

    idle_seconds: float = 75.0
    """How long a connection may be idle between two requests."""

    unread_seconds: float = 60.0
    """How long a client may read nothing of a response before the connection is closed."""

    unread_rate: float = 1_000.0
    """Bytes a second at which a client must read what is left of a complete response."""

    linger_timeout: float = 5.0
    """
    Seconds of silence after which the rest of a request is awaited no longer, if the response is
    already sent. Many clients read no response before they have sent the whole request.
    """

    linger_seconds: float = 30.0
    """The same, in all."""

    linger_bytes: int = 1_000_000
    """Bytes that are still read, and dropped, of a request that could not be parsed."""

    grace_seconds: float = 5.0
    """How long requests in flight may still take when the server stops."""

    shutdown_seconds: float = 2.0
    """How long they then have for a last response."""

    sweep_seconds: float = 1.0
    """How often the clocks are looked at."""


class Linger:
    """
    Until when a connection is read after its last response, and how much may be dropped.

    A connection that is closed with unread bytes is reset, and the client may lose the response
    (RFC 9112, section 9.6).

    `until` is on the event loop's clock; `drops_left` counts bytes.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self.until = inf
        self.drops_left: float = 0

    def begin(self, now: float) -> float:
        """Start the clock; returns the first deadline."""
        self.until = now + self._limits.linger_seconds
        return self.deadline(now)

    def deadline(self, now: float) -> float:
        """When the connection ends if nothing more comes."""
        return min(now + self._limits.linger_timeout, self.until)

    def may_drop(self, size: int) -> bool:
        """Count bytes that have come; false if they are too many."""
        self.drops_left -= size
        return self.drops_left >= 0
