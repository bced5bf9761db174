"""
A job's account in DynamoDB: what is spent and leased of its `max_cost_usd`, in nanodollars.

One item has all of it, and one write changes all that belongs together, so the account is exact
whichever process crashes:

* `committed` is `spent` and all leases.
* `spent` is the cost of all shards: of those with an entry in `workers`, what the entry says; of
  the others, what the shard's own item says. A worker charges the account, then writes the shard's
  item, then takes the shard out of its entry.

The lease of a worker that has not renewed it in time is returned by the workers that need it, and
by each worker at its end. A worker that was only slow finds that its lease is gone.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from math import ceil
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...wire import json
from .budget_lease import Posting
from .dynamodb import DynamoTable, item_key

ACCOUNT = "budget"

LEASE_TTL = 30.0
"""Seconds for which a lease counts as in use after it was written."""

RENEW_AFTER = 10.0
"""Seconds after which a lease is written again although nothing has changed."""


class Entry(Struct, frozen=True):
    """A worker's lease, until when it is in use, and what it has charged for which shards."""

    amount: int = 0
    until: int = 0
    shards: dict[int, int] = {}


class BudgetAccount:
    """A job's account, as last read or written; `name` is the worker's."""

    def __init__(self, table: DynamoTable, kind: str, now: Callable[[], float], ttl: int) -> None:
        self._table = table
        self._kind = kind
        self._now = now
        self._ttl = ttl
        self.name = secrets.token_hex(6)
        self.spent = self.committed = 0
        self._entries: dict[str, bytes] = {}
        self._renew_at = 0.0

    async def read(self, costs: Callable[[], AsyncIterator[int]]) -> None:
        """Read the account; a new one has spent what `costs` yields, those of the shards' items."""
        item = await self._table.item(self._kind, ACCOUNT)
        if item is None:
            amount = {"N": str(sum([cost async for cost in costs()]))}
            item = item_key(self._kind, ACCOUNT) | {
                "spent": amount,
                "committed": amount,
                "workers": {"M": {}},
                "ttl": {"N": str(self._ttl)},
            }
            condition = "attribute_not_exists(kind)"
            put = self._table.client.put_item
            if await self._table.write_if(put, Item=item, ConditionExpression=condition) is None:
                item = await self._table.item(self._kind, ACCOUNT) or item
        self._set(item)

    def _set(self, item: Mapping[str, Any]) -> None:
        self.spent, self.committed = int(item["spent"]["N"]), int(item["committed"]["N"])
        workers = item["workers"]["M"]
        self._entries = {name: bytes(entry["B"]) for name, entry in workers.items()}

    def entries(self) -> dict[str, Entry]:
        """The entry of each worker that has a lease, or has charged for shards."""
        return {name: json.decode(raw, type=Entry) for name, raw in self._entries.items()}

    @property
    def lease(self) -> int:
        """What this worker leases."""
        return self.entries().get(self.name, Entry()).amount

    async def post(self, posting: Posting, shards: Mapping[int, int]) -> bool:
        """
        Write the posting, and that it is for these shards and costs; whether it was possible.

        It is not if the worker's entry, or one that has a shard of it, is not as it was read.
        """
        entries = self.entries()
        old = entries.get(self.name, Entry())
        until = old.until
        if (posting.lease and self._now() >= self._renew_at) or posting.lease != old.amount:
            until = ceil(self._now() + LEASE_TTL)
        changes = {self.name: Entry(posting.lease, until, dict(shards))}
        for name, entry in entries.items():
            if name != self.name and entry.shards.keys() & shards.keys():
                rest = {shard: cost for shard, cost in entry.shards.items() if shard not in shards}
                changes[name] = replace(entry, shards=rest)
        if await self._write(posting, changes):
            self._renew_at = self._now() + RENEW_AFTER
            return True
        return False

    async def return_expired_leases(self) -> None:
        """Return to the account what workers have leased that were killed."""
        for name, entry in self.entries().items():
            if entry.amount and entry.until <= self._now():
                await self._write(
                    Posting(0, 0, -entry.amount, None), {name: replace(entry, amount=0)}
                )

    async def _write(self, posting: Posting, changes: Mapping[str, Entry]) -> bool:
        """
        Write the posting and these entries, if the entries were as they are known here.

        If there is nothing to write, the account is only read.
        """
        update = _Update(posting)
        for name, entry in changes.items():
            new = json.encode(entry) if entry.amount or entry.shards else None
            update.add(name, self._entries.get(name), new)
        if update.is_empty:
            item = await self._table.item(self._kind, ACCOUNT)
            if item is not None:
                self._set(item)
            return True
        done = await self._table.write_if(
            self._table.client.update_item,
            Key=item_key(self._kind, ACCOUNT),
            ReturnValues="ALL_NEW",
            **update.arguments(),
        )
        if done is not None:
            self._set(done["Attributes"])
        return done is not None


class _Update:
    """The expressions of one `UpdateItem`."""

    def __init__(self, posting: Posting) -> None:
        self._values: dict[str, dict[str, str | bytes]] = {
            ":spent": {"N": str(posting.cost)},
            ":committed": {"N": str(posting.committed)},
        }
        self._names: dict[str, str] = {}
        self._conditions = ["attribute_exists(workers)"]
        if posting.most is not None:
            self._conditions.append("committed <= :most")
            self._values[":most"] = {"N": str(posting.most)}
        self._sets: list[str] = []
        self._removes: list[str] = []
        self.is_empty = not (posting.cost or posting.committed)

    def add(self, name: str, old: bytes | None, new: bytes | None) -> None:
        """Change a worker's entry from `old` to `new`; `None` is no entry."""
        number = len(self._names)
        path = f"workers.#w{number}"
        self._names[f"#w{number}"] = name
        if old is None:
            self._conditions.append(f"attribute_not_exists({path})")
        else:
            self._conditions.append(f"{path} = :old{number}")
            self._values[f":old{number}"] = {"B": old}
        if new is not None:
            self._sets.append(f"{path} = :new{number}")
            self._values[f":new{number}"] = {"B": new}
        elif old is not None:
            self._removes.append(path)
        self.is_empty &= old == new

    def arguments(self) -> dict[str, Any]:
        """Those of boto3's `update_item`."""
        sets = f"SET {', '.join(self._sets)} " if self._sets else ""
        removes = f"REMOVE {', '.join(self._removes)} " if self._removes else ""
        return {
            "UpdateExpression": f"{sets}{removes}ADD spent :spent, committed :committed",
            "ConditionExpression": " AND ".join(self._conditions),
            "ExpressionAttributeNames": self._names,
            "ExpressionAttributeValues": self._values,
        }
