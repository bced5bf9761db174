"""
Decodes AWS event streams (`application/vnd.amazon.eventstream`): frames of headers and a payload.

A frame consists of its length, the length of its headers, a checksum of these two, the headers, the
payload, and a checksum of everything before it, all big-endian. The encoding:
https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html. The headers:
https://smithy.io/2.0/aws/amazon-eventstream.html. Does not depend on the payloads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias
from zlib import crc32

from . import json
from .http import WireEvent

# botocore's limits, in bytes.
MAX_HEADERS = 128 * 1024
MAX_PAYLOAD = 24 * 1024 * 1024

EXCEPTION, ERROR = "exception/", "error/"
"""The start of `WireEvent.type` for a failure; the names of events have no slash."""

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CHECKSUM.size

HeaderValue: TypeAlias = bool | int | str | bytes

# Types of header values. Booleans have no bytes, numbers and UUIDs a fixed number of them; bytes
# and texts start with their length. A timestamp (8) is in milliseconds.
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
    """The bytes are not a valid event stream, or were corrupted; the message is safe to show."""


class EventStreamFramer:
    """
    Decodes bytes to events and verifies the checksums; raises `BadFrame` for an invalid frame.

    The type of an event is its `:event-type` header. That of an exception is `exception/NAME`, with
    its payload as data. That of an error is `error/CODE`; its data is `{"message": …}`, made from
    its headers.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # joined only when a frame may be complete: O(n) for big ones
        self._size = 0
        self._needed = _PRELUDE.size

    def feed(self, data: bytes) -> Iterator[WireEvent]:
        """Yield the events that `data` completes."""
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return
        buffer, start = b"".join(self._parts), 0
        self._needed = _PRELUDE.size
        while len(buffer) - start >= _PRELUDE.size:
            total, headers = _read_prelude(buffer[start : start + _PRELUDE.size])
            if len(buffer) - start < total:
                self._needed = total
                break
            yield _read_frame(buffer[start : start + total], headers)
            start += total
        self._parts, self._size = [buffer[start:]], len(buffer) - start


def _read_prelude(data: bytes) -> tuple[int, int]:
    """The length of the frame and of its headers; raises `BadFrame` if the checksum is wrong."""
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
            message = json.encode({"message": _text(headers, ":error-message")})
            return WireEvent(message, ERROR + _text(headers, ":error-code"))
        case _:
            raise BadFrame("a frame is neither an event nor an exception nor an error")


def _text(headers: dict[str, HeaderValue], name: str) -> str:
    value = headers.get(name, "")
    if not isinstance(value, str):
        raise BadFrame(f"the header `{name}` is not a text")
    return value


def read_headers(data: bytes) -> dict[str, HeaderValue]:
    """The headers of a frame, by name; raises `BadFrame` if a name appears twice."""
    found: dict[str, HeaderValue] = {}
    offset = 0
    try:
        while offset < len(data):
            start = offset + 1
            offset = start + data[offset]
            name, kind = data[start:offset].decode(), data[offset]
            if name in found:
                raise BadFrame("a header appears twice in one frame")
            found[name], offset = _read_value(data, kind, offset + 1)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise BadFrame("a frame's headers are incomplete or not valid UTF-8") from None
    if offset != len(data):
        raise BadFrame("a frame's headers are incomplete or not valid UTF-8")
    return found


def _read_value(data: bytes, kind: int, offset: int) -> tuple[HeaderValue, int]:
    """A header's value, and the offset of the next header."""
    if kind in {_TRUE, _FALSE}:
        return kind == _TRUE, offset
    if number := _NUMBERS.get(kind):
        return number.unpack_from(data, offset)[0], offset + number.size
    if kind == _UUID:
        return data[offset : offset + _UUID_SIZE], offset + _UUID_SIZE
    if kind not in {_BYTES, _TEXT}:
        raise BadFrame("a header's value has an unknown type")
    start = offset + _LENGTH.size
    end = start + _LENGTH.unpack_from(data, offset)[0]
    return (data[start:end].decode() if kind == _TEXT else data[start:end]), end
