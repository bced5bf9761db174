"""
Records in one DynamoDB table: the partition key is `kind`, the sort key `id`, the bytes `value`.

Reads are strongly consistent unless their caller wants otherwise. A record has less than DynamoDB's
limit of 400 KB.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from msgspec import MsgspecError, Struct

from ...wire import json
from ..store import Change
from .clients import ClientError, call, error_code
from .number_update import Expressions, NumberUpdate

CONDITION_FAILED = "ConditionalCheckFailedException"
TRANSACTION_CANCELED = "TransactionCanceledException"
CONDITION_FAILED_REASON = "ConditionalCheckFailed"
"""
The reason in a transaction's error; others are in the documentation of `TransactWriteItems`:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
"""

EXPIRING = frozenset({"batch", "file", "idempotency", "native", "upload"})
"""The kinds of records with a field `expires_at`."""

BRIEF = frozenset({"idempotency"})
"""Those that are of no use after it."""

RETENTION = 30 * 24 * 3600

BATCH = 25
"""The most items of a `BatchWriteItem`."""


class _Expiring(Struct, frozen=True):
    expires_at: float | None = None


class DynamoTable:
    """
    A `RecordStore` in a table; other modules add attributes and conditions of their own.

    DynamoDB deletes a record `retention` seconds after its `expires_at`, if it has one; a `BRIEF`
    one at that time.
    """

    def __init__(self, client: Any, name: str, retention: int = RETENTION) -> None:
        self.client = client
        self.name = name
        self._retention = retention

    async def get(self, kind: str, key: str) -> bytes | None:
        """The bytes of a record, or `None`."""
        item = await self.item(kind, key)
        return item["value"]["B"] if item else None

    async def item(self, kind: str, key: str) -> dict[str, Any] | None:
        """A record with all its attributes in DynamoDB's JSON, or `None`."""
        found = await call(
            self.client.get_item,
            TableName=self.name,
            Key=item_key(kind, key),
            ConsistentRead=True,
        )
        item: dict[str, Any] | None = found.get("Item")
        return item

    async def put(self, kind: str, key: str, new: bytes, old: bytes | None) -> bool:
        """Write the record if it is still `old` (`None`: none yet); whether it was."""
        item = self._record(kind, key, new)
        done = await self.write_if(self.client.put_item, Item=item, **_is_still(old))
        return done is not None

    async def put_all(self, changes: Sequence[Change]) -> bool:
        """Write all changes in one transaction, or none."""
        puts = [
            {
                "TableName": self.name,
                "Item": self._record(change.kind, change.key, change.new),
                **_is_still(change.old),
            }
            for change in changes
        ]
        try:
            await call(
                self.client.transact_write_items, TransactItems=[{"Put": put} for put in puts]
            )
        except ClientError as error:
            if error_code(error) != TRANSACTION_CANCELED:
                raise
            reasons = {reason.get("Code") for reason in error.response["CancellationReasons"]}
            if not reasons <= {"None", CONDITION_FAILED_REASON, "TransactionConflict"}:
                raise
            return False
        return True

    def _record(self, kind: str, key: str, value: bytes) -> dict[str, Any]:
        item = item_key(kind, key) | {"value": {"B": value}}
        if kind in EXPIRING and (expires_at := _expiry(value)) is not None:
            retention = 0 if kind in BRIEF else self._retention
            item["ttl"] = {"N": str(int(expires_at) + retention)}
        return item

    async def numbers(self, kind: str, key: str) -> dict[str, float]:
        """The numbers of a record; empty without one."""
        return _numbers(await self.item(kind, key) or {})

    async def update_numbers(
        self, kind: str, key: str, update: NumberUpdate, *, ttl: int
    ) -> tuple[bool, dict[str, float]]:
        """
        Update a record's numbers if the conditions hold; whether they did, and what is stored then.

        DynamoDB deletes the record after `ttl`.
        """
        try:
            done = await call(
                self.client.update_item,
                TableName=self.name,
                Key=item_key(kind, key),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **Expressions(update, ttl).arguments(),
            )
        except ClientError as error:
            if error_code(error) != CONDITION_FAILED:
                raise
            found: Any = error.response.get("Item")  # not every emulator returns it
            return False, _numbers(found) if found else await self.numbers(kind, key)
        return True, _numbers(done["Attributes"])

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a record; whether there was one."""
        done = await call(
            self.client.delete_item,
            TableName=self.name,
            Key=item_key(kind, key),
            ReturnValues="ALL_OLD",
        )
        return "Attributes" in done

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[tuple[str, bytes]]:
        """The ids and values after an id, in the order of ids, which is that of time."""
        query: dict[str, Any] = {
            "KeyConditionExpression": "kind = :kind",
            "ExpressionAttributeValues": {":kind": {"S": kind}},
            "ScanIndexForward": not newest_first,
        }
        if after is not None:
            query["KeyConditionExpression"] += f" AND id {'<' if newest_first else '>'} :after"
            query["ExpressionAttributeValues"][":after"] = {"S": after}
        found: list[tuple[str, bytes]] = []
        async for item in self.query(limit=limit, **query):
            found.append((item["id"]["S"], item["value"]["B"]))
            if len(found) == limit:
                break
        return found

    async def claim(self, kind: str, key: str, owner: str, until: int) -> str:
        """
        Claim a key for `owner`, and return who has it: the first one that claimed it.

        DynamoDB deletes the claim after `until`.
        """
        item = item_key(kind, key) | {"value": {"B": owner.encode()}, "ttl": {"N": str(until)}}
        condition = "attribute_not_exists(kind)"
        if await self.write_if(self.client.put_item, Item=item, ConditionExpression=condition):
            return owner
        known = await self.get(kind, key)
        return known.decode() if known else owner

    # ---- for the other modules of this folder ----

    async def write_if(self, method: Any, **arguments: Any) -> dict[str, Any] | None:
        """A write with a condition; its response, or `None` if the condition does not hold."""
        try:
            done: dict[str, Any] = await call(method, TableName=self.name, **arguments)
        except ClientError as error:
            if error_code(error) == CONDITION_FAILED:
                return None
            raise
        return done

    async def query(self, limit: int | None = None, **query: Any) -> AsyncIterator[dict[str, Any]]:
        """All items of a query, page by page."""
        query = {"ConsistentRead": True, **query}
        if limit is not None:
            query["Limit"] = limit
        while True:
            page = await call(self.client.query, TableName=self.name, **query)
            for item in page["Items"]:
                yield item
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def items(self, kind: str, *, is_consistent: bool = True) -> AsyncIterator[dict[str, Any]]:
        """All items of a kind. A read that is not consistent may lack the last second's writes."""
        return self.query(
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": kind}},
            ConsistentRead=is_consistent,
        )

    def items_from(self, kind: str, prefix: str) -> AsyncIterator[dict[str, Any]]:
        """The items of a kind whose ids begin with `prefix`."""
        return self.query(
            KeyConditionExpression="kind = :kind AND begins_with(id, :prefix)",
            ExpressionAttributeValues={":kind": {"S": kind}, ":prefix": {"S": prefix}},
        )

    async def clear(self, kind: str) -> None:
        """Delete every record of a kind."""
        keys = [{"kind": item["kind"], "id": item["id"]} async for item in self.items(kind)]
        for batch in _batches(keys):
            pending = {self.name: [{"DeleteRequest": {"Key": key}} for key in batch]}
            while pending:
                done = await call(self.client.batch_write_item, RequestItems=pending)
                pending = done.get("UnprocessedItems") or {}


def _expiry(value: bytes) -> float | None:
    """The record's `expires_at`; a record of another version may have none."""
    try:
        return json.decode(value, type=_Expiring).expires_at
    except MsgspecError:
        return None


def _is_still(old: bytes | None) -> dict[str, Any]:
    """The condition that a record is still `old`, or missing if that is `None`."""
    if old is None:
        return {"ConditionExpression": "attribute_not_exists(kind)"}
    return {
        "ConditionExpression": "#value = :old",
        "ExpressionAttributeNames": {"#value": "value"},
        "ExpressionAttributeValues": {":old": {"B": old}},
    }


def _numbers(item: dict[str, Any]) -> dict[str, float]:
    return {name: float(value["N"]) for name, value in item.items() if "N" in value}


def item_key(kind: str, key: str) -> dict[str, Any]:
    """A record's key in DynamoDB's JSON."""
    return {"kind": {"S": kind}, "id": {"S": key}}


def _batches(keys: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
