"""A DynamoDB client in memory that counts capacity units by partition key and second."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import Any

from tests.support.virtual_clock import now

READ_UNIT, WRITE_UNIT, PAGE = 4_096, 1_024, 1_048_576
"""
Bytes of a strongly consistent read unit (an eventually consistent read takes half as many units),
of a write unit, and of a query's page:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html.
"""

READS_PER_SECOND, WRITES_PER_SECOND = 3_000, 1_000
"""
The units a second of a partition, and so of one partition key:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html.
"""

Item = Mapping[str, Mapping[str, Any]]


class CapacityTable:
    """
    The methods of boto3's client that a job's progress uses; conditions always hold.

    `reads` and `writes` have the units by partition key and second of the virtual clock.
    """

    def __init__(self) -> None:
        self.reads: Counter[tuple[str, int]] = Counter()
        self.writes: Counter[tuple[str, int]] = Counter()
        self._items: dict[str, dict[str, tuple[Item, int]]] = {}
        self._ids: dict[str, list[str]] = {}

    def most(self, units: Counter[tuple[str, int]], kind: str) -> int:
        """The most units of one second."""
        return max((count for (found, _), count in units.items() if found == kind), default=0)

    def put_item(self, *, Item: Item, **_: Any) -> dict[str, Any]:  # noqa: N803 -- boto3's
        kind, key = Item["kind"]["S"], Item["id"]["S"]
        if key not in self._items.setdefault(kind, {}):
            insort(self._ids.setdefault(kind, []), key)
        total = size(Item)
        self._items[kind][key] = Item, total
        self.writes[kind, int(now())] += ceil(total / WRITE_UNIT)
        return {}

    def delete_item(self, *, Key: Item, **_: Any) -> dict[str, Any]:  # noqa: N803
        kind, key = Key["kind"]["S"], Key["id"]["S"]
        if self._items.get(kind, {}).pop(key, None) is not None:
            self._ids[kind].remove(key)
        self.writes[kind, int(now())] += 1
        return {}

    def get_item(self, *, Key: Item, **_: Any) -> dict[str, Any]:  # noqa: N803
        kind = Key["kind"]["S"]
        found, total = self._items.get(kind, {}).get(Key["id"]["S"], (None, 1))
        self.reads[kind, int(now())] += ceil(total / READ_UNIT)
        return {"Item": found} if found else {}

    def query(self, **query: Any) -> dict[str, Any]:
        """One page of a partition key's items; each page reads its sum of bytes."""
        kind = query["ExpressionAttributeValues"][":kind"]["S"]
        ids, start = self._ids.get(kind, []), query.get("ExclusiveStartKey")
        first = bisect_right(ids, start["id"]["S"]) if start else 0
        found, items, total, end = self._items.get(kind, {}), [], 0, first
        while end < len(ids) and total < PAGE:
            item, bytes_ = found[ids[end]]
            items.append(item)
            total += bytes_
            end += 1
        share = 1 if query["ConsistentRead"] else 2
        self.reads[kind, int(now())] += ceil(max(1, ceil(total / READ_UNIT)) / share)
        more = {"LastEvaluatedKey": {"id": {"S": ids[end - 1]}}} if end < len(ids) else {}
        return {"Items": items, **more}


def size(item: Item) -> int:
    """
    The bytes of an item, numbers by their digits:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html.
    """
    return sum(len(name) + len(str(*value.values())) for name, value in item.items())
