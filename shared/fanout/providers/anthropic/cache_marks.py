"""The `cache_control` marks of a request. The API accepts only some of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..fields import UnsupportedFields
from ..request_reader import Block
from .rules import MOST_MARKS


def limit_marks(body: dict[str, Any], unsupported: UnsupportedFields) -> None:
    """Remove the first marks from our own `body` if there are too many: the last cache most."""
    marked = [block for block in _blocks(body) if "cache_control" in block]
    most = MOST_MARKS - ("cache_control" in body)
    for block in marked[:-most]:
        unsupported.note("messages[].cache_control")
        del block["cache_control"]


def _blocks(body: dict[str, Any]) -> Iterator[Block]:
    """Each block that may have a mark, in the order in which the model reads them."""
    yield from body.get("tools", ())
    yield from _inner(body.get("system"))
    for message in body["messages"]:
        for block in _inner(message["content"]):
            yield from _inner(block.get("content"))
            yield block


def _inner(content: Any) -> list[Block]:
    return content if isinstance(content, list) else []
