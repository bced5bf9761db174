"""
Sends a streamed response as server-sent events, with keep-alive comments.

The HTTP status is sent with the first content or the first keep-alive. An error before that is an
ordinary HTTP error; an error after it is one error event without `[DONE]`. Imported with the first
stream.
"""

from __future__ import annotations

import asyncio

from ..schema.error import error_body
from ..wire import json
from ..wire.sse import DONE, KEEP_ALIVE, encode_event
from .asgi import Headers, Send, raw_headers


class EventStream:
    """
    One response's stream, with a comment after each silent `interval` in seconds.

    `started` is whether the HTTP status has been sent.
    """

    def __init__(self, send: Send, headers: Headers, interval: float) -> None:
        self._send = send
        self._headers = headers
        self._interval = interval
        self._last = asyncio.get_running_loop().time()
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

    async def chunk(self, value: object) -> None:
        """Send one chunk."""
        self._last = asyncio.get_running_loop().time()
        await self._write(encode_event(json.encode(value)), more=True)

    async def end(self) -> None:
        """End a complete response with `[DONE]`."""
        await self._write(DONE, more=False)

    async def fail(self, error: Exception) -> None:
        """End a response that failed with an error event, on which the SDKs raise."""
        await self._write(encode_event(json.encode(error_body(error))), more=False)

    async def keep_alive(self) -> None:
        """Send a comment after each silent interval. Runs until it is cancelled."""
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
