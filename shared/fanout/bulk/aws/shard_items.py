"""The items of a job's shards in DynamoDB: their counts, and whether they are complete. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...wire import json
from ..totals import Example, Totals, cut
from .dynamodb import item_key

PREFIX = "shard#"

FULL_EXAMPLES = 32
"""
The number of shards, from the first on, whose items have all examples of failures.

The others have one, of their rarest cause, because reading a job's totals means reading all these
items: each 100 bytes more of 5,000 shards are 60 of DynamoDB's 3,000 read units a second.
"""

SHORT_MESSAGE = 80
"""Characters of that example's message."""


class StoredShard(Struct, frozen=True):
    """A shard's counts as they are in the table, and the bytes of these."""

    complete: bool
    totals: Totals
    value: bytes


def to_store(shard: int, totals: Totals, *, complete: bool) -> StoredShard:
    """These counts of a shard, as they are stored."""
    if shard >= FULL_EXAMPLES:
        totals = replace(totals, examples=_rarest_example(totals))
    value = json.encode(totals)
    return StoredShard(complete, json.decode(value, type=Totals), value)


def _rarest_example(totals: Totals) -> dict[str, list[Example]]:
    """A short example of the cause with the fewest failures, which other shards hardly have."""
    if not totals.examples:
        return {}
    cause = min(totals.examples, key=lambda name: totals.causes.get(name, 0))
    example = totals.examples[cause][0]
    return {cause: [replace(example, message=cut(example.message, SHORT_MESSAGE))]}


def shard_id(shard: int) -> str:
    """The id of a shard's item."""
    return f"{PREFIX}{shard:08d}"


def shard_number(item: dict[str, Any]) -> int:
    """The number of an item's shard."""
    return int(item["id"]["S"].removeprefix(PREFIX))


def is_shard(item: dict[str, Any]) -> bool:
    """Whether an item of a job's counts is that of a shard."""
    return bool(item["id"]["S"].startswith(PREFIX))


def read_shard(item: dict[str, Any]) -> StoredShard:
    """The counts in an item."""
    value = bytes(item["value"]["B"])
    return StoredShard(item["complete"]["BOOL"], json.decode(value, type=Totals), value)


def write_item(kind: str, shard: int, new: StoredShard, ttl: int) -> dict[str, Any]:
    """The item of a shard."""
    return item_key(kind, shard_id(shard)) | {
        "value": {"B": new.value},
        "complete": {"BOOL": new.complete},
        "ttl": {"N": str(ttl)},
    }
