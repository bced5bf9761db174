"""
Accounts and spend rows in a DynamoDB table with the keys `partition` and `name`.

Each update is one `UpdateItem` with a condition. It is sent again only if DynamoDB says that it did
not make it: otherwise it could be counted twice. See
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
(2026-11).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from ..aws.dynamodb import ConditionFailed, DynamoDB, TableUnavailable
from ..errors import StorageBusy
from .items import Item, ItemKey, Update, UpdateConflict

THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
)
"""DynamoDB's codes for calls that it did not make because there were too many."""

PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds before such a call is sent again, on average."""

KEYS = frozenset({"partition", "name"})
LAST = "\U0010ffff"


class DynamoDBStore:
    """A `Store` in a table. Reads are consistent."""

    def __init__(self, table: str, database: DynamoDB) -> None:
        self._table = table
        self._database = database

    def close(self) -> None:
        """There is nothing to close: the connection is the gateway's."""

    async def get(self, key: ItemKey) -> Item | None:
        """The item, or `None`."""
        found = await self._call("GetItem", {"Key": _key(key), "ConsistentRead": True})
        return _read(found["Item"]) if "Item" in found else None

    async def create(self, key: ItemKey, item: Item) -> bool:
        """Write a new item; whether there was none."""
        try:
            await self._call(
                "PutItem",
                {
                    "Item": {**_written(item), **_key(key)},
                    "ConditionExpression": "attribute_not_exists(#p)",
                    "ExpressionAttributeNames": {"#p": "partition"},
                },
            )
        except ConditionFailed:
            return False
        return True

    async def update(self, update: Update) -> Item:
        """Make the update and return the new item; raises `UpdateConflict`."""
        try:
            done = await self._call("UpdateItem", {"Key": _key(update.key), **_expressions(update)})
        except ConditionFailed as failed:
            raise UpdateConflict(_read(failed.item) if failed.item else None) from None
        return _read(done["Attributes"])

    async def delete(self, key: ItemKey) -> Item | None:
        """Delete the item and return it."""
        done = await self._call("DeleteItem", {"Key": _key(key), "ReturnValues": "ALL_OLD"})
        return _read(done["Attributes"]) if "Attributes" in done else None

    async def items(
        self, partition: str, *, after: str = "", before: str = "", limit: int = 1_000
    ) -> Sequence[tuple[str, Item]]:
        """The items of a partition with `after < name < before`, sorted by name."""
        found: list[tuple[str, Item]] = []
        query: dict[str, Any] = {
            "KeyConditionExpression": "#p = :p AND #n BETWEEN :after AND :before",
            "ExpressionAttributeNames": {"#p": "partition", "#n": "name"},
            "ExpressionAttributeValues": {
                ":p": {"S": partition},
                ":after": {"S": after + "\0"},
                ":before": {"S": before or LAST},
            },
            "ConsistentRead": True,
        }
        while True:
            page = await self._call("Query", {**query, "Limit": limit - len(found)})
            items = [(one["name"]["S"], _read(one)) for one in page.get("Items", ())]
            found += [(name, item) for name, item in items if name != before]
            if "LastEvaluatedKey" not in page or len(found) >= limit:
                return found
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def _call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for pause in PAUSES:
            try:
                return await self._database.call(operation, {"TableName": self._table, **arguments})
            except TableUnavailable as error:
                if error.reason not in THROTTLED:
                    raise
                await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311 -- a pause
        try:
            return await self._database.call(operation, {"TableName": self._table, **arguments})
        except TableUnavailable as error:
            if error.reason in THROTTLED:  # so it is known that nothing was written
                raise StorageBusy("virtual keys", error.reason) from None
            raise


def _expressions(update: Update) -> dict[str, Any]:
    """The update as DynamoDB's expressions."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    numbers = count()

    def named(field: str, value: Any) -> tuple[str, str]:
        number = next(numbers)
        names[f"#f{number}"], values[f":v{number}"] = field, _value(value)
        return f"#f{number}", f":v{number}"

    def joined(pairs: Mapping[str, Any], between: str) -> str:
        return ", ".join(between.join(named(name, value)) for name, value in pairs.items())

    conditions = [f" {one.is_} ".join(named(one.field, one.value)) for one in update.conditions]
    changes = [f"SET {joined(update.set, ' = ')}"] if update.set else []
    changes += [f"ADD {joined(update.add, ' ')}"] if update.add else []
    return {
        "UpdateExpression": " ".join(changes),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _key(key: ItemKey) -> dict[str, Any]:
    return {"partition": {"S": key.partition}, "name": {"S": key.name}}


def _written(item: Item) -> dict[str, Any]:
    return {name: _value(value) for name, value in item.items()}


def _value(value: Any) -> dict[str, Any]:
    """A value in DynamoDB's form."""
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case Mapping():
            return {"M": _written(value)}
        case _:
            return {"L": [_value(one) for one in value]}


def _read(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in attributes.items() if name not in KEYS}


def _plain(value: Mapping[str, Any]) -> Any:
    match value:
        case {"N": number}:
            return int(number)
        case {"L": values}:
            return [_plain(one) for one in values]
        case {"M": fields}:
            return {name: _plain(one) for name, one in fields.items()}
        case _:
            return next(iter(value.values()))
