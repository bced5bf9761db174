"""
Decodes and encodes server-sent events.

See https://html.spec.whatwg.org/multipage/server-sent-events.html. Lines end at CR, LF or CRLF
only, as with `bytes.splitlines`; `str.splitlines` would also split at U+2028, which JSON may have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .http import WireEvent
from .json import BOM, NOT_JSON, decode

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


class SSEFramer:
    """
    Decodes bytes to events; ignores comments and events without data, or with blank data.

    Beyond the standard, a byte order mark before any line is ignored, and an event ends where the
    next one begins, if its data are one JSON object: some servers write no empty line.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # joined only when a line ends: O(n) for big events
        self._type = ""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterable[WireEvent]:
        """The events that `piece` completes."""
        if piece[-2:] == b"\n\n" and not (self._parts or self._data or self._type):
            if (
                piece.find(b"\n") == len(piece) - 2  # one event of one line: most reads are
                and piece[:6] == b"data: "
                and piece[6:7] > b" "  # no blank data
                and b"\r" not in piece
            ):
                return (WireEvent(piece[6:-2]),)
            if (events := _whole_events(piece)) is not None:
                return events
        return self._feed(piece)

    def _feed(self, piece: bytes) -> Iterator[WireEvent]:
        for line in self._lines(piece):
            if not line:
                if self._data:
                    data = b"\n".join(self._data)
                    self._data = []
                    if data and not data.isspace():
                        yield WireEvent(data, self._type)
                self._type = ""
                continue
            name, _, value = line.partition(b":")
            if name == b"data":
                if self._data and self._is_whole():
                    yield WireEvent(self._data.pop(), self._type)
                self._data.append(value[1:] if value[:1] == b" " else value)
            elif name == b"event":
                if self._type and self._data and self._is_whole():
                    yield WireEvent(self._data.pop(), self._type)
                self._type = value.removeprefix(b" ").decode(errors="replace")

    def _lines(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        half_crlf = bool(self._parts) and self._parts[-1].endswith(b"\r")
        if data:
            self._parts.append(data)
        # A CR at the end may be half of a CRLF, so it is kept until the next bytes are there.
        if not (half_crlf or b"\n" in data or b"\r" in data[:-1]):
            return []
        buffer = b"".join(self._parts)
        end = max(buffer.rfind(b"\n"), buffer.rfind(b"\r", 0, len(buffer) - 1)) + 1
        self._parts = [buffer[end:]] if end < len(buffer) else []
        lines = buffer[:end].splitlines()
        return [line.removeprefix(BOM) for line in lines] if BOM[0] in buffer else lines

    def _is_whole(self) -> bool:
        """Whether the data are one line with one JSON object, so that more is another event's."""
        if len(self._data) > 1 or not self._data[0].startswith(b"{"):
            return False
        try:
            decode(self._data[0])
        except (*NOT_JSON, RecursionError):
            return False
        return True


def _whole_events(piece: bytes) -> Sequence[WireEvent] | None:
    """The events of a piece in which each is one line of data and an empty line; or `None`."""
    events: list[WireEvent] = []
    if b"\r" in piece:
        return None
    for event in piece[:-2].split(b"\n\n"):
        if event[:6] != b"data: " or event[6:7] <= b" " or b"\n" in event:
            return None
        events.append(WireEvent(event[6:]))
    return events


def encode_event(data: bytes) -> bytes:
    """Encode one JSON value, which must not contain line breaks, as an event."""
    return b"data: %b\n\n" % data
