"""
The tags of a request, which its spend row has: `metadata.tags` and the header `x-litellm-tags`.

Both are LiteLLM's. Vendors of vectors, and Anthropic, reject `metadata.tags`: it is not sent on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..wire import json
from ..wire.json_members import find_members

HEADER = "x-litellm-tags"


def tags_in(metadata: object) -> tuple[str, ...]:
    """The tags in a request's `metadata`."""
    given = metadata.get("tags") if isinstance(metadata, dict) else None
    return tuple(one for one in given if isinstance(one, str)) if isinstance(given, list) else ()


def tags_of_header(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The tags in the header, which has commas between them."""
    return tuple(one.strip() for one in headers.get(HEADER, "").split(",") if one.strip())


def split_tags(body: Any) -> tuple[Any, tuple[str, ...]]:
    """The body without `metadata.tags`, or without `metadata` if it has nothing else; the tags."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("tags"), list):
        return body, ()
    rest = {name: value for name, value in metadata.items() if name != "tags"}
    others = {name: value for name, value in body.items() if name != "metadata"}
    return ({**body, "metadata": rest} if rest else others), tags_in(metadata)


def bytes_without_tags(data: bytes, value: Any) -> bytes:
    """The body `data` of `split_tags`, whose other bytes are kept; `value` is without the tags."""
    try:
        members = find_members(data)
        inner = find_members(members.value("metadata") or b"{}")
    except (json.BadJSON, *json.NOT_JSON):
        return json.encode(value)
    rest = inner.changed({"tags": None}) if "metadata" in value else None
    return members.changed({"metadata": rest})
