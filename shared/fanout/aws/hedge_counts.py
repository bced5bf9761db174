"""
The times to the first content and the budget of hedges that all Lambda environments share.

They are in the table of open requests (`open_requests.py`), which every stack has. Each model and
size of request has an item, and so has the budget: `since` is when its slot began, `c…` are the
slot's counts, `p…` those of the slot before, and after `ttl` DynamoDB deletes it. An item has less
than 1 KB, so an addition is one write unit.

Loaded for the first request that asks for a hedge by these times.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

from .dynamodb import ConditionFailed, DynamoDB

RETENTION = 3600
"""Seconds after the last addition for which an item is kept: older times say nothing of now."""

CURRENT, PREVIOUS = "c", "p"

Stored = tuple[float, Mapping[str, int], Mapping[str, int]]


class HedgeCounts:
    """A `routing.shared_times.CountStore` in a table."""

    def __init__(self, table: str, database: DynamoDB) -> None:
        self._table = table
        self._database = database

    async def add(self, key: str, counts: Mapping[str, int], now: float) -> Stored:
        """Add to the slot with one `UpdateItem`, which also reads all that is stored."""
        names = {"#since": "since"}
        values: dict[str, float] = {":now": now}
        added = []
        for place, (name, count) in enumerate(counts.items()):
            names[f"#n{place}"] = f"{CURRENT}{name}"
            values[f":v{place}"] = count
            added.append(f"#n{place} :v{place}")
        update = "SET #since = if_not_exists(#since, :now), #ttl = :ttl"
        if added:
            update += f" ADD {', '.join(added)}"
        item = await self._update(key, update, names, values, now)
        since = float(item["since"]["N"]) if "since" in item else now
        return since, _counts(item, CURRENT), _counts(item, PREVIOUS)

    async def turn(self, key: str, old: Stored, now: float) -> None:
        """
        Begin the next slot if this one is still that which was read.

        What another environment adds between the read and this write is lost: a few counts in one
        of many thousand additions.
        """
        since, current, previous = old
        names = {"#since": "since"}
        values = {":now": now, ":old": since}
        sets, removed = [], []
        for place, (name, count) in enumerate(current.items()):
            names |= {f"#p{place}": f"{PREVIOUS}{name}", f"#c{place}": f"{CURRENT}{name}"}
            values[f":v{place}"] = count
            sets.append(f"#p{place} = :v{place}")
            removed.append(f"#c{place}")
        for place, name in enumerate(previous.keys() - current.keys()):
            names[f"#o{place}"] = f"{PREVIOUS}{name}"
            removed.append(f"#o{place}")
        update = ", ".join(["SET #since = :now", "#ttl = :ttl", *sets])
        if removed:
            update += f" REMOVE {', '.join(removed)}"
        with suppress(ConditionFailed):
            await self._update(key, update, names, values, now, condition="#since = :old")

    async def _update(
        self,
        key: str,
        update: str,
        names: Mapping[str, str],
        values: Mapping[str, float],
        now: float,
        condition: str | None = None,
    ) -> Mapping[str, Any]:
        numbers = {**values, ":ttl": int(now) + RETENTION}
        arguments = {
            "TableName": self._table,
            "Key": {"id": {"S": item_id(key)}},
            "UpdateExpression": update,
            "ExpressionAttributeNames": {**names, "#ttl": "ttl"},
            "ExpressionAttributeValues": {name: {"N": repr(n)} for name, n in numbers.items()},
            "ReturnValues": "ALL_NEW",
        }
        if condition:
            arguments["ConditionExpression"] = condition
        done = await self._database.call("UpdateItem", arguments)
        attributes: Mapping[str, Any] = done.get("Attributes", {})
        return attributes


def item_id(key: str) -> str:
    """The item of a key: a digest, as a model's name may be longer than a key."""
    return "hedge-" + sha256(key.encode()).hexdigest()


def _counts(item: Mapping[str, Any], prefix: str) -> dict[str, int]:
    """The counts of a slot. `since` and `ttl` begin with neither prefix, nor does `id`."""
    return {
        name[len(prefix) :]: int(float(value["N"]))
        for name, value in item.items()
        if name.startswith(prefix) and "N" in value
    }
