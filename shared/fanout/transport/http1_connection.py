"""
One HTTP/1.1 connection without TLS: it writes a request, and parses and bounds its response.

httptools (llhttp) parses on the event loop, so a part of a response costs no change of threads. The
rules are those of RFC 9112: https://www.rfc-editor.org/rfc/rfc9112 (2026-11).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import httptools

from .engine import Bounded, ConnectionLost, EngineError
from .http1_parser import FIRST_FINAL, NO_BODY, VERSIONS, response_parser
from .http1_socket import input_check, probe

MAX_OVERHEAD = 64 * 1024
"""Bytes that are not of the body: those of a head, of trailers and of chunk extensions."""

FRAMING = 16
"""How many more of them each byte of the body allows: a chunk may have one byte."""

MAX_HEADERS = 256
MAX_QUEUED = 256 * 1024
"""Bytes of a stream that wait for their reader, above which no more are read from the socket."""


_NO_PARTS: deque[bytes] = deque(maxlen=0)
"""The parts of a response that is collected; an empty deque takes 0.6 kB."""


class Connection(asyncio.Protocol):
    """
    One connection, with at most one call at a time.

    With `body`, a response is collected there; without, its parts are queued for `parts`.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.idle_since = 0.0
        self._on_idle_end: Callable[[float], None] | None = None
        self.was_reused = False
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()
        self._parser: Any = response_parser(self)
        self._is_idle = True
        self._body: Bounded | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._input_check: Callable[[], object] | None = None

    def send(self, head: bytes, content: bytes, body: Bounded | None) -> None:
        """Write a request, and expect its response."""
        if not self.is_open:
            raise ConnectionLost("the connection broke while sending")
        self.status, self.headers = 0, dict[str, str]()
        self.has_head = self.is_complete = self._is_idle = self._keep_alive = False
        self._is_interim = self._ends_with_connection = self._is_paused = self._has_part = False
        self._overhead = self._queued = self._header_count = 0
        self._head: bytes | None = b""
        self._parts: deque[bytes] = _NO_PARTS if body is not None else deque()
        self._unpacker: Any = None
        self._error: EngineError | None = None
        self._body = body
        if len(content) < MAX_QUEUED:
            self._transport.write(head + content)
        else:
            self._transport.writelines((head, content))

    async def wait_for_end(self) -> None:
        """Wait for the whole response."""
        while not self.is_complete:
            await self._progress()

    async def wait_for_part(self) -> None:
        """Wait for the first part of the body, or for the whole response if it comes at once."""
        while not (self.is_complete or self._has_part):
            await self._progress()

    async def wait_for_head(self) -> None:
        """Wait for the response's head."""
        while not self.has_head:
            await self._progress()

    async def parts(self) -> AsyncIterator[bytes]:
        """The parts of the body as they arrive."""
        while self._parts or not self.is_complete:
            if not self._parts:
                await self._progress()
                continue
            part = self._parts.popleft()
            self._queued -= len(part)
            if self._is_paused and self._queued <= MAX_QUEUED // 2 and self.is_open:
                self._is_paused = False
                self._transport.resume_reading()
            if self._unpacker is None:
                yield part
            else:
                for unpacked in self._unpacker.feed(part):
                    yield unpacked
        if self._unpacker is not None:
            self._unpacker.end()

    async def _progress(self) -> None:
        if self._error is not None:
            raise self._taken_error(self._error)
        self._waiter = self._loop.create_future()
        await self._waiter

    def _taken_error(self, error: EngineError) -> EngineError:
        """The error, which is not kept here: its traceback will hold what has arrived."""
        self._error = None
        return error

    def _wake(self) -> None:
        if (waiter := self._waiter) is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _fail(self, error: EngineError) -> None:
        if not self._is_idle and not self.is_complete and self._error is None:
            self._error = error
            self._wake()
        self.close()

    def has_input(self) -> bool:
        """Whether there are bytes to read, or the server has closed the connection."""
        if self._input_check is None:
            self._input_check = input_check(self._transport.get_extra_info("socket").fileno())
        return bool(self._input_check())

    @property
    def is_reusable(self) -> bool:
        """Whether another call may use the connection after this one."""
        is_sent = self.is_open and not self._transport.get_write_buffer_size()
        return is_sent and self.is_complete and self._keep_alive and not self._is_paused

    async def stays_quiet(self, seconds: float) -> bool:
        """Whether the server sends nothing, and does not close the connection, for so long."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._wake)
        try:
            await waiter
        finally:
            timer.cancel()
        return self.is_open and not self.has_input()

    def set_idle(self, now: float, on_end: Callable[[float], None]) -> None:
        """Expect nothing until the next call; `on_end` gets the seconds until the server's end."""
        self._is_idle, self.idle_since, self._body = True, now, None
        self._on_idle_end = on_end

    def close(self) -> None:
        """Close the connection at once, and let go of what has arrived for `body`."""
        self.is_open, self._body = False, None  # its parser holds this object, and this its parser
        if self._transport is not None:
            self._transport.abort()
        if self._is_idle:
            self._wake()

    # ---- what the event loop calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.is_open = transport, True
        probe(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        if self._is_idle or not self.is_open:
            self.close()  # no request asks for these bytes
            return
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, EngineError):
                raise
            self._fail(cause)
        except httptools.HttpParserUpgrade:
            self._fail(ConnectionLost("the server did not speak HTTP"))
        except httptools.HttpParserError:
            self._repair(data)
        except EngineError as error:  # of another parser
            self._fail(error)
        if self._head is not None:
            self._head += data
        if self._overhead > MAX_OVERHEAD:
            self._fail(ConnectionLost("the response has too many headers"))
        if self._head is None and not self._has_part and self._body is not None:
            self._has_part = True
            self._wake()

    def _repair(self, data: bytes) -> None:
        """Parse the response again in a way that accepts more, unless its body has begun."""
        if self._head is not None:
            received, self._head = self._head + data, None
            from .http1_repair import RepairingParser, body_of, may_be_repaired  # rarely needed

            if self.has_head and "chunked" in self.headers.get("transfer-encoding", "").lower():
                from .http1_chunks import ChunkReader

                self._parser = ChunkReader(self)
                self._keep_alive, received = False, body_of(received)
            elif not self.has_head and may_be_repaired(received):
                self._parser = RepairingParser(self._parse_repaired)
            else:
                received = b""
            if received:
                self._overhead -= len(received)
                self.data_received(received)
                return
        self._fail(ConnectionLost("the server did not speak HTTP"))

    def _parse_repaired(self, data: bytes) -> None:
        self._header_count = 0
        self.headers.clear()
        self._parser = response_parser(self)
        self._parser.feed_data(data)

    def eof_received(self) -> None:
        if self._is_idle:
            if self.is_open and self._on_idle_end is not None:
                self._on_idle_end(self._loop.time() - self.idle_since)
            self.close()
        if self._is_idle or not self._ends_with_connection or self._error is not None:
            return
        try:
            self.on_message_complete()
        except EngineError as error:
            self._fail(error)

    def connection_lost(self, _: Exception | None) -> None:
        self._fail(ConnectionLost("the connection broke while reading"))

    # ---- what httptools calls ----

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise ConnectionLost("a second response to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.has_head:
            return  # a trailer
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            raise ConnectionLost("the response has too many headers")
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if not self.was_reused and self._parser.get_http_version() not in VERSIONS:
            raise ConnectionLost("the server did not speak HTTP/1.1")
        self.status = self._parser.get_status_code()
        self._is_interim = self.status < FIRST_FINAL
        if self._is_interim:
            self.headers.clear()
            return
        self.has_head = True
        has_length, coding = "content-length" in self.headers, self.headers.get("transfer-encoding")
        self._keep_alive = self._parser.should_keep_alive() and not (has_length and coding)
        self._ends_with_connection = (
            not has_length
            and (coding is None or "chunked" not in coding.lower())
            and self.status not in NO_BODY
        )
        if encoding := self.headers.get("content-encoding"):
            from .unpacking import unpacker  # servers compress only for those who ask for it

            self._unpacker = unpacker(encoding)
        if self._body is None:
            self._wake()

    def on_body(self, data: bytes) -> None:
        self._head = None  # which has been read as it was meant
        self._overhead = max(0, self._overhead - FRAMING * len(data))
        if self._body is None:
            self._parts.append(data)
            self._queued += len(data)
            if self._queued > MAX_QUEUED and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
            self._wake()
        elif self._unpacker is None:
            self._body.add(data)
        else:
            for unpacked in self._unpacker.feed(data):
                self._body.add(unpacked)

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
            return
        if self._body is not None and self._unpacker is not None:
            self._unpacker.end()
        self.is_complete = True
        self._wake()
