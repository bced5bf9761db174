"""What several doubles read and write: JSON, rows, forms, times, and OpenAI's responses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any, TypeAlias

import msgspec

from fanout.wire.http import WireRequest, WireResponse

from .bill import RECEIVED, Lane, tokens_of
from .timeline import Line, Result

Rows: TypeAlias = list[dict[str, Any]]


def text_of(content: object) -> str:
    """The text of a message's content: a string, or the first part that has a text."""
    if isinstance(content, list):
        return str(next(part["text"] for part in content if "text" in part))
    return str(content)


def reply(value: object, status: int = 200, **headers: str) -> WireResponse:
    """A response with JSON; in header names, `_` is `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    kind = {"content-type": "application/json"}
    return WireResponse(status, {**kind, **named}, json.dumps(value).encode())


def json_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return msgspec.json.Encoder().encode_lines(list(rows))


def read_rows(data: bytes) -> Iterator[tuple[int, Any]]:
    """The lines of a file, from 1; `None` for one that is no JSON."""
    for number, line in enumerate(data.splitlines(), 1):
        try:
            yield number, json.loads(line)
        except ValueError:
            yield number, None


def kinds(results: Iterable[Result], *wanted: str) -> list[Line]:
    """The lines with such a result."""
    return [result.line for result in results if result.kind in wanted]


def rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def completion(text: str, lane: Lane, model: str) -> dict[str, Any]:
    """A chat completion that repeats its prompt."""
    message = {"role": "assistant", "content": f"echo: {text}"}
    sent = tokens_of(text)
    usage = {"prompt_tokens": sent, "completion_tokens": RECEIVED}
    tier = {"service_tier": "flex"} if lane == "flex" else {}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1_788_370_740,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {**usage, "total_tokens": sent + RECEIVED},
        **tier,
    }


def read_form(request: WireRequest) -> tuple[dict[str, str], bytes]:
    """The fields of a form, and its file: RFC 7578."""
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    form: Any = message_from_bytes(head + request.body)
    fields, content = {}, b""
    for name, part in _parts(form):
        if name == "file":
            content = part.get_payload(decode=True)
        else:
            fields[name] = part.get_payload()
    return fields, content


def _parts(form: Any) -> Iterator[tuple[str, Any]]:
    for part in form.get_payload():
        yield part.get_param("name", header="content-disposition"), part
