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
        self._packed = b""  # received, and not unpacked
        self._is_first = True
        self._has_more = True  # of the packed body
        self._is_done = False

    async def receive(self) -> Message:
        """The next piece."""
        if self._is_done:
            return await self._receive()
        while True:
            if not self._packed and self._has_more:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._packed = message.get("body", b"")
                self._has_more = message.get("more_body", False)
            body = self._step()
            self._is_done = not self._packed and not self._has_more
            if self._is_done:
                self._check_end()
            if body or self._is_done:
                await asyncio.sleep(0)  # others are served between two pieces
                return {"type": "http.request", "body": body, "more_body": not self._is_done}

    def _step(self) -> bytes:
        if not self._packed and not self._unpack.unconsumed_tail:
            return b""
        try:
            return self._next_piece()
        except zlib.error as error:
            if self._is_first and self._name == "deflate":  # many clients send it without a head
                self._is_first = False
                self._unpack = zlib.decompressobj(_RAW)
                return self._step()
            raise _not_packed(self._name) from error

    def _next_piece(self) -> bytes:
        if self._unpack.eof:  # gzip: several members may follow one another (RFC 1952, 2.2)
            if self._name != "gzip":
                raise _not_packed(self._name)
            self._unpack = zlib.decompressobj(_GZIP)
        body = self._unpack.decompress(self._packed, PIECE)
        self._packed = self._unpack.unconsumed_tail or self._unpack.unused_data
        self._is_first = False
        return body

    def _check_end(self) -> None:
        if not self._unpack.eof:
            raise _not_packed(self._name)


def _not_packed(name: str) -> RequestError:
    return RequestError(f"the body is not valid `{name}`, its `Content-Encoding`")
