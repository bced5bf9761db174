"""
A streamed answer on its way out: chunks as server-sent events, kept alive, ended honestly.

The status line waits for the first content or for `KEEP_ALIVE` seconds, whichever is first; a
fault before it is an ordinary HTTP error, a fault after it one error event and no `[DONE]`.
"""

from __future__ import annotations

import asyncio

from ..schema.error import error_body
from ..wire import json
from ..wire.sse import DONE, KEEP_ALIVE, encode_event
from .asgi import Headers, Send, raw_headers

INTERVAL = 15.0
"""Seconds of silence before a comment is sent; API Gateway cuts a silent stream after 5 minutes."""


class EventStream:
    """One answer's stream. `started` says whether the status line has gone out."""

    def __init__(self, send: Send, headers: Headers, interval: float = INTERVAL) -> None:
        self._send = send
        self._headers = headers
        self._interval = interval
        self._last = asyncio.get_running_loop().time()
        self.started = False

    async def start(self, headers: Headers) -> None:
        """Send the status line, if a keep-alive has not done so already."""
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

    async def chunk(self, value: object) -> None:
        """Send one chunk."""
        self._last = asyncio.get_running_loop().time()
        await self._write(encode_event(json.encode(value)), more=True)

    async def end(self) -> None:
        """The answer is complete."""
        await self._write(DONE, more=False)

    async def fail(self, error: Exception) -> None:
        """The answer is not, and never will be: the SDKs raise on this event."""
        await self._write(encode_event(json.encode(error_body(error))), more=False)

    async def keep_alive(self) -> None:
        """Say something whenever nothing was said for a while. Runs until it is cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            silent = clock() - self._last
            if silent < self._interval:
                await asyncio.sleep(self._interval - silent)
                continue
            await self.start({})
            self._last = clock()
            await self._write(KEEP_ALIVE, more=True)

    async def _write(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
