"""uvicorn's HTTP parser, with an end to how long a request's head may be: by itself it has none."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..errors import HeadersTooLarge
from ..schema.error import error_body
from ..wire import json

MAX_HEAD = 256 * 1024
"""Bytes of a head that are read at all; the app refuses those over 64 KiB by itself."""


class Bounded(HttpToolsProtocol):
    """One connection."""

    _head: int | None = 0  # bytes read of a head that has not ended

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head has ended."""
        self._head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse; hang up on a head without end."""
        super().data_received(data)
        if self._head is None:
            return
        self._head += len(data)
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self._refuse()

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            error = HeadersTooLarge(f"the headers are over {MAX_HEAD} bytes")
            body = json.encode(error_body(error))
            lines = [
                "HTTP/1.1 431 Request Header Fields Too Large",
                "content-type: application/json",
                f"content-length: {len(body)}",
                "connection: close",
            ]
            self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
