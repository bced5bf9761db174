"""
Unpacks compressed bodies in small steps, so that their size is known before they are in memory.

Only for servers that compress without being asked to; RFC 9110, 8.4.1:
https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1 (2026-11).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from .engine import ConnectionLost, damaged

STEP = 64 * 1024
"""The most bytes that one step unpacks."""

SLICE = 8 * 1024
"""The most compressed bytes that one step gets: zlib copies those that it has not used."""

MAX_EXCESS = 64 * 1024
"""Compressed bytes that unpack to nothing, such as those of empty blocks."""

FRAMING = 16
"""How many more of them each unpacked byte allows: a server may flush after each byte."""

AUTOMATIC = 32 + zlib.MAX_WBITS
"""zlib's window size for both formats: it reads which one it is from the first bytes."""

GZIP = 16 + zlib.MAX_WBITS
"""zlib's window size for gzip only."""

ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})


def unpacker(encoding: str) -> Unpacker | None:
    """What unpacks a body with this `Content-Encoding`; `None` for one that is left as it is."""
    return Unpacker() if encoding.strip().lower() in ENCODINGS else None


class Unpacker:
    """
    One compressed body. Raises `ConnectionLost` if it is invalid, or ends too early.

    A body may have several gzip members, one after the other: RFC 1952, 2.2:
    https://www.rfc-editor.org/rfc/rfc1952#section-2.2 (2026-11).
    """

    def __init__(self) -> None:
        self._unpacking = zlib.decompressobj(AUTOMATIC)
        self._is_empty = True
        self._excess = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to, in parts."""
        view = memoryview(data)
        for start in range(0, len(data), SLICE):
            part = view[start : start + SLICE]
            self._is_empty = False
            self._excess += len(part)
            yield from self._unpack(part)
            if self._excess > MAX_EXCESS:
                raise ConnectionLost("the compressed response unpacks to too little")

    def end(self) -> None:
        """The body ends here."""
        if not self._unpacking.eof and not self._is_empty:
            raise ConnectionLost("the compressed response ends too early")

    def _unpack(self, data: bytes | memoryview) -> Iterator[bytes]:
        while data or not self._unpacking.eof:
            if self._unpacking.eof:
                self._unpacking = zlib.decompressobj(GZIP)  # the next member
            try:
                part = self._unpacking.decompress(data, STEP)
            except zlib.error:
                raise damaged() from None
            self._excess = max(0, self._excess - FRAMING * len(part))
            if part:
                yield part
            data = self._unpacking.unused_data or self._unpacking.unconsumed_tail
            if not part and not data:
                return
