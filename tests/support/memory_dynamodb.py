"""DynamoDB in memory and virtual time: as slow as the real one, with its limit for each item."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fanout.aws.dynamodb import ConditionFailed, TableUnavailable
from tests.support.virtual_clock import now

WRITES_PER_SECOND = 1_000
"""
Writes a second of one item, rejected ones included:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html.
"""

BURST = 100
"""Writes that may come at once; DynamoDB often accepts more."""

SECONDS = 0.005
"""What a call takes."""

Attributes = dict[str, Any]


class MemoryDynamoDB:
    """What `DynamoDBStore` calls. `calls` counts the operations, `throttled` the rejected ones."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Attributes] = {}
        self._room: dict[tuple[str, str], tuple[float, float]] = {}
        self.calls: Counter[str] = Counter()
        self.throttled = 0

    @property
    def writes(self) -> int:
        """The writes so far."""
        return self.calls["UpdateItem"] + self.calls["PutItem"]

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(SECONDS / 2)
        self.calls[operation] += 1
        try:
            return self._done(operation, arguments)
        finally:
            await asyncio.sleep(SECONDS / 2)

    def _done(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        names = arguments.get("Key") or arguments["Item"]
        key = (names["partition"]["S"], names["name"]["S"])
        old = self._items.get(key)
        if operation == "GetItem":
            return {"Item": old} if old else {}
        self._throttle(key)
        if operation == "PutItem":
            if old is not None:
                raise ConditionFailed
            self._items[key] = dict(arguments["Item"])
            return {}
        assert operation == "UpdateItem"
        new = self._items[key] = updated(old, arguments)
        return {"Attributes": new}

    def _throttle(self, key: tuple[str, str]) -> None:
        """Reject a write to an item beyond a second's worth of them."""
        room, at = self._room.get(key, (float(BURST), 0.0))
        room = min(float(BURST), room + WRITES_PER_SECOND * (now() - at))
        if room < 1:
            self.throttled += 1
            self._room[key] = room, now()
            code = "ThrottlingException"
            raise TableUnavailable(code, code)
        self._room[key] = room - 1, now()


def updated(old: Attributes | None, arguments: Mapping[str, Any]) -> Attributes:
    """The item after an update with the expressions that the store writes."""
    names, values = (
        arguments["ExpressionAttributeNames"],
        arguments["ExpressionAttributeValues"],
    )
    for condition in arguments["ConditionExpression"].split(" AND "):
        name, operator, value = condition.split()
        if old is None or not holds(old.get(names[name]), operator, values[value]):
            raise ConditionFailed(old)
    new = dict(old or {})
    set_, _, add = arguments["UpdateExpression"].partition("ADD ")
    for part in set_.removeprefix("SET ").split(", "):
        if part.strip():
            name, value = part.split(" = ")
            new[names[name]] = values[value.strip()]
    for part in add.split(", "):
        if part:
            name, value = part.split()
            number = int(new.get(names[name], {"N": "0"})["N"]) + int(values[value]["N"])
            new[names[name]] = {"N": str(number)}
    return new


def holds(found: Attributes | None, operator: str, value: Attributes) -> bool:
    if found is None:
        return False
    if operator == "=":
        return found == value
    left, right = int(found["N"]), int(value["N"])
    return left >= right if operator == ">=" else left > right
