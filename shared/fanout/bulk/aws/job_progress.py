"""
A job's progress in DynamoDB: counts by shard, calls by worker, and leases of the budget.

Each worker writes the counts of the shards that it works on, and replaces those of an earlier
worker. So a shard's counts are exact, and no item is written by all workers. `budget_lease.py`
keeps `max_cost_usd`, `call_counts.py` counts the calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from ...wire import json
from ..store import Stop
from ..totals import CallCounts, Totals
from .budget_lease import BudgetLease, to_nanodollars
from .call_counts import CallCountsRecord, is_call_counts, read_call_counts
from .dynamodb import DynamoTable, item_key

RETENTION = 30 * 24 * 3600
"""Seconds after a job's end for which its counts are kept."""

FULL_EXAMPLES = 32
"""
The number of shards, from the first on, whose items have all examples of failures.

The others have one for each cause, because reading a job's totals means reading all these items.
"""


class _Status(Struct):
    status: str


class DynamoJobProgress:
    """
    One worker's view of a job's progress; `sync` shares it with the other workers.

    `all_shards` is for the finisher: it reads the counts of all shards with one query. `calls` are
    the worker's own calls, and `own_totals` what it has done itself.
    """

    def __init__(
        self,
        table: DynamoTable,
        job: str,
        *,
        expires_at: float,
        now: Callable[[], float],
        max_cost: float | None = None,
        all_shards: bool = False,
        calls: CallCounts | None = None,
    ) -> None:
        self._table = table
        self._job = job
        self._kind = f"counts#{job}"
        self._expires_at = expires_at
        self._ttl = int(expires_at) + RETENTION
        self._now = now
        self._all_shards = all_shards
        self._shards: dict[int, tuple[bool, Totals]] | None = None
        self.own_totals = Totals()
        self._totals: dict[int, Totals] = {}
        self._recorded_costs: dict[int, float] = {}
        self._complete: set[int] = set()
        self._changed: set[int] = set()
        self._cancelled = False
        self._lease = None if max_cost is None else BudgetLease(table, self._kind, max_cost, now)
        self._calls = (
            None if calls is None else CallCountsRecord(table, self._kind, calls, now, self._ttl)
        )

    def reserve(self, estimate: float) -> Stop | Literal["wait"] | None:
        """Reserve a line's estimate; `None` if the line may start."""
        if self._cancelled:
            return "cancelled"
        if self._now() >= self._expires_at:
            return "expired"
        return None if self._lease is None else self._lease.reserve(to_nanodollars(estimate))

    def settle(self, shard: int, estimate: float, totals: Totals) -> None:
        """Count a line whose result is stored."""
        self.own_totals.add(totals)
        self._totals[shard].add(totals)
        self._changed.add(shard)
        if self._lease:
            self._lease.settle(to_nanodollars(estimate), to_nanodollars(totals.cost))

    def release(self, estimate: float) -> None:
        """Release the estimate of a line that has no result."""
        if self._lease:
            self._lease.settle(to_nanodollars(estimate), 0)

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """Replace the shard's counts by those of its stored lines, and charge what is missing."""
        totals = self._totals[shard] = Totals()
        totals.add(stored)
        self._changed.add(shard)
        if self._lease:
            recorded = self._recorded_costs.pop(shard, 0.0)
            self._lease.recover(to_nanodollars(stored.cost) - to_nanodollars(recorded))

    def complete_shard(self, shard: int) -> None:
        """Mark the shard as complete; the next `sync` writes it."""
        self._complete.add(shard)
        self._changed.add(shard)

    async def sync(self) -> None:
        """Write costs, counts and calls, and read whether the job was cancelled."""
        if self._lease:  # first: a crash before the counts then charges too much, never too little
            await self._lease.sync()
        for shard in sorted(self._changed):
            self._changed.discard(shard)
            try:
                await self._write(shard)
            except BaseException:
                self._changed.add(shard)
                raise
        if self._calls:
            await self._calls.sync()
        record = await self._table.get("batch", self._job)
        if record is None or json.decode(record, type=_Status).status == "cancelling":
            self._cancelled = True

    async def _write(self, shard: int) -> None:
        """Write a shard's counts, unless another worker has completed it."""
        complete = shard in self._complete
        written = await self._table.write_if(
            self._table.client.put_item,
            Item=item_key(self._kind, _shard_id(shard))
            | {
                "value": {"B": json.encode(_shorten(shard, self._totals[shard]))},
                "complete": {"BOOL": complete},
                "ttl": {"N": str(self._ttl)},
            },
            ConditionExpression="attribute_not_exists(complete) OR complete = :no",
            ExpressionAttributeValues={":no": {"BOOL": False}},
        )
        if written is None:
            self._complete.add(shard)

    async def completed_totals(self, shard: int) -> Totals | None:
        """The shard's totals, if it is complete."""
        if self._all_shards:
            if self._shards is None:
                self._shards = await self._read_all()
            found = self._shards.get(shard)
        else:
            item = await self._table.item(self._kind, _shard_id(shard))
            found = _read_shard(item) if item else None
        if found is None:
            return None
        complete, totals = found
        self._recorded_costs[shard] = totals.cost
        return totals if complete else None

    async def total(self) -> Totals:
        """The job's totals, with the calls of all workers; at most about a second old."""
        total, calls = Totals(), CallCounts()
        async for item in self._table.items(self._kind):
            if _is_shard(item):
                total.add(_read_shard(item)[1])
            elif is_call_counts(item):
                calls.add(read_call_counts(item, self._now()))
        total.set_calls(calls)
        return total

    async def clear(self) -> None:
        """Delete all counts, before the job is planned again."""
        await self._table.clear(self._kind)

    async def _read_all(self) -> dict[int, tuple[bool, Totals]]:
        return {
            int(item["id"]["S"].partition("#")[2]): _read_shard(item)
            async for item in self._table.items(self._kind)
            if _is_shard(item)
        }


def _shard_id(index: int) -> str:
    return f"shard#{index:08d}"


def _shorten(index: int, totals: Totals) -> Totals:
    if index < FULL_EXAMPLES:
        return totals
    return replace(totals, examples={cause: some[:1] for cause, some in totals.examples.items()})


def _is_shard(item: dict[str, Any]) -> bool:
    return bool(item["id"]["S"].startswith("shard#"))


def _read_shard(item: dict[str, Any]) -> tuple[bool, Totals]:
    """Whether a shard is complete, and its totals."""
    return item["complete"]["BOOL"], json.decode(item["value"]["B"], type=Totals)
