"""
The part of an HTTP/2 server that the scripted provider needs, without a library.

Request headers are not decoded (HPACK, RFC 7541, would be most of the work); calls are identified
by their body.
See https://www.rfc-editor.org/rfc/rfc9113.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from .scripted_provider import Call, CloseConnection, Disconnect, Reader, Upstream

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
# SETTINGS_MAX_CONCURRENT_STREAMS (3) and SETTINGS_INITIAL_WINDOW_SIZE (4), with common values.
OURS = b"\0\3" + (100).to_bytes(4, "big") + b"\0\4" + (2**24).to_bytes(4, "big")


LONGEST = 16_384
"""Bytes of a frame's payload, unless the peer allows more."""


class StreamCall(Call):
    """One call, on one HTTP/2 stream."""

    protocol = "h2"

    def __init__(self, number: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        super().__init__("/v1/chat/completions", {}, body, writer)
        self._number = number

    def whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.write_head(status, headers)
        for start in range(0, len(body), LONGEST):
            self.writer.write(frame(DATA, 0, self._number, body[start : start + LONGEST]))
        self.writer.write(frame(DATA, END_STREAM, self._number))

    def one_frame(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send the body in one frame, which also ends the stream."""
        self.write_head(200, headers)
        self.writer.write(frame(DATA, END_STREAM, self._number, body))

    def piece(self, data: bytes) -> None:
        self.head()
        self.writer.write(frame(DATA, 0, self._number, data))

    def end(self) -> None:
        self.head()
        self.writer.write(frame(DATA, END_STREAM, self._number))

    def reset(self, code: int) -> None:
        """Reset the stream with this error code (RFC 9113, section 7)."""
        self.writer.write(frame(RST_STREAM, 0, self._number, code.to_bytes(4, "big")))

    def write_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.has_head = True
        block = b"\x08" + text(str(status))
        for name, value in headers.items():
            if name != "transfer-encoding":
                block += b"\0" + text(name) + text(value)
        self.writer.write(frame(HEADERS, END_HEADERS, self._number, block))


def text(value: str) -> bytes:
    """A string in HPACK's format, without Huffman coding."""
    assert len(value) < 127
    return bytes([len(value)]) + value.encode()


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + number.to_bytes(4, "big") + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    """A frame's kind, flags, stream and payload."""
    head = await reader.readexactly(9)
    payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
    return head[3], head[4], int.from_bytes(head[5:], "big"), payload


async def serve_http2(upstream: Upstream, reader: Reader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection and its concurrent calls."""
    assert await reader.readexactly(len(PREFACE)) == PREFACE
    writer.write(frame(SETTINGS, 0, 0, OURS))
    writer.write(frame(WINDOW_UPDATE, 0, 0, (2**24).to_bytes(4, "big")))
    bodies: dict[int, bytes] = {}
    disconnects: dict[int, Disconnect] = {}
    async with asyncio.TaskGroup() as group:
        try:
            while True:
                kind, flags, number, payload = await read_frame(reader)
                if kind in {SETTINGS, PING} and not flags & ACK:
                    writer.write(frame(kind, ACK, 0, payload if kind == PING else b""))
                elif kind == RST_STREAM and number in disconnects:
                    disconnects[number].happen()
                elif kind == HEADERS:
                    bodies[number] = b""
                elif kind == DATA:
                    bodies[number] += payload
                    if flags & END_STREAM:
                        disconnects[number] = Disconnect()
                        call = StreamCall(number, bodies.pop(number), writer)
                        group.create_task(_play(upstream, call, disconnects[number]))
        finally:
            for disconnect in disconnects.values():
                disconnect.happen()


async def _play(upstream: Upstream, call: Call, gone: Disconnect) -> None:
    """Run a call's script. A reset stream leaves the connection open; a script may close it."""
    try:
        await upstream.play(call, gone)
    except* (CloseConnection, ConnectionError):
        if call.disconnected_at is None:
            call.writer.close()
