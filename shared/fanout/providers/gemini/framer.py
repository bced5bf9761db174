"""Server-sent events, and the errors that Google writes between them as bare JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...wire import json
from ...wire.http import WireEvent
from ...wire.sse import SSEFramer

# No line of an event begins like this. Google's SDK looks for such lines, too: see
# `_iter_response_stream` in https://github.com/googleapis/python-genai.
_BARE = re.compile(rb"(?<=[\r\n])\{")


class StreamFramer:
    """Decode bytes to events; a bare JSON object is one event, and the last."""

    def __init__(self) -> None:
        self._events = SSEFramer()
        self._at_line_start = True
        self._bare: bytes | None = None

    def feed(self, data: bytes) -> Iterator[WireEvent]:
        """Yield the events that `data` completes."""
        if self._bare is None:
            start = self._find_bare(data)
            yield from self._events.feed(data[:start])
            if start == len(data):
                return
            self._bare, data = b"", data[start:]
        self._bare += data
        if _is_whole(self._bare):
            event, self._bare = WireEvent(self._bare), b""
            yield event

    def _find_bare(self, data: bytes) -> int:
        if self._at_line_start and data.startswith(b"{"):
            return 0
        if data:
            self._at_line_start = data.endswith((b"\r", b"\n"))
        found = _BARE.search(data)
        return found.start() if found else len(data)


def _is_whole(data: bytes) -> bool:
    if not data.rstrip().endswith(b"}"):
        return False
    try:
        json.decode_any(data)
    except (*json.NOT_JSON, RecursionError):
        return False
    return True
