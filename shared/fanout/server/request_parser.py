"""
Reads the requests in a connection's bytes, and rejects what is too much or ambiguous.

The parser of HTTP is httptools (llhttp); here are the limits that it does not have, and the rules
of RFC 9110 and 9112 that it leaves to its caller. Does not depend on sockets or clocks.
"""

from __future__ import annotations

import re
from typing import Protocol

import httptools
from msgspec import Struct

from ..errors import FanoutError, HeadersTooLarge, MalformedRequest
from .limits import ConnectionLimits

HOST = re.compile(rb"[\w.\-~!$&'()*+;=:\[\]%]*")
"""The characters of a `Host` header (RFC 3986, 3.2.2); `_` is in some names."""

VERSIONS = ("1.1", "1.0")


class Head(Struct, frozen=True):
    """A request without its body; the names of its headers are in lower case."""

    method: str
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool
    expects_continue: bool
    size: int


class StopParsing(Exception):
    """The receiver wants nothing more of this connection."""


class RequestReceiver(Protocol):
    """Gets the parts of each request, in order. Each method may raise `StopParsing`."""

    def begin_request(self) -> None:
        """The first byte of a request has come."""
        ...

    def receive_head(self, head: Head) -> None: ...

    def receive_body(self, data: bytes) -> None: ...

    def end_request(self) -> None:
        """The request is complete."""
        ...


class RequestParser:
    """
    The requests of one connection. `is_idle` is whether the next byte begins a request.

    Trailers are counted and dropped: as headers they could replace checked ones (RFC 9110, 6.5.1).
    """

    def __init__(self, receiver: RequestReceiver, limits: ConnectionLimits) -> None:
        self._receiver = receiver
        self._limits = limits
        self._parser = _new_parser(self)
        self.is_idle = True
        self._in_head = False
        self._upgrading = False
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._overhead = 0  # bytes of this request that are not its body
        self._body_size = 0
        self._framing_per_byte = limits.framing_bytes_per_byte

    def feed(self, data: bytes) -> None:
        """
        Parse the bytes. Raises `StopParsing` for the receiver; a `FanoutError` with the response if
        they are not HTTP, or too much. After either, nothing more can be fed.
        """
        self._overhead += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, FanoutError | StopParsing):
                raise cause from None
            raise
        except httptools.HttpParserError as error:
            raise MalformedRequest(f"this is not a valid HTTP/1.1 request: {error}") from None
        self._check_size()

    def drop_body(self) -> None:
        """The rest of this body is not read: it may have no more framing than content."""
        self._framing_per_byte = 1

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            else:
                return
            head = self._head_without_upgrade()
            self._upgrading = False
            self._parser = _new_parser(self)
            self._parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        """
        The same request without `Upgrade`, which a server may ignore (RFC 9110, 7.8).

        httptools would skip the body, and its bytes would be parsed as the next request.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            raise MalformedRequest("CONNECT is not supported")
        lines = [b"%b %b HTTP/%b" % (method, self._target, self._version())]
        lines += [b"%b: %b" % pair for pair in self._headers if pair[0] not in _OF_UPGRADE]
        connection = b",".join(value for name, value in self._headers if name == b"connection")
        kept = [one for one in connection.split(b",") if one.strip().lower() not in _OF_UPGRADE]
        lines += [b"connection: " + b",".join(kept)] if kept else []
        return b"\r\n".join([*lines, b"", b""])

    def _version(self) -> bytes:
        return str(self._parser.get_http_version()).encode()

    def _check_size(self) -> None:
        limits = self._limits
        if self.is_idle or self._in_head:
            if self._overhead > limits.head_bytes:
                raise _too_many_bytes(limits)
            return
        allowed = limits.head_bytes + limits.framing_bytes
        if self._overhead > allowed + self._framing_per_byte * self._body_size:
            raise HeadersTooLarge(
                "the body has too many chunks, chunk extensions or trailers for its size"
            )

    # ---- what httptools calls ----

    def on_message_begin(self) -> None:
        if self._upgrading:
            return
        if self.is_idle:
            self._receiver.begin_request()
        self.is_idle, self._in_head = False, True
        self._target, self._headers = b"", []
        self._head_size = self._body_size = 0
        self._framing_per_byte = self._limits.framing_bytes_per_byte

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer
        self._headers.append((name.lower(), value))
        self._count(len(name) + len(value) + 4)
        if len(self._headers) > self._limits.head_fields:
            raise HeadersTooLarge(f"there are more than {self._limits.head_fields} headers")

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.head_bytes:
            raise _too_many_bytes(self._limits)

    def on_headers_complete(self) -> None:
        if self._parser.should_upgrade():
            self._upgrading = True  # feed_data is about to raise HttpParserUpgrade
            return
        self._in_head = False
        version = self._parser.get_http_version()
        expects_continue = _check(version, self._headers)
        head = Head(
            self._parser.get_method().decode("ascii"),
            self._target,
            version,
            self._headers,
            version != "1.0" and self._parser.should_keep_alive(),
            expects_continue,
            self._head_size,
        )
        self._receiver.receive_head(head)

    def on_body(self, body: bytes) -> None:
        self._overhead -= len(body)
        self._body_size += len(body)
        self._receiver.receive_body(body)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        self.is_idle = True
        self._overhead = 0
        self._receiver.end_request()


_OF_UPGRADE = frozenset({b"upgrade", b"http2-settings", b"connection"})


def _new_parser(callbacks: RequestParser) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(callbacks)
    # Bytes after a request that closes its connection are ignored, and do not spoil its response.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _check(version: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """Reject what two servers could read differently; whether the client expects a 100."""
    if version not in VERSIONS:
        raise MalformedRequest(f"HTTP/{version} is not supported; use HTTP/1.1")
    hosts, expects_continue = 0, False
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not HOST.fullmatch(value):
                raise MalformedRequest("the `Host` header is not a host")
        elif name == b"transfer-encoding":
            if version == "1.0" or value.lower() != b"chunked":
                raise MalformedRequest(
                    "the `Transfer-Encoding` must be `chunked`, and the version HTTP/1.1"
                )
        elif name == b"expect":
            expects_continue = version != "1.0" and value.lower() == b"100-continue"
    if hosts > 1 or (not hosts and version != "1.0"):
        raise MalformedRequest(f"a request needs one `Host` header; this one has {hosts}")
    return expects_continue


def _too_many_bytes(limits: ConnectionLimits) -> HeadersTooLarge:
    return HeadersTooLarge(f"the headers are over {limits.head_bytes} bytes")
