"""
The load: keep-alive HTTP/1.1 clients that cost next to nothing, and what they saw.

Knows nothing of who is asked. Every load is bounded in time and in number.
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
"""The gateways' key in this run."""

PATIENCE = 60.0
"""Seconds after which an answer is missed."""

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What was seen: seconds to each answer's first word and to its end, and the time in all."""

    firsts: list[float]
    wholes: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.wholes) / self.seconds

    @property
    def first(self) -> float:
        """The median time to the first word."""
        return median(self.firsts)

    @property
    def whole(self) -> float:
        """The median time to the whole answer."""
        return median(self.wholes)


def request(body: Mapping[str, Any], path: str = "/v1/chat/completions") -> bytes:
    """A chat request as it goes over the wire."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def put(port: int, asked: bytes, *, clients: int, seconds: float, count: int = 1_000_000) -> Load:
    """Ask again and again, for so many seconds or so many times; an answer but 200 is an error."""
    return uvloop.run(_put(port, asked, clients, seconds, count))


async def _put(port: int, asked: bytes, clients: int, seconds: float, count: int) -> Load:
    loop = asyncio.get_running_loop()
    until = perf_counter() + seconds
    state = _State(asked, until, count)
    began = perf_counter()
    made = [
        await loop.create_connection(lambda: _Client(state), "127.0.0.1", port)
        for _ in range(min(clients, count))
    ]
    try:
        async with asyncio.timeout(seconds + PATIENCE):
            for _, client in made:
                await client.done
    finally:
        for transport, _ in made:
            transport.abort()
    return Load(state.firsts, state.wholes, perf_counter() - began)


class _State:
    """What the clients of one load share."""

    def __init__(self, asked: bytes, until: float, left: int) -> None:
        self.asked = asked
        self.until = until
        self.left = left
        self.firsts: list[float] = []
        self.wholes: list[float] = []


class _Client(asyncio.Protocol):
    """One connection; asks anew as soon as it is answered."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._began = 0.0
        self._first: float | None = None
        self._end: int | None = None  # where a body of announced length ends; 0: chunked

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        self._buffer += data
        if self._first is None and WORD in self._buffer:
            self._first = now - self._began
        if not self._is_whole():
            return
        if not self._buffer.startswith(b"HTTP/1.1 200") or self._first is None:
            if not self.done.done():
                self.done.set_exception(RuntimeError(bytes(self._buffer[:500]).decode()))
            return
        self._state.firsts.append(self._first)
        self._state.wholes.append(now - self._began)
        self._ask()

    def _ask(self) -> None:
        if not self._state.left or perf_counter() >= self._state.until:
            if not self.done.done():
                self.done.set_result(None)
            return
        self._state.left -= 1
        self._buffer = bytearray()
        self._first = self._end = None
        self._began = perf_counter()
        self._transport.write(self._state.asked)

    def _is_whole(self) -> bool:
        if self._end is None:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return False
            length = _LENGTH.search(self._buffer, 0, head)
            self._end = head + 4 + int(length[1]) if length else 0
        if self._end:
            return len(self._buffer) >= self._end
        return self._buffer.endswith(b"\r\n0\r\n\r\n")
