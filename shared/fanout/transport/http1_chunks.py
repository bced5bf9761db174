"""
Reads a chunked body whose framing the parser rejects although its meaning is clear.

Some servers end the lines of chunks with LF alone, or write blanks in chunk extensions. A recipient
may accept the former and must accept the latter: RFC 9112, 2.2 and 7.1.1:
https://www.rfc-editor.org/rfc/rfc9112#section-7.1 (2026-11). Another recipient may read such bytes
differently, so the connection is used for no other response.
"""

from __future__ import annotations

import re
from typing import Protocol

from .engine import ConnectionLost

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?\r?\n")
_LINE_END = re.compile(rb"\r?\n")


class BodyReceiver(Protocol):
    """Gets the body."""

    def on_body(self, data: bytes) -> None: ...

    def on_message_complete(self) -> None: ...


class ChunkReader:
    """
    Decodes a chunked body from its first byte on.

    Raises `ConnectionLost` for framing whose meaning is not clear. What comes after the body is
    ignored.
    """

    def __init__(self, receiver: BodyReceiver) -> None:
        self._receiver = receiver
        self._line = b""
        self._left = 0  # bytes of the chunk that are still to come
        self._is_between = True  # and not behind a chunk's bytes, where a line must be empty
        self._is_last = self._is_over = False

    def feed_data(self, data: bytes) -> None:
        """Decode the next bytes. The caller bounds how many of them are framing."""
        start = 0
        while start < len(data) and not self._is_over:
            if self._left:
                piece = data[start : start + self._left]
                self._left -= len(piece)
                start += len(piece)
                self._receiver.on_body(piece)
                continue
            end = data.find(b"\n", start) + 1
            self._line += data[start : end or len(data)]
            if not end:
                return
            start, line, self._line = end, self._line, b""
            self._read_line(line)

    def _read_line(self, line: bytes) -> None:
        is_empty = _LINE_END.fullmatch(line) is not None
        if self._is_last:  # trailers, which nothing reads
            if is_empty:
                self._is_over = True
                self._receiver.on_message_complete()
        elif not self._is_between:
            if not is_empty:
                raise ConnectionLost("the server did not speak HTTP")
            self._is_between = True
        elif (found := _SIZE.fullmatch(line)) is None:
            raise ConnectionLost("the server did not speak HTTP")
        else:
            self._left = int(found[1], 16)
            self._is_last, self._is_between = not self._left, False
