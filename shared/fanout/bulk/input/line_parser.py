"""Lines as the bodies of requests, and back."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ...wire import json
from .lines import (
    EMBEDDINGS,
    ENDPOINT,
    BadLine,
    is_for_embeddings,
    model_in_url,
    read_head,
    whole_line,
)

UNREADABLE = "this line has a number that is too large, or is nested too deeply"
"""The planner does not check for this, since it would have to parse every line completely."""


class Line(Struct, frozen=True):
    """
    A line as a request body, of a chat or for embeddings.

    If it cannot be parsed, the body is empty and `parse_error` set.
    """

    custom_id: str
    body: dict[str, Any]
    parse_error: str | None = None
    is_embedding: bool = False


def parse_line(data: bytes, number: int, default_model: str | None) -> Line:
    """Parse a line that the planner has accepted."""
    is_embedding = False
    try:
        value = _parsed(data)
    except (msgspec.MsgspecError, RecursionError):
        return Line(_custom_id_of(data, number), {}, UNREADABLE)
    if isinstance(value, list):
        custom_id = f"line-{number}"
        body: dict[str, Any] = {"messages": value}
    elif "body" in value:
        custom_id, body = value["custom_id"], value["body"]
        url = value.get("url") or ENDPOINT
        is_embedding = is_for_embeddings(url)
        if named := model_in_url(url):
            body = {**body, "model": named}
    else:
        custom_id, body = _short_request(value, number)
    if body.get("model") is None and "models" not in (body.get("fanout") or {}):
        body = {**body, "model": default_model}
    return Line(custom_id, body, is_embedding=is_embedding)


def _parsed(data: bytes) -> Any:
    """A line's value; half of a surrogate pair is U+FFFD, as in a request over HTTP."""
    try:
        return json.decode(data)
    except msgspec.MsgspecError:
        return json.decode(whole_line(data))


def _short_request(value: dict[str, Any], number: int) -> tuple[str, dict[str, Any]]:
    """The name and the body of `{"messages": […]}` or `{"prompt": "…"}`."""
    body = {name: inner for name, inner in value.items() if name not in {"custom_id", "prompt"}}
    if value.get("prompt") is not None:
        body["messages"] = [{"role": "user", "content": value["prompt"]}]
    return value.get("custom_id") or f"line-{number}", body


def _custom_id_of(data: bytes, number: int) -> str:
    """The `custom_id` of a line that the planner has accepted and that cannot be parsed."""
    try:
        return read_head(data, number, "any").custom_id
    except BadLine:  # nested deeply; whether it can be read depends on the stack
        return f"line-{number}"


def batch_line(line: Line) -> bytes:
    """The batch line of a request, with its line break; the reverse of `parse_line`."""
    url = EMBEDDINGS if line.is_embedding else ENDPOINT
    value = {"custom_id": line.custom_id, "method": "POST", "url": url, "body": line.body}
    return json.encode(value) + b"\n"
