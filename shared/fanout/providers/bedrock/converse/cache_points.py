"""The cache points of a request. Each model accepts only some of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from ...fields import UnsupportedFields
from ...request_reader import Block
from ..models import is_unknown
from ..rules import CACHING, MOST_POINTS, CacheRules

_ANY = CacheRules("", long=True)


@lru_cache(maxsize=256)
def cache_rules(kind: str) -> CacheRules | None:
    """The rules of the model; `None` if it has no cache. One known only by an ARN may have all."""
    if is_unknown(kind):
        return _ANY
    return next((rules for rules in CACHING if re.search(rules.models, kind)), None)


def cache_point(
    raw: Mapping[str, Any], kind: str, unsupported: UnsupportedFields, *, of_tool: bool = False
) -> list[Block]:
    """
    The cache point after a message, a part, a call or a tool, if it has a `cache_control`.

    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    """
    mark = raw.get("cache_control")
    if not mark:
        return []
    rules = cache_rules(kind)
    place = "tools[].cache_control" if of_tool else "messages[].cache_control"
    if rules is None or (of_tool and not rules.tools):
        unsupported.note(place)
        return []
    ttl = mark.get("ttl") if isinstance(mark, dict) else None
    if ttl and not rules.long:
        if ttl != "5m":  # five minutes are the default
            unsupported.note(f"{place}.ttl")
        ttl = None
    return [{"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}]


def limit_points(body: dict[str, Any], unsupported: UnsupportedFields) -> None:
    """Remove the first points from our own `body` if there are too many: the last cache most."""
    places = [(blocks, block) for blocks in _lists(body) for block in blocks]
    points = [(blocks, block) for blocks, block in places if "cachePoint" in block]
    for blocks, point in points[:-MOST_POINTS]:
        unsupported.note("messages[].cache_control")
        index = next(i for i, block in enumerate(blocks) if block is point)
        del blocks[index]


def _lists(body: dict[str, Any]) -> Iterator[list[Block]]:
    """Each list that may have a point, in the order in which the model reads them."""
    yield body.get("toolConfig", {}).get("tools", [])
    yield body.get("system", [])
    for message in body["messages"]:
        yield message["content"]
