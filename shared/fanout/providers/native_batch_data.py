"""The data of native batches, as several codecs write and read it: lines, rows, files and forms."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from ..errors import ErrorDetail, RequestError
from ..schema.request import ChatRequest
from ..wire import json
from ..wire.http import WireResponse
from .base import BadWire, Codec, Target, WireError
from .native_batch import NativeLine, Row

ABOUT_THE_REQUEST = frozenset({400, 404, 413, 422})
"""Statuses of a row whose request is wrong; the same request would fail again."""


def encoded_body(codec: Codec, request: ChatRequest, target: Target) -> dict[str, Any]:
    """The body of one request as in real time, but without a service tier: a batch is one."""
    body = {name: value for name, value in request.body.items() if name != "service_tier"}
    plain = replace(request, service_tier=None, body=body)
    encoded: dict[str, Any] = json.decode(codec.encode(plain, target, False).body)
    return encoded


def rejection_of(
    line: NativeLine, write: Callable[[list[NativeLine]], bytes], most: int
) -> str | None:
    """Why a line cannot be written, or is longer than `most` bytes."""
    try:
        size = len(write([line]))
    except RequestError as error:
        return str(error)
    return f"the line has {size} bytes; at most {most}" if size > most else None


def ok_row(row_id: str, body: object, codec: Codec, target: Target) -> Row:
    """The row of a success. If its body cannot be read it is paid for: it has failed for good."""
    try:
        completion = codec.decode(WireResponse(200, {}, json.encode(body)), target)
    except WireError as error:
        return failed_row(row_id, error.status, error.detail)
    except (BadWire, *json.NOT_JSON) as error:
        detail = ErrorDetail(f"the response cannot be read: {error}", code="provider_malformed")
        return Row(row_id, "failed", status=502, error=detail, may_succeed=False)
    return Row(row_id, "ok", completion, 200)


def failed_row(row_id: str, status: int, detail: ErrorDetail) -> Row:
    """The row of a failure; only one that is about the request would fail again."""
    return Row(
        row_id,
        "failed",
        status=status,
        error=detail,
        may_succeed=status not in ABOUT_THE_REQUEST,
    )


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object; raises `BadWire`."""
    value = json.decode_or_none(data)
    if not isinstance(value, dict):
        raise BadWire("this is not a JSON object")
    return value


def json_lines(values: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(json.encode(value) + b"\n" for value in values)


def is_cut(data: bytes) -> bool:
    """
    Whether a result file ends in the middle of a row, so that it has to be fetched again.

    A vendor may leave out the newline after the last row. No part of a JSON object is one.
    """
    last = data.rpartition(b"\n")[2]
    return bool(last.strip()) and not isinstance(json.decode_or_none(last), dict)


def multipart(fields: Mapping[str, str], filename: str, data: bytes) -> tuple[str, bytes]:
    """
    The content type and the body of a form with a file; the same for the same values.

    The boundary is a digest of the data, so it does not occur in it. RFC 7578.
    """
    boundary = hashlib.sha256(data).hexdigest()
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    body = "".join(parts).encode() + head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


def seconds_of(value: object) -> float | None:
    """A time in seconds since 1970: a number, or a text as in RFC 3339."""
    from datetime import datetime

    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return None
    return None


def text_of(value: object) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def required_text(value: Mapping[str, Any], name: str, what: str) -> str:
    """A field that `what` must have; raises `BadWire` if it is no text, or empty."""
    if (found := text_of(value.get(name))) is None:
        raise BadWire(f"the {what} has no `{name}`")
    return found


def object_of(value: object) -> Mapping[str, Any]:
    """An object; what is none has no fields."""
    return value if isinstance(value, dict) else {}


def whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
