"""
Unpacks compressed request bodies as they come, a bounded piece at a time.

The body's reader counts its unpacked bytes, so its limit also bounds a bomb.
"""

from __future__ import annotations

import asyncio
import zlib

from ..errors import RequestError, UnsupportedEncoding
from .asgi import Message, Receive

ACCEPTED = ("gzip", "deflate")

PIECE = 256 * 1024
"""Unpacked bytes that are handed on at once."""

SLICE = 8 * 1024
"""Compressed bytes that are unpacked at once: zlib copies those that it has not used."""

MAX_EXCESS = 64 * 1024
"""Compressed bytes that unpack to nothing, such as those of empty blocks."""

FRAMING = 2
"""How many more of them each unpacked byte allows: a client may flush after every few bytes."""

ZLIB_HEAD = 2
"""Bytes at the start of the format `zlib`, which bare `deflate` does not have (RFC 1950, 2.2)."""

_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def unpacked(receive: Receive, encoding: str) -> Receive:
    """`receive` with the body unpacked; raises `UnsupportedEncoding` for another encoding."""
    name = encoding.strip().lower().removeprefix("x-")
    if name not in ACCEPTED:
        raise UnsupportedEncoding(
            f"the `Content-Encoding` `{encoding[:40]}` is not supported; "
            f"use {' or '.join(f'`{one}`' for one in ACCEPTED)}, or none"
        )
    return _Unpacker(receive, name).receive


class _Unpacker:
    def __init__(self, receive: Receive, name: str) -> None:
        self._receive = receive
        self._name = name
        self._unpack = zlib.decompressobj(_GZIP if name == "gzip" else _ZLIB)
        self._packed = memoryview(b"")  # received, and not unpacked
        self._start: bytes | None = b""  # until zlib has read both bytes of its head
        self._is_pending = False  # whether zlib may have more, although it has read all
        self._excess = 0  # packed bytes beyond what the unpacked ones allow
        self._has_more = True  # of the packed body
        self._is_done = False

    async def receive(self) -> Message:
        """The next piece."""
        if self._is_done:
            return await self._receive()
        while True:
            if not self._packed and self._has_more and not self._is_pending:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._packed = memoryview(message.get("body", b""))
                self._has_more = message.get("more_body", False)
            body = self._step()
            self._is_done = not (self._packed or self._has_more or self._is_pending)
            if self._is_done and not self._unpack.eof:
                raise _not_packed(self._name)
            await asyncio.sleep(0)  # others are served between two steps
            if body or self._is_done:
                return {"type": "http.request", "body": body, "more_body": not self._is_done}

    def _step(self) -> bytes:
        """Unpack at most `SLICE` bytes, to at most `PIECE`."""
        body = bytearray()
        left = part = bytes(self._packed[:SLICE])
        while len(body) < PIECE and (left or self._is_pending):
            body += self._unpacked(left, PIECE - len(body))
            left = self._unpack.unconsumed_tail or self._unpack.unused_data
            self._is_pending = len(body) == PIECE and not left and not self._unpack.eof
        read = len(part) - len(left)
        self._packed = self._packed[read:]
        self._excess = max(0, self._excess + read - FRAMING * len(body))
        if self._excess > MAX_EXCESS:
            raise RequestError(f"the body has too many bytes of `{self._name}` for its content")
        return bytes(body)

    def _unpacked(self, packed: bytes, most: int) -> bytes:
        """At most so many bytes; what is not used of `packed` is left in `_unpack`."""
        if self._unpack.eof:  # gzip: several members may follow one another (RFC 1952, 2.2)
            if self._name != "gzip":
                raise _not_packed(self._name)
            self._unpack = zlib.decompressobj(_GZIP)
        start, self._start = self._start, None
        try:
            body = self._unpack.decompress(packed, most)
        except zlib.error as error:
            if start is None or self._name != "deflate":
                raise _not_packed(self._name) from error
            self._unpack = zlib.decompressobj(_RAW)  # many clients send `deflate` without a head
            return self._unpacked(start + packed, most)
        if start is not None and len(start + packed) < ZLIB_HEAD:
            self._start = start + packed
        return body


def _not_packed(name: str) -> RequestError:
    return RequestError(f"the body is not valid `{name}`, its `Content-Encoding`")
