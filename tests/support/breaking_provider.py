"""
A provider on a real socket whose connections break after the bodies of its responses.

An address is `URL/NAME/HOW`: `NAME` is one of its responses, `HOW` one of `HOWS` or `OPEN`, or
`damaged`.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from .background_loop import background

SURPLUS = 100
"""Bytes that a `content-length` promises and that do not come."""

HOWS = ("length", "chunk", "framing", "reset", "gzip")
"""How a response may break, beside `good`; see `_written`."""

OPEN = ("open-length", "open-chunk")
"""How it may stay open, as if more were to come."""


class Recorded(Struct, frozen=True):
    """What the provider sends: a plain body and a stream, with a status."""

    plain: bytes
    streamed: bytes = b""
    status: int = 200


class BreakingProvider:
    """The provider; `calls` counts the calls by name and how they break."""

    def __init__(self, responses: Mapping[str, Recorded]) -> None:
        self.url = ""
        self.calls: Counter[tuple[str, str]] = Counter()
        self._responses = responses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Respond to one request, and break the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.lower().split("\r\n")
        length = next(line for line in lines if line.startswith("content-length:"))
        sent = await reader.readexactly(int(length.partition(":")[2]))
        path = head.split(" ")[1]
        name, how = path.split("/")[1:3]
        self.calls[name, how] += 1
        found = self._responses[name]
        is_stream = "tream" in path or b'"stream":true' in sent
        body = found.streamed if is_stream and found.streamed else found.plain
        kind = "text/event-stream" if body is found.streamed else "application/json"
        start = (
            f"HTTP/1.1 {found.status} X\r\nconnection: close\r\ncontent-type: {kind}\r\n".encode()
        )
        writer.write(start + _written(body, how.removeprefix("open-")))
        await writer.drain()
        if how in OPEN:
            await reader.read()  # until the client closes the connection
        if how == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()


def _written(body: bytes, how: str) -> bytes:
    """The rest of the head, and the body."""
    chunk = b"%x\r\n%b\r\n" % (len(body), body)
    match how:
        case "good":
            return b"content-length: %d\r\n\r\n%b" % (len(body), body)
        case "length" | "reset":
            return b"content-length: %d\r\n\r\n%b" % (len(body) + SURPLUS, body)
        case "chunk":  # the last one is missing
            return b"transfer-encoding: chunked\r\n\r\n" + chunk
        case "framing":
            return b"transfer-encoding: chunked\r\n\r\n" + chunk + b"oops\r\n"
        case _:  # the end of the compression is missing, or its checksum is wrong
            packed = gzip.compress(body)[:-8] + (bytes(8) if how == "damaged" else b"")
            head = b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
            return head + packed


@contextmanager
def open_breaking(responses: Mapping[str, Recorded]) -> Iterator[BreakingProvider]:
    """Run the provider while the block runs."""
    with background(lambda: _serving(BreakingProvider(responses))) as provider:
        yield provider


@asynccontextmanager
async def _serving(provider: BreakingProvider) -> AsyncIterator[BreakingProvider]:
    async with await asyncio.start_server(provider.serve, "127.0.0.1", 0) as server:
        provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield provider
