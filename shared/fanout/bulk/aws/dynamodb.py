"""
Records and counts in one DynamoDB table: `kind` and `id` are its keys, `value` is ours.

Reads are consistent. A record is under DynamoDB's 400 KB.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from .clients import ClientError, call, code_of

REFUSED = "ConditionalCheckFailedException"
BATCH = 25


class DynamoTable:
    """Records by kind and id."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    async def get(self, kind: str, key: str) -> bytes | None:
        """A record."""
        item = await self.item(kind, key)
        return item["value"]["B"] if item else None

    async def item(self, kind: str, key: str) -> dict[str, Any] | None:
        """A record with all its attributes, as DynamoDB writes them."""
        found = await call(
            self.client.get_item,
            TableName=self.name,
            Key=keys_of(kind, key),
            ConsistentRead=True,
        )
        item: dict[str, Any] | None = found.get("Item")
        return item

    async def put(self, kind: str, key: str, new: bytes, old: bytes | None) -> bool:
        """Compare and set."""
        item = keys_of(kind, key) | {"value": {"B": new}}
        return await self.attempt(self.client.put_item, Item=item, **_still(old)) is not None

    async def swap(
        self, kind: str, key: str, new: bytes, old: bytes | None, *, ttl: int
    ) -> tuple[bool, bytes | None]:
        """Compare and set; whether it was, and what is there if it was not."""
        item = keys_of(kind, key) | {"value": {"B": new}, "ttl": {"N": str(ttl)}}
        try:
            await call(
                self.client.put_item,
                TableName=self.name,
                Item=item,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **_still(old),
            )
        except ClientError as error:
            if code_of(error) != REFUSED:
                raise
            found: Any = error.response.get("Item")  # not every emulator tells
            return False, found["value"]["B"] if found else await self.get(kind, key)
        return True, new

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a record."""
        done = await call(
            self.client.delete_item,
            TableName=self.name,
            Key=keys_of(kind, key),
            ReturnValues="ALL_OLD",
        )
        return "Attributes" in done

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[bytes]:
        """By id, which is by time."""
        query: dict[str, Any] = {
            "KeyConditionExpression": "kind = :kind",
            "ExpressionAttributeValues": {":kind": {"S": kind}},
            "ScanIndexForward": not newest_first,
        }
        if after is not None:
            query["KeyConditionExpression"] += f" AND id {'<' if newest_first else '>'} :after"
            query["ExpressionAttributeValues"][":after"] = {"S": after}
        found: list[bytes] = []
        async for item in self.query(limit=limit, **query):
            found.append(item["value"]["B"])
            if len(found) == limit:
                break
        return found

    async def claim(self, kind: str, key: str, owner: str, until: int) -> str:
        """Whose it is: the first who claims it, until DynamoDB drops the claim at that time."""
        item = keys_of(kind, key) | {"value": {"B": owner.encode()}, "ttl": {"N": str(until)}}
        condition = "attribute_not_exists(kind)"
        if await self.attempt(self.client.put_item, Item=item, ConditionExpression=condition):
            return owner
        known = await self.get(kind, key)
        return known.decode() if known else owner

    # ---- for the ledger ----

    async def attempt(self, method: Any, **arguments: Any) -> dict[str, Any] | None:
        """A conditional write; `None` if the condition did not hold."""
        try:
            done: dict[str, Any] = await call(method, TableName=self.name, **arguments)
        except ClientError as error:
            if code_of(error) == REFUSED:
                return None
            raise
        return done

    async def query(self, limit: int | None = None, **query: Any) -> AsyncIterator[dict[str, Any]]:
        """All items of a query, page by page."""
        if limit is not None:
            query["Limit"] = limit
        while True:
            page = await call(self.client.query, TableName=self.name, ConsistentRead=True, **query)
            for item in page["Items"]:
                yield item
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def items(self, kind: str) -> AsyncIterator[dict[str, Any]]:
        """All items of a kind."""
        return self.query(
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": kind}},
        )

    async def clear(self, kind: str) -> None:
        """Delete every record of a kind."""
        keys = [{"kind": item["kind"], "id": item["id"]} async for item in self.items(kind)]
        for batch in _batches(keys):
            asked = {self.name: [{"DeleteRequest": {"Key": key}} for key in batch]}
            while asked:
                done = await call(self.client.batch_write_item, RequestItems=asked)
                asked = done.get("UnprocessedItems") or {}


def _still(old: bytes | None) -> dict[str, Any]:
    """The condition that a record is as it was; `None`: that there is none."""
    if old is None:
        return {"ConditionExpression": "attribute_not_exists(kind)"}
    return {
        "ConditionExpression": "#value = :old",
        "ExpressionAttributeNames": {"#value": "value"},
        "ExpressionAttributeValues": {":old": {"B": old}},
    }


def keys_of(kind: str, key: str) -> dict[str, Any]:
    """A record's keys, as DynamoDB writes them."""
    return {"kind": {"S": kind}, "id": {"S": key}}


def _batches(keys: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
