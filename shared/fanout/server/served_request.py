"""One request while the app serves it: ASGI's `scope`, `receive` and `send`."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools

from ..errors import MalformedRequest
from .request_parser import Head

if TYPE_CHECKING:
    from .connection import Connection

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
NO_BODY = frozenset({204, 304})

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


def status_line(status: int) -> bytes:
    """The first line of a response."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


class ServedRequest:
    """
    A request and the response to it.

    The head of the response is sent with the first part of its body, in one write. `is_received` is
    whether the whole request has come, `is_complete` whether the whole response has been written.
    """

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._head = head
        self.head_size = head.size
        self.scope = _scope(head, connection)
        self.body = bytearray()  # received, and not read by the app
        self.is_received = False
        self.is_disconnected = False
        self.is_head_written = False  # whether the client has got a status
        self.is_complete = False
        self.keep_alive = head.keep_alive
        self._expects_continue = head.expects_continue
        self._waiter: asyncio.Future[None] | None = None
        self._started: dict[str, Any] | None = None  # the response's start, not written yet
        self._is_chunked = False
        self._is_bodiless = False
        self._has_length = False
        self._left = 0  # bytes of the response's content-length that are not written
        self._status = 0
        self._is_end_read = False  # whether the app knows that the body is complete

    def wake(self) -> None:
        """Let `receive` look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def disconnect(self) -> None:
        """No client waits for the response any more."""
        self.is_disconnected = True
        self.wake()

    async def run(self) -> None:
        """Serve the request with the app."""
        try:
            await self._connection.app(self.scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 -- a bug of the app must not end the server
            self._connection.fail(self, error)
        finally:
            if not self.is_complete:
                self._connection.fail(self, None)

    async def receive(self) -> dict[str, Any]:
        """The next part of the body; after its end, wait for the disconnect."""
        if self._expects_continue and self._started is None and not self.is_disconnected:
            self._expects_continue = False
            self._connection.write(CONTINUE)
        while not (self.is_disconnected or self.is_complete):
            if self.body or (self.is_received and not self._is_end_read):
                return self._take()
            self._connection.resume_reading()
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    def _take(self) -> dict[str, Any]:
        body, self.body = bytes(self.body), bytearray()
        self._is_end_read = self.is_received
        return {"type": "http.request", "body": body, "more_body": not self.is_received}

    async def send(self, message: dict[str, Any]) -> None:
        """Write a part of the response; wait first if the client has not read what was written."""
        connection = self._connection
        if not connection.is_writable:
            await connection.wait_writable()
        if self.is_disconnected:
            return
        if message["type"] == "http.response.start":
            self._started = message
            return
        if self._started is None or self.is_complete:
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        more = message.get("more_body", False)
        if self.is_head_written:
            data = self._framed(message.get("body", b""), more)
        else:
            self._choose_framing()
            data = self._framed(message.get("body", b""), more)
            data = self._response_head() + data
            self.is_head_written = True
        if data:
            connection.write(data)
        if not more:
            self.is_complete = True
            self.wake()
            connection.finish(self)

    def _framed(self, body: bytes, more: bool) -> bytes:  # noqa: FBT001 -- once for each chunk
        if self._is_chunked:
            end = b"" if more else b"0\r\n\r\n"
            return b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end
        if self._is_bodiless:
            return b""
        if self._has_length:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the response is not as long as its content-length")
        return body

    def _choose_framing(self) -> None:
        """By content-length, in chunks, or (HTTP/1.0 has no chunks) until the connection's end."""
        start: dict[str, Any] = self._started or {}
        self._status = start["status"]
        for name, value in start["headers"]:
            if name == b"content-length":
                self._has_length, self._left = True, int(value)
        self._is_bodiless = self._head.method == "HEAD" or self._status in NO_BODY
        self._is_chunked = not (
            self._has_length or self._is_bodiless or self._head.version == "1.0"
        )
        # Without a `100 Continue`, the client may send the body or the next request.
        if self._expects_continue and not self.is_received:
            self.keep_alive = False

    def _response_head(self) -> bytes:
        start: dict[str, Any] = self._started or {}
        lines = [status_line(self._status), self._connection.date_header]
        for name, value in start["headers"]:
            lines += [name, b": ", value, b"\r\n"]
        if self._is_chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        head = b"".join(lines)
        expected = 2 + len(start["headers"]) + self._is_chunked + (not self.keep_alive)
        if head.count(b"\n") != expected or head.count(b"\r") != expected:
            raise RuntimeError("a response header has a line break")
        return head + b"\r\n"


def _scope(head: Head, connection: Connection) -> dict[str, Any]:
    """ASGI's scope (https://asgi.readthedocs.io/en/latest/specs/www.html)."""
    try:
        url = httptools.parse_url(head.target)
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise MalformedRequest("the path is not a valid URL") from None
    headers = head.headers
    if url.host:  # the `Host` header does not count then (RFC 9112, 3.2.2)
        host = url.host + (b":%d" % url.port if url.port else b"")
        headers = [(b"host", host), *(pair for pair in headers if pair[0] != b"host")]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.version,
        "method": head.method,
        "scheme": "http",
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": url.query or b"",
        "root_path": "",
        "headers": headers,
        "client": connection.client,
        "server": connection.server_address,
    }
