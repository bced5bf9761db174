"""
One client's connection: it is read, served and closed within its limits of bytes and seconds.

A connection has one `deadline`, which depends on what it waits for. `Connections` looks at all of
them once a second, so a request that needs no waiting sets no timer.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any

from ..errors import FanoutError, Internal, RequestTimeout
from .limits import Linger
from .request_parser import Head, RequestParser, StopParsing
from .request_queue import RequestQueue
from .served_request import ServedRequest

if TYPE_CHECKING:
    from .connections import Connections


class Connection(asyncio.Protocol):
    """
    Serves the requests of one client, one after the other.

    `deadline` is the time at which `expire` is called, unless something happens before.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._limits = connections.limits
        self.app = connections.app
        self.loop = connections.loop
        self.deadline = inf
        self.client: tuple[str, int] | None = None
        self.server_address: tuple[str, int] | None = None
        self.is_writable = True  # whether the client reads what is written
        self._writable = asyncio.Event()
        self._parser = RequestParser(self, self._limits)
        self._transport: asyncio.Transport
        self._requests = RequestQueue()
        self._is_parsing = True
        self._is_ending = False  # no request may begin any more
        self._is_closing = False  # the last response is written
        self._is_reading = True
        self._error: FanoutError | None = None  # the last response, after those that wait
        self._linger = Linger(self._limits)
        self._unsent = 0

    @property
    def date_header(self) -> bytes:
        return self._connections.date_header

    # ---- what the event loop calls ----

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; a client that sends nothing has as long as one that sends half a head."""
        self._transport = transport
        self.client = _address(transport.get_extra_info("peername"))
        self.server_address = _address(transport.get_extra_info("sockname"))
        self.deadline = self.loop.time() + self._limits.head_seconds
        self._connections.opened(self)

    def data_received(self, data: bytes) -> None:
        """Parse what has come; the event loop goes on before it reads more of a lot."""
        if len(data) >= self._limits.large_read and self._is_reading:
            self._transport.pause_reading()
            self.loop.call_soon(self._read_on)
        if not self._is_parsing:
            self._drop(len(data))
            return
        try:
            self._parser.feed(data)
        except StopParsing:
            self._stop_parsing()
        except FanoutError as error:
            self._reject(error)
        else:
            if self._requests.receiving is not None:
                self._extend(len(data))

    def _read_on(self) -> None:
        if self._is_reading and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> None:
        """Close: a client that ends its side counts as disconnected."""

    def connection_lost(self, _exc: Exception | None) -> None:
        """Let the app know that the client has disconnected."""
        self._is_parsing, self._is_closing = False, True
        self.deadline = inf
        self._requests.disconnect()
        self.resume_writing()
        self._connections.closed(self)

    def pause_writing(self) -> None:
        """The client does not read: `send` waits."""
        self.is_writable = False
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client has read; the next response may begin."""
        self.is_writable = True
        self._writable.set()
        requests = self._requests
        if requests.current is None and not self._is_closing and not requests.is_lingering:
            self._next()

    # ---- what the parser calls ----

    def begin_request(self) -> None:
        """Begin one more request, unless too many wait or the connection is ending."""
        if self._is_ending or self._requests.is_full(self._limits):
            raise StopParsing
        if self._requests.current is None and self.is_writable:
            self.deadline = self.loop.time() + self._limits.head_seconds

    def receive_head(self, head: Head) -> None:
        """Serve a request, or let it wait for the response before."""
        request = ServedRequest(self, head)
        requests = self._requests
        requests.receiving = request
        self._is_ending = self._is_ending or not head.keep_alive
        if requests.current is None and self.is_writable:
            self._start(request)
        else:
            requests.waiting.append(request)
            self._pause_reading()

    def receive_body(self, data: bytes) -> None:
        """Keep a part of a body, unless its response is complete."""
        request = self._requests.receiving
        if request is None or request.is_complete:
            return
        request.body += data
        request.wake()
        if len(request.body) > self._limits.body_buffer:
            self._pause_reading()

    def end_request(self) -> None:
        """A request is complete."""
        requests = self._requests
        request, requests.receiving = requests.receiving, None
        if request is None:
            return
        request.is_received = True
        request.wake()
        if requests.current is request:
            self.deadline = inf
        elif request.is_complete:
            self._linger.until = inf
            self._next()

    # ---- what the request calls ----

    def write(self, data: bytes) -> None:
        """Write, unless the connection is closing."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def wait_writable(self) -> None:
        """Return when the client has read enough for more to be written."""
        await self._writable.wait()

    def resume_reading(self) -> None:
        """Read from the client, unless requests are waiting already."""
        if self._is_parsing and not self._requests.waiting:
            self._resume()

    def finish(self, request: ServedRequest) -> None:
        """The response to `request` is complete: serve the next one, or close."""
        self._requests.current = None
        self._connections.is_idle(self)
        if not request.is_received:
            self._parser.drop_body()
            if not request.keep_alive:
                self._end_writing(inf)
            self._begin_linger()
        elif request.keep_alive:
            self._next()
        else:
            self._close()

    def fail(self, request: ServedRequest, error: Exception | None) -> None:
        """The app has raised, or left its response incomplete."""
        if error is not None:
            self._connections.report_bug(error)
        if request.is_disconnected:
            return
        request.is_complete = True
        self._requests.disconnect()
        if request.is_head_written:
            self._transport.abort()
        else:
            self._respond_last(Internal())

    # ---- what `Connections` calls ----

    def expire(self) -> None:
        """The deadline is over: end the connection, unless a slow client is still reading."""
        unsent = self._transport.get_write_buffer_size()
        period = self._limits.unread_seconds
        if unsent and unsent <= self._unsent - period * self._limits.unread_rate:
            self._unsent = unsent
            self.deadline = self.loop.time() + period
        elif unsent:
            self._transport.abort()
        elif self._is_parsing and not self._parser.is_idle and not self._requests.is_lingering:
            self._reject(RequestTimeout("the request did not come in time"))
        else:
            self._transport.close()

    def shut_down(self) -> None:
        """Begin no more requests; close now if there is no response to send."""
        self._is_ending = True
        last = self._requests.last
        if last is None:
            self._close()
        else:
            last.keep_alive = False

    def turn_away(self, error: FanoutError) -> None:
        """Respond with the error to whatever the client sends, and close."""
        self._is_parsing, self._is_closing = False, True
        self.deadline = inf
        self.write(self._connections.rejection(error))
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    # ---- states, and their deadlines ----

    def _start(self, request: ServedRequest) -> None:
        self._requests.current = request
        self.deadline = (
            inf if request.is_received else self.loop.time() + self._limits.body_idle_timeout
        )
        self._connections.serve(self, request)

    def _next(self) -> None:
        """Serve the next request, or wait for it."""
        now = self.loop.time()
        if not self.is_writable:
            self._unsent = self._transport.get_write_buffer_size()
            self.deadline = now + self._limits.unread_seconds
        elif self._requests.waiting:
            self._start(self._requests.waiting.popleft())
            self.resume_reading()
        elif self._error is not None:
            self._respond_last(self._error)
        elif not self._is_parsing:
            self._close()
        else:
            is_idle = self._parser.is_idle
            self.deadline = now + (
                self._limits.idle_seconds if is_idle else self._limits.head_seconds
            )
            self.resume_reading()

    def _extend(self, size: int) -> None:
        """The clock of a body: each byte prolongs it, up to a full `body_idle_timeout` from now."""
        if self._requests.is_lingering:
            self.deadline = self._linger.deadline(self.loop.time())
        elif self._requests.is_current_incomplete:
            latest = self.loop.time() + self._limits.body_idle_timeout
            is_app_slow = not self._is_reading
            extended = self.deadline + size / self._limits.body_rate
            self.deadline = inf if is_app_slow else min(extended, latest)

    def _begin_linger(self) -> None:
        self.deadline = self._linger.begin(self.loop.time())
        self._resume()

    def _drop(self, size: int) -> None:
        if self._linger.may_drop(size):
            self.deadline = self._linger.deadline(self.loop.time())
        else:
            self._transport.abort()

    def _stop_parsing(self) -> None:
        """Serve what has come, and then close."""
        self._is_parsing = False
        self._pause_reading()
        if self._requests.current is None:
            self._next()

    def _reject(self, error: FanoutError) -> None:
        """Respond to bytes that are no request, after the responses to those before; then close."""
        broken = self._requests.take_broken()
        if broken is not None and broken.is_head_written:
            self._transport.abort()
            return
        self._error = error
        self._stop_parsing()

    def _respond_last(self, error: FanoutError) -> None:
        """Write a last response, and close when the client has stopped to send."""
        self._connections.is_idle(self)
        self.write(self._connections.rejection(error))
        self._end_writing(self._limits.linger_bytes)
        self._begin_linger()

    def _end_writing(self, drops: float) -> None:
        """End our side; the client's last bytes are dropped, so that it gets the response."""
        self._is_parsing, self._is_closing = False, True
        self._linger.drops_left = drops
        if not self._transport.is_closing():
            self._transport.write_eof()

    def _close(self) -> None:
        """Close when the client has read what was written."""
        self._is_parsing, self._is_closing = False, True
        self._unsent = self._transport.get_write_buffer_size()
        self.deadline = self.loop.time() + self._limits.unread_seconds
        self._transport.close()

    def _resume(self) -> None:
        if self._is_reading or self._transport.is_closing():
            return
        self._is_reading = True
        self._transport.resume_reading()
        if self._requests.is_current_incomplete:
            self.deadline = self.loop.time() + self._limits.body_idle_timeout

    def _pause_reading(self) -> None:
        if self._is_reading and not self._transport.is_closing():
            self._is_reading = False
            self._transport.pause_reading()


def _address(given: Any) -> tuple[str, int] | None:
    return (str(given[0]), int(given[1])) if isinstance(given, tuple) else None
