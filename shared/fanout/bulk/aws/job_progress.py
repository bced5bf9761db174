"""
What the workers of one job share, in DynamoDB: counts by shard, calls by worker, money by leases.

Each worker writes the counts of its own shards, in the place of older ones, so a shard's are exact
whoever had it before, and no record is everybody's. Under `max_cost_usd` lines are started
on money that was leased before (purse.py). Its calls each tells beside that (calls.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from ...wire import json
from ..store import Stop
from ..totals import CallCounts, Totals
from .budget_lease import BudgetLease, nanos
from .call_counts import Calls, calls_of, tells_calls
from .dynamodb import DynamoTable, item_key

KEPT = 30 * 24 * 3600
"""Seconds for which counts outlive their job."""


TELLING = 32
"""
Shards, the first, whose records have all of their examples; those of the others have one a cause,
as who looks at a job reads the records of all.
"""


class _Status(Struct):
    status: str


class DynamoJobProgress:
    """One worker's view of a job's counts; `sync` makes it everybody's; `fresh` is its own work."""

    def __init__(
        self,
        table: DynamoTable,
        job: str,
        *,
        expires_at: float,
        now: Callable[[], float],
        max_cost: float | None = None,
        whole: bool = False,
        meter: CallCounts | None = None,
    ) -> None:
        self._table = table
        self._job = job
        self._kind = f"counts#{job}"
        self._expires_at = expires_at
        self._ttl = int(expires_at) + KEPT
        self._now = now
        self._whole = whole
        self._known: dict[int, tuple[bool, Totals]] | None = None
        self.fresh = Totals()
        self._totals: dict[int, Totals] = {}
        self._before: dict[int, float] = {}
        self._complete: set[int] = set()
        self._changed: set[int] = set()
        self._cancelled = False
        self._purse = None if max_cost is None else BudgetLease(table, self._kind, max_cost, now)
        self._calls = None if meter is None else Calls(table, self._kind, meter, now, self._ttl)

    def reserve(self, estimate: float) -> Stop | Literal["wait"] | None:
        """Whether a line may start."""
        if self._cancelled:
            return "cancelled"
        if self._now() >= self._expires_at:
            return "expired"
        return None if self._purse is None else self._purse.start(nanos(estimate))

    def settle(self, shard: int, estimate: float, totals: Totals) -> None:
        """One line is stored."""
        self.fresh.add(totals)
        self._totals[shard].add(totals)
        self._changed.add(shard)
        if self._purse:
            self._purse.settle(nanos(estimate), nanos(totals.cost))

    def release(self, estimate: float) -> None:
        """One line was not."""
        if self._purse:
            self._purse.settle(nanos(estimate), 0)

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """What is stored is what counts; what of it was never paid into the account is now."""
        own = self._totals[shard] = Totals()
        own.add(stored)
        self._changed.add(shard)
        if self._purse:
            self._purse.book(nanos(stored.cost) - nanos(self._before.pop(shard, 0.0)))

    def complete_shard(self, shard: int) -> None:
        """Written by the next `sync`."""
        self._complete.add(shard)
        self._changed.add(shard)

    async def sync(self) -> None:
        """Write counts and calls, move the money, and see whether somebody cancelled the job."""
        if (
            self._purse
        ):  # the money first: after a crash between, too much is booked, never too little
            await self._purse.sync()
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
        """Write a shard's counts; those of a complete one stay."""
        complete = shard in self._complete
        written = await self._table.write_if(
            self._table.client.put_item,
            Item=item_key(self._kind, _shard(shard))
            | {
                "value": {"B": json.encode(_brief(shard, self._totals[shard]))},
                "complete": {"BOOL": complete},
                "ttl": {"N": str(self._ttl)},
            },
            ConditionExpression="attribute_not_exists(complete) OR complete = :no",
            ExpressionAttributeValues={":no": {"BOOL": False}},
        )
        if written is None:
            self._complete.add(shard)

    async def completed_totals(self, shard: int) -> Totals | None:
        """Its counts, if it is complete."""
        if self._whole:
            if self._known is None:
                self._known = await self._all()
            found = self._known.get(shard)
        else:
            item = await self._table.item(self._kind, _shard(shard))
            found = _counts(item) if item else None
        if found is None:
            return None
        complete, totals = found
        self._before[shard] = totals.cost
        return totals if complete else None

    async def total(self) -> Totals:
        """The sum, with the calls of all workers, as they were written at most a second ago."""
        total, calls = Totals(), CallCounts()
        async for item in self._table.items(self._kind):
            if _is_shard(item):
                total.add(_counts(item)[1])
            elif tells_calls(item):
                calls.add(calls_of(item, self._now()))
        total.set_calls(calls)
        return total

    async def forget(self) -> None:
        """A job that is planned anew has no counts."""
        await self._table.clear(self._kind)

    async def _all(self) -> dict[int, tuple[bool, Totals]]:
        return {
            int(item["id"]["S"].partition("#")[2]): _counts(item)
            async for item in self._table.items(self._kind)
            if _is_shard(item)
        }


def _shard(index: int) -> str:
    return f"shard#{index:08d}"


def _brief(index: int, totals: Totals) -> Totals:
    if index < TELLING:
        return totals
    return replace(totals, examples={cause: some[:1] for cause, some in totals.examples.items()})


def _is_shard(item: dict[str, Any]) -> bool:
    return bool(item["id"]["S"].startswith("shard#"))


def _counts(item: dict[str, Any]) -> tuple[bool, Totals]:
    return item["complete"]["BOOL"], json.decode(item["value"]["B"], type=Totals)
