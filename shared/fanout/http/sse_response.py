"""
Sends a streamed response as server-sent events, with keep-alives in each silence.

The HTTP status is sent with the first content or the first keep-alive. An error before that is an
ordinary HTTP error; an error after it is one error event without `[DONE]`. Imported with the first
stream.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..schema.chat import ChatChunk
from ..schema.error import error_body
from ..wire import json
from ..wire.sse import DONE, KEEP_ALIVE, encode_event
from .asgi import Headers, Send, raw_headers

if TYPE_CHECKING:
    from ..endpoints.base import StreamEncoder

COST = "x-fanout-cost"
"""The header with the cost of a virtual key's request in US dollars."""


class ChatEncoder:
    """Chat completions: each chunk is an event, and `[DONE]` the end of a complete response."""

    def feed(self, chunk: ChatChunk) -> bytes:
        """One chunk."""
        return b"data: %b\n\n" % json.encode(chunk)

    def end(self) -> bytes:
        """`[DONE]`."""
        return DONE

    def fail(self, error: Exception) -> bytes:
        """An error event, on which the SDKs raise."""
        return encode_event(json.encode(error_body(error)))

    def keep_alive(self) -> bytes:
        """A comment."""
        return KEEP_ALIVE


class EventStream:
    """
    One response's stream in the events of `encoder`, a keep-alive after each silent `interval` (s).

    `started` is whether the HTTP status has been sent.
    """

    def __init__(
        self, send: Send, headers: Headers, interval: float, encoder: StreamEncoder
    ) -> None:
        self._send = send
        self._headers = headers
        self._interval = interval
        self._encoder = encoder
        self._clock = asyncio.get_running_loop().time
        self._last = self._clock()
        self.started = False

    async def start(self, headers: Headers) -> None:
        """Send the status and headers, unless a keep-alive has done so."""
        if self.started:
            return
        self.started = True
        raw = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            *raw_headers({**self._headers, **headers}),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})

    async def chunk(self, value: ChatChunk) -> None:
        """Send one chunk."""
        if data := self._encoder.feed(value):
            self._last = self._clock()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def cost(self, headers: Headers, usage: ChatChunk | None) -> None:
        """
        Send what the request has cost, which its headers could not say.

        It is `cost` in the chunk `usage`, if the client asked for one, and a comment.
        """
        cost = headers[COST]
        if usage is not None:
            priced: Any = {**(usage.get("usage") or {}), "cost": float(cost)}
            await self.chunk({**usage, "usage": priced})
        await self.comment(COST, cost)

    async def comment(self, name: str, value: str) -> None:
        """Send a header's value that was not known when the headers were sent, as a comment."""
        await self._write(f": {name}: {value}\n\n".encode(), more=True)

    async def end(self) -> None:
        """End a complete response."""
        await self._write(self._encoder.end(), more=False)

    async def fail(self, error: Exception, headers: Headers) -> None:
        """End a response that failed; a comment says what it has cost, if the headers know it."""
        if COST in headers:
            await self.comment(COST, headers[COST])
        await self._write(self._encoder.fail(error), more=False)

    async def keep_alive(self) -> None:
        """Send a keep-alive after each silent interval. Runs until it is cancelled."""
        while True:
            silent = self._clock() - self._last
            if silent < self._interval:
                await asyncio.sleep(self._interval - silent)
                continue
            await self.start({})
            self._last = self._clock()
            await self._write(self._encoder.keep_alive(), more=True)

    async def _write(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
