"""Pages of lists: their query, and their body, as OpenAI's API has them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from ..errors import RequestError
from .exchange import Exchange


def query_of(exchange: Exchange) -> dict[str, str]:
    """The parameters of the request's address, each with its last value."""
    return {name: values[-1] for name, values in parse_qs(exchange.query).items()}


def limit_of(query: dict[str, str], default: int, most: int) -> int:
    """The `limit` of the query; raises `RequestError` for one that is not from 1 to `most`."""
    text = query.get("limit", str(default))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004
    if not 1 <= limit <= most:
        raise RequestError(f"`limit` must be between 1 and {most}", "limit")
    return limit


def list_body(data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:  # noqa: FBT001
    """A page of a list, in OpenAI's form."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
