"""
A job's money under `max_cost_usd`: one account, and each worker's lease of it.

A worker starts lines only on money that it has leased before. `committed`, what is spent and what
is leased, never passes the cap, so the job ends within the cost of the lines then in flight. A
lease that a worker took into its grave is found out when another waits and nobody alive has one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from math import ceil
from typing import Any, Literal

from .dynamodb import DynamoTable, item_key

NANO = 1_000_000_000
"""Dollars are counted in whole billionths."""

SLICES = 100
"""A worker leases at least this part of the cap at a time."""

LEASE = 30.0
"""Seconds without a sign of life after which a lease is nobody's."""

LOOKS = 3
"""Looks at an unmoving account before it is called abandoned."""


class BudgetLease:
    """One worker's money, in billionths of a dollar; the account is everybody's."""

    def __init__(
        self, table: DynamoTable, kind: str, max_cost: float, now: Callable[[], float]
    ) -> None:
        self._table = table
        self._kind = kind
        self._now = now
        self._name = f"lease#{secrets.token_hex(6)}"
        self._max = nanos(max_cost)
        self._lease = self._held = 0
        self._spent = self._committed = 0
        self._settled = self._booked = 0
        self._short = 0
        self._has_row = False
        self._seen: tuple[int, int, int] = (0, 0, 0)

    def start(self, estimate: int) -> Literal["capped", "wait"] | None:
        """Whether the lease bears a line; a last one is begun on whatever is left of it."""
        if self._spent + self._settled >= self._max:
            return "capped"
        if estimate:
            last = self._lease > 0 and not self._held
            if self._held + estimate > self._lease and not last:
                self._short = self._held + estimate - self._lease
                return "wait"
        self._held += estimate
        return None

    def settle(self, estimate: int, cost: int) -> None:
        """A line is over."""
        self._held -= estimate
        self._lease -= cost
        self._settled += cost

    def book(self, cost: int) -> None:
        """Money that an earlier worker spent and did not live to say."""
        self._booked += cost

    async def sync(self) -> None:
        """Say what was spent, and lease more or give back."""
        debt = max(0, -self._lease)
        if not self._held and not self._short:
            debt = -self._lease  # nothing is under way
        settled, booked = self._settled, self._booked
        self._lease += debt
        self._settled = self._booked = 0
        try:
            await self._add(settled + booked, debt + booked)
        except BaseException:
            self._lease -= debt
            self._settled += settled
            self._booked += booked
            raise
        if self._short:
            short, self._short = self._short, 0
            await self._borrow(max(short, self._held))
        await self._show()

    async def _borrow(self, wanted: int) -> None:
        """Lease as much, a slice at least, and at most what is left."""
        wanted = min(max(self._max // SLICES, wanted), self._max - self._committed)
        if wanted > 0:
            done = await self._add(0, wanted, most=self._max - wanted)
            if done:
                self._lease += wanted
        elif self._lease <= 0 and not self._held:
            await self._look()

    async def _look(self) -> None:
        """Nothing is left, and not all is spent: who has it? If nobody, it is there again."""
        spent, committed, looks = self._seen
        same = (spent, committed) == (self._spent, self._committed)
        self._seen = (self._spent, self._committed, looks + 1 if same else 1)
        if self._seen[2] < LOOKS or self._spent >= self._committed:
            return
        async for item in self._table.items(self._kind):
            if item["id"]["S"].startswith("lease#") and int(item["until"]["N"]) > self._now():
                return
        await self._table.write_if(
            self._table.client.update_item,
            Key=item_key(self._kind, "account"),
            UpdateExpression="SET committed = spent",
            ConditionExpression="spent = :spent AND committed = :committed",
            ExpressionAttributeValues={
                ":spent": {"N": str(self._spent)},
                ":committed": {"N": str(self._committed)},
            },
        )

    async def _add(self, spent: int, committed: int, most: int | None = None) -> bool:
        """Change the account, and hear what it is; not beyond `most`."""
        condition: dict[str, Any] = {}
        values = {":spent": {"N": str(spent)}, ":committed": {"N": str(committed)}}
        if most is not None:
            said = "attribute_not_exists(committed) OR committed <= :most"
            condition = {"ConditionExpression": said}
            values[":most"] = {"N": str(most)}
        done = await self._table.write_if(
            self._table.client.update_item,
            Key=item_key(self._kind, "account"),
            UpdateExpression="ADD spent :spent, committed :committed",
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            **condition,
        )
        if done is None:
            return False
        self._spent = int(done["Attributes"]["spent"]["N"])
        self._committed = int(done["Attributes"]["committed"]["N"])
        return True

    async def _show(self) -> None:
        """A sign of life, while there is a lease."""
        if self._lease > 0 or self._held:
            until = {"N": str(ceil(self._now() + LEASE))}
            item = item_key(self._kind, self._name) | {"until": until, "ttl": until}
            await self._table.write_if(self._table.client.put_item, Item=item)
            self._has_row = True
        elif self._has_row:
            await self._table.delete(self._kind, self._name)
            self._has_row = False


def nanos(dollars: float) -> int:
    """Dollars as billionths."""
    return ceil(dollars * NANO)
