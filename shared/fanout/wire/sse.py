"""
Decodes and encodes server-sent events.

See https://html.spec.whatwg.org/multipage/server-sent-events.html. Lines end at CR, LF or CRLF
only, as with `bytes.splitlines`; `str.splitlines` would also split at U+2028, which JSON may have.
"""

from __future__ import annotations

from collections.abc import Iterator

from .http import WireEvent
from .json import BOM

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


class SSEFramer:
    """Decodes bytes to events; ignores comments and events without data."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # joined only when a line ends: O(n) for big events
        self._type = ""
        self._data: list[bytes] = []
        self._started = False

    def feed(self, data: bytes) -> Iterator[WireEvent]:
        """Yield the events that `data` completes."""
        half_crlf = bool(self._parts) and self._parts[-1].endswith(b"\r")
        if data:
            self._parts.append(data)
        # A CR at the end may be half of a CRLF, so it is kept until the next bytes are there.
        if not (half_crlf or b"\n" in data or b"\r" in data[:-1]):
            return
        buffer = b"".join(self._parts)
        if not self._started:  # a byte order mark is not part of the first line
            self._started, buffer = True, buffer.removeprefix(BOM)
        end = max(buffer.rfind(b"\n"), buffer.rfind(b"\r", 0, len(buffer) - 1)) + 1
        self._parts = [buffer[end:]] if end < len(buffer) else []
        for line in buffer[:end].splitlines():
            if not line:
                if self._data:
                    yield WireEvent(b"\n".join(self._data), self._type)
                self._type, self._data = "", []
                continue
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            elif name == b"event":
                self._type = value.removeprefix(b" ").decode(errors="replace")


def encode_event(data: bytes) -> bytes:
    """Encode one JSON value, which must not contain line breaks, as an event."""
    return b"data: " + data + b"\n\n"
