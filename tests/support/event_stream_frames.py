"""Encodes AWS's event streams, which `fanout.wire.eventstream` decodes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

TEXT = 7


def frame(headers: bytes, payload: bytes) -> bytes:
    """One frame with correct checksums."""
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def texts(headers: Mapping[str, str]) -> bytes:
    """Headers with string values, as all of Bedrock's are."""
    return b"".join(
        _short(name) + bytes([TEXT, 0]) + _short(value) for name, value in headers.items()
    )


def _short(text: str) -> bytes:
    """A text of less than 256 bytes, preceded by its length."""
    data = text.encode()
    return bytes([len(data)]) + data


def event(kind: str, payload: Any) -> bytes:
    """An event in Bedrock's format."""
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(texts(headers), compact(payload))


def exception(kind: str, payload: Any) -> bytes:
    """An error that AWS's service model declares."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(texts(headers), compact(payload))


def error(code: str, message: str) -> bytes:
    """An error that AWS's service model does not declare."""
    headers = {":message-type": "error", ":error-code": code, ":error-message": message}
    return frame(texts(headers), b"")


def stream(events: Iterable[tuple[str, Any]]) -> bytes:
    return b"".join(event(kind, payload) for kind, payload in events)


def compact(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
