"""
A worker's lease of a job's budget, its `max_cost_usd`.

A worker starts lines only with dollars that it has leased. The job's account in DynamoDB has what
is `spent` and what is `committed` (spent or leased). `committed` never exceeds the cap, so the job
ends within the cost of the lines that are in flight then. If a worker is killed, another one that
waits returns the lease to the account, once no lease is in use.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from math import ceil
from typing import Any, Literal

from .dynamodb import DynamoTable, item_key

NANODOLLARS = 1_000_000_000
"""Amounts are whole billionths of a dollar."""

LEASES_PER_BUDGET = 100
"""A worker leases at least this fraction of the cap at a time."""

LEASE_TTL = 30.0
"""Seconds for which a lease counts as in use after its worker's last `sync`."""

RECLAIM_CHECKS = 3
"""`sync`s that must see the same account before a killed worker's lease is returned."""


class BudgetLease:
    """One worker's lease, in nanodollars; all workers of the job share the account."""

    def __init__(
        self, table: DynamoTable, kind: str, max_cost: float, now: Callable[[], float]
    ) -> None:
        self._table = table
        self._kind = kind
        self._now = now
        self._name = f"lease#{secrets.token_hex(6)}"
        self._max = to_nanodollars(max_cost)
        self._leased = self._reserved = 0
        self._spent = self._committed = 0
        self._settled = self._recovered = 0
        self._short = 0
        self._has_record = False
        self._last_seen: tuple[int, int, int] = (0, 0, 0)

    def reserve(self, estimate: int) -> Literal["capped", "wait"] | None:
        """
        Reserve a line's estimate; `None` if the line may start.

        If nothing else is in flight, whatever is left of the lease is enough for one more line.
        """
        if self._spent + self._settled >= self._max:
            return "capped"
        if estimate:
            is_last = self._leased > 0 and not self._reserved
            if self._reserved + estimate > self._leased and not is_last:
                self._short = self._reserved + estimate - self._leased
                return "wait"
        self._reserved += estimate
        return None

    def settle(self, estimate: int, cost: int) -> None:
        """Replace a line's estimate by its cost."""
        self._reserved -= estimate
        self._leased -= cost
        self._settled += cost

    def recover(self, cost: int) -> None:
        """Charge the account for lines whose worker was killed before it could."""
        self._recovered += cost

    async def sync(self) -> None:
        """Write what was spent; lease more if it is needed, or return what is not."""
        debt = max(0, -self._leased)
        if not self._reserved and not self._short:
            debt = -self._leased  # nothing is in flight
        settled, recovered = self._settled, self._recovered
        self._leased += debt
        self._settled = self._recovered = 0
        try:
            await self._add(settled + recovered, debt + recovered)
        except BaseException:
            self._leased -= debt
            self._settled += settled
            self._recovered += recovered
            raise
        if self._short:
            short, self._short = self._short, 0
            await self._lease(max(short, self._reserved))
        await self._renew()

    async def _lease(self, amount: int) -> None:
        """Lease that amount: at least the smallest lease, at most what is left."""
        amount = min(max(self._max // LEASES_PER_BUDGET, amount), self._max - self._committed)
        if amount > 0:
            if await self._add(0, amount, most=self._max - amount):
                self._leased += amount
        elif self._leased <= 0 and not self._reserved:
            await self._reclaim()

    async def _reclaim(self) -> None:
        """Return killed workers' leases to the account, if it has not moved for some time."""
        spent, committed, checks = self._last_seen
        is_same = (spent, committed) == (self._spent, self._committed)
        self._last_seen = (self._spent, self._committed, checks + 1 if is_same else 1)
        if self._last_seen[2] < RECLAIM_CHECKS or self._spent >= self._committed:
            return
        async for item in self._table.items(self._kind):
            if item["id"]["S"].startswith("lease#") and int(item["until"]["N"]) > self._now():
                return  # another worker uses its lease
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
        """Add to the account and read it; not if more than `most` is committed already."""
        condition: dict[str, Any] = {}
        values = {":spent": {"N": str(spent)}, ":committed": {"N": str(committed)}}
        if most is not None:
            expression = "attribute_not_exists(committed) OR committed <= :most"
            condition = {"ConditionExpression": expression}
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

    async def _renew(self) -> None:
        """Record that the lease is in use, or delete the record."""
        if self._leased > 0 or self._reserved:
            until = {"N": str(ceil(self._now() + LEASE_TTL))}
            item = item_key(self._kind, self._name) | {"until": until, "ttl": until}
            await self._table.write_if(self._table.client.put_item, Item=item)
            self._has_record = True
        elif self._has_record:
            await self._table.delete(self._kind, self._name)
            self._has_record = False


def to_nanodollars(dollars: float) -> int:
    """Dollars as billionths, rounded up."""
    return ceil(dollars * NANODOLLARS)
