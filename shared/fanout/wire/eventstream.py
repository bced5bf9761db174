"""
AWS's event streams (`application/vnd.amazon.eventstream`): frames of headers and a payload.

A frame is its length, its headers' length, a checksum of these two, the headers, the payload and
a checksum of everything before it, all big-endian. See
https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html for the bytes and
https://smithy.io/2.0/aws/amazon-eventstream.html for what the headers mean.
Knows nothing of what the payloads say.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias
from zlib import crc32

from . import json
from .http import WireEvent

# What botocore's own reader takes.
MAX_HEADERS = 128 * 1024
MAX_PAYLOAD = 24 * 1024 * 1024

EXCEPTION, ERROR = "exception/", "error/"
"""How the `WireEvent.type` of a failure begins; no name of an event has a slash in it."""

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CHECKSUM.size

HeaderValue: TypeAlias = bool | int | str | bytes

# Types of header values: some have no bytes, some as many as their number has, and some say how
# many. A timestamp is its milliseconds.
_TRUE, _FALSE, _BYTES, _TEXT, _UUID = 0, 1, 6, 7, 9
_NUMBERS = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
}
_UUID_SIZE = 16
_LENGTH = struct.Struct(">H")


class BadFrame(ValueError):
    """The bytes are no event stream, or were changed on the way; the message is safe to show."""


class EventStreamFramer:
    """
    Decode bytes to events, checksums and all; raise `BadFrame` at the first byte that is wrong.

    An event's type is its `:event-type`. A failure's is `exception/NAME`, with what it says as its
    data, or `error/CODE`, with `{"message": …}` made of its headers.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # joined only when a frame may end: a huge one stays linear
        self._size = 0
        self._wanted = _PRELUDE.size

    def feed(self, data: bytes) -> Iterator[WireEvent]:
        """Yield the events that `data` completes."""
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return
        buffer, start = b"".join(self._parts), 0
        self._wanted = _PRELUDE.size
        while len(buffer) - start >= _PRELUDE.size:
            total, headers = _read_prelude(buffer[start : start + _PRELUDE.size])
            if len(buffer) - start < total:
                self._wanted = total
                break
            yield _read_frame(buffer[start : start + total], headers)
            start += total
        self._parts, self._size = [buffer[start:]], len(buffer) - start


def _read_prelude(data: bytes) -> tuple[int, int]:
    """The frame's length and that of its headers, believed only with their checksum."""
    total, headers, checksum = _PRELUDE.unpack(data)
    if crc32(data[: -_CHECKSUM.size]) != checksum:
        raise BadFrame("a frame's prelude does not match its checksum")
    if headers > MAX_HEADERS or total - headers - _OVERHEAD > MAX_PAYLOAD:
        raise BadFrame("a frame is larger than any that AWS sends")
    if total < headers + _OVERHEAD:
        raise BadFrame("a frame is shorter than its headers")
    return total, headers


def _read_frame(frame: bytes, headers_size: int) -> WireEvent:
    end = len(frame) - _CHECKSUM.size
    if crc32(frame[:end]) != _CHECKSUM.unpack_from(frame, end)[0]:
        raise BadFrame("a frame does not match its checksum")
    payload = _PRELUDE.size + headers_size
    return _read_event(read_headers(frame[_PRELUDE.size : payload]), frame[payload:end])


def _read_event(headers: dict[str, HeaderValue], payload: bytes) -> WireEvent:
    match headers.get(":message-type", "event"):
        case "event":
            return WireEvent(payload, _text(headers, ":event-type"))
        case "exception":
            return WireEvent(payload, EXCEPTION + _text(headers, ":exception-type"))
        case "error":
            said = json.encode({"message": _text(headers, ":error-message")})
            return WireEvent(said, ERROR + _text(headers, ":error-code"))
        case _:
            raise BadFrame("a frame is neither an event nor an exception nor an error")


def _text(headers: dict[str, HeaderValue], name: str) -> str:
    value = headers.get(name, "")
    if not isinstance(value, str):
        raise BadFrame(f"the header `{name}` is not a text")
    return value


def read_headers(data: bytes) -> dict[str, HeaderValue]:
    """The headers of a frame; each has a name of its own."""
    found: dict[str, HeaderValue] = {}
    place = 0
    try:
        while place < len(data):
            start = place + 1
            place = start + data[place]
            name, kind = data[start:place].decode(), data[place]
            if name in found:
                raise BadFrame("a header appears twice in one frame")
            found[name], place = _read_value(data, kind, place + 1)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise BadFrame("a frame's headers are cut short or are no text") from None
    if place != len(data):
        raise BadFrame("a frame's headers are cut short or are no text")
    return found


def _read_value(data: bytes, kind: int, place: int) -> tuple[HeaderValue, int]:
    """A header's value, and where the next header begins."""
    if kind in {_TRUE, _FALSE}:
        return kind == _TRUE, place
    if number := _NUMBERS.get(kind):
        return number.unpack_from(data, place)[0], place + number.size
    if kind == _UUID:
        return data[place : place + _UUID_SIZE], place + _UUID_SIZE
    if kind not in {_BYTES, _TEXT}:
        raise BadFrame("a header's value is of no known type")
    start = place + _LENGTH.size
    end = start + _LENGTH.unpack_from(data, place)[0]
    return (data[start:end].decode() if kind == _TEXT else data[start:end]), end
