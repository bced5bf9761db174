"""
Load generator: keep-alive HTTP/1.1 clients that use almost no CPU, and their measurements.

It knows nothing about the server. Every load has a limit in time and in number of requests.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import uvloop

from .stub import WORD

KEY = f"sk-{secrets.token_hex(32)}"
"""The master key of the gateways in this run."""

PATIENCE = 60.0
"""Seconds without a response after which the load fails."""

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class LoadResult:
    """Seconds to the first word and to the end of each response, and the duration of the load."""

    first_word_times: list[float]
    response_times: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Responses a second."""
        return len(self.response_times) / self.seconds

    @property
    def first_word(self) -> float:
        """The median of seconds to the first word."""
        return median(self.first_word_times)

    @property
    def response_time(self) -> float:
        """The median of seconds to the whole response."""
        return median(self.response_times)


def request(body: Mapping[str, Any], path: str = "/v1/chat/completions") -> bytes:
    """The bytes of an HTTP request with a JSON body."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def run_load(
    port: int, data: bytes, *, clients: int, seconds: float, count: int = 1_000_000
) -> LoadResult:
    """Send a request repeatedly, for some seconds or `count` times; raises if one is not a 200."""
    return uvloop.run(_run_load(port, data, clients, seconds, count))


async def _run_load(port: int, data: bytes, clients: int, seconds: float, count: int) -> LoadResult:
    loop = asyncio.get_running_loop()
    until = perf_counter() + seconds
    state = _LoadState(data, until, count)
    began = perf_counter()
    connections = [
        await loop.create_connection(lambda: _Client(state), "127.0.0.1", port)
        for _ in range(min(clients, count))
    ]
    try:
        async with asyncio.timeout(seconds + PATIENCE):
            for _, client in connections:
                await client.done
    finally:
        for transport, _ in connections:
            transport.abort()
    return LoadResult(state.first_word_times, state.response_times, perf_counter() - began)


class _LoadState:
    """What the clients of one load share."""

    def __init__(self, data: bytes, until: float, left: int) -> None:
        self.data = data
        self.until = until
        self.left = left
        self.first_word_times: list[float] = []
        self.response_times: list[float] = []


class _Client(asyncio.Protocol):
    """One connection, which sends the next request as soon as a response is complete."""

    def __init__(self, state: _LoadState) -> None:
        self._state = state
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._began = 0.0
        self._first: float | None = None
        self._end: int | None = None  # where a body with a content-length ends; 0: chunked

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        self._buffer += data
        if self._first is None and WORD in self._buffer:
            self._first = now - self._began
        if not self._is_complete():
            return
        if not self._buffer.startswith(b"HTTP/1.1 200") or self._first is None:
            if not self.done.done():
                self.done.set_exception(RuntimeError(bytes(self._buffer[:500]).decode()))
            return
        self._state.first_word_times.append(self._first)
        self._state.response_times.append(now - self._began)
        self._send()

    def _send(self) -> None:
        if not self._state.left or perf_counter() >= self._state.until:
            if not self.done.done():
                self.done.set_result(None)
            return
        self._state.left -= 1
        self._buffer = bytearray()
        self._first = self._end = None
        self._began = perf_counter()
        self._transport.write(self._state.data)

    def _is_complete(self) -> bool:
        if self._end is None:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return False
            length = _LENGTH.search(self._buffer, 0, head)
            self._end = head + 4 + int(length[1]) if length else 0
        if self._end:
            return len(self._buffer) >= self._end
        return self._buffer.endswith(b"\r\n0\r\n\r\n")
