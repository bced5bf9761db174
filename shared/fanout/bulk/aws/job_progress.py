"""
A job's progress in DynamoDB: counts by shard, calls by worker, and leases of the budget.

Each worker writes the counts of the shards that it works on, and replaces those of an earlier
worker. So a shard's counts are exact. Without a cost cap, no item is written by all workers; with
one, `budget_account.py` writes the job's account together with the counts. `worker_activity.py` has
what the workers do at this moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Literal

from msgspec import Struct

from ...wire import json
from ..activity import Activity, ActivityTracker
from ..store import Stop
from ..totals import Totals
from .budget_account import BudgetAccount
from .budget_lease import BudgetLease
from .dynamodb import DynamoTable
from .shard_items import (
    PREFIX,
    StoredShard,
    is_shard,
    read_shard,
    shard_id,
    shard_number,
    to_store,
    write_item,
)
from .worker_activity import WorkerActivityRecord, is_worker_activity, read_worker_activity

RETENTION = 30 * 24 * 3600
"""Seconds after a job's end for which its counts are kept."""

ATTEMPTS = 10
"""Times that the account is read again and written when other workers change it meanwhile."""


class _Status(Struct):
    status: str
    reason: str | None = None


def _end_of(record: bytes | None) -> Stop | None:
    """Why the job of this record is to send no more lines, also if another worker ended it."""
    if record is None:
        return "cancelled"
    job = json.decode(record, type=_Status)
    if job.reason == "refused":
        return "refused"
    return None if job.status == "in_progress" and job.reason is None else "cancelled"


class DynamoJobProgress:
    """
    One worker's view of a job's progress; `sync` shares it with the other workers.

    `max_cost` is in nanodollars. `all_shards` is for the finisher: it reads the counts of all
    shards with one query. `activity` is the worker's own, and `own_totals` what it has done itself.
    """

    def __init__(
        self,
        table: DynamoTable,
        job: str,
        *,
        expires_at: float,
        now: Callable[[], float],
        max_cost: int | None = None,
        all_shards: bool = False,
        activity: ActivityTracker | None = None,
    ) -> None:
        self._table = table
        self._job = job
        self._kind = f"counts#{job}"
        self._expires_at = expires_at
        self._ttl = int(expires_at) + RETENTION
        self._now = now
        self._all_shards = all_shards
        self._shards: dict[int, StoredShard] | None = None
        self.own_totals = Totals()
        self._totals: dict[int, Totals] = {}
        self._stored: dict[int, StoredShard] = {}
        self._complete: set[int] = set()
        self._open: set[int] = set()  # with a cost cap: the shards of the worker's entry
        self._charged: dict[int, int] = {}
        self._owned: set[int] = set()
        self._given_up: set[int] = set()
        self._is_account_known = False
        self._changed: set[int] = set()
        self._ended: Stop | None = None
        self._lease = None if max_cost is None else BudgetLease(max_cost)
        self._account = BudgetAccount(table, self._kind, now, self._ttl)
        self._activity = (
            None
            if activity is None
            else WorkerActivityRecord(table, self._kind, activity, self._ttl)
        )

    def shard_totals(self) -> Totals:
        """The totals of this worker's shards, also of lines of earlier workers."""
        found = Totals()
        for totals in self._totals.values():
            found.add(totals)
        return found

    def reserve(self, estimate: int, *, is_whole: bool = False) -> Stop | Literal["wait"] | None:
        """Reserve a line's estimate; `None` if the line may start."""
        if self._ended is not None:
            return self._ended
        if self._now() >= self._expires_at:
            return "expired"
        return None if self._lease is None else self._lease.reserve(estimate, is_whole=is_whole)

    def settle(self, shard: int, estimate: int, totals: Totals) -> None:
        """Count a line whose result is stored."""
        self.own_totals.add(totals)
        if self._lease:
            self._lease.release(estimate)
        if shard not in self._given_up:  # else its next worker finds the result
            self._totals[shard].add(totals)
            self._changed.add(shard)
            if self._lease:
                self._lease.charge(totals.cost)

    def release(self, estimate: int) -> None:
        """Release the estimate of a line that has no result."""
        if self._lease:
            self._lease.release(estimate)

    def charge(self, cost: int) -> None:
        """Lower the cost cap of this worker by nanodollars that no line's result has."""
        if self._lease:
            self._lease.lower(cost)

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """Replace the shard's counts by those of its stored lines, and charge what is missing."""
        totals = self._totals[shard] = Totals()
        totals.add(stored)
        self._changed.add(shard)
        if self._lease:
            self._open.add(shard)
            self._is_account_known = False  # what is charged for the shard is in it
            self._lease.charge(stored.cost)

    def complete_shard(self, shard: int) -> None:
        """Mark the shard as complete; the next `sync` writes it."""
        if shard not in self._given_up:
            self._complete.add(shard)
            self._changed.add(shard)

    async def sync(self) -> None:
        """Write costs, counts and activity, and read whether the job has ended."""
        if self._lease:
            await self._charge(self._lease)
        await self._write_changed()
        if self._activity:
            await self._activity.sync()
        record = await self._table.get("batch", self._job)
        self._ended = self._ended or _end_of(record)

    async def close(self) -> None:
        """Write everything, and return what is leased: no line of this worker is in flight."""
        if self._lease:
            self._lease.end()
        await self.sync()
        if self._lease:
            if not self._changed:
                self._open.clear()  # their own items have their costs
            await self._charge(self._lease)
            await self._account.return_expired_leases()

    # ---- the account of a job with a cost cap ----

    async def _charge(self, lease: BudgetLease) -> None:
        """Charge the account and change the lease; if other workers prevent it, later."""
        was_waiting = lease.is_waiting
        for _ in range(ATTEMPTS):
            if not self._is_account_known:
                await self._read_account(lease)
            costs = {shard: self._totals[shard].cost for shard in self._open}
            cost = sum(costs.values()) - sum(self._charged[shard] for shard in self._open)
            posting = lease.begin_posting(self._account.spent, self._account.committed, cost)
            self._is_account_known = False  # if the write fails, it may have been done
            try:
                self._is_account_known = await self._account.post(posting, costs)
            finally:
                lease.finish_posting(posting, is_done=self._is_account_known)
            if self._is_account_known:
                self._charged |= costs
                self._owned |= costs.keys()
                break
        if was_waiting and not self._account.lease:
            await self._account.return_expired_leases()

    async def _read_account(self, lease: BudgetLease) -> None:
        """Read the account, and of each open shard what is charged for it."""
        await self._account.read(self._item_costs)
        charged: dict[int, tuple[str, int]] = {}
        for name, entry in self._account.entries().items():
            charged |= {shard: (name, cost) for shard, cost in entry.shards.items()}
        for shard in list(self._open):
            name, cost = charged.get(shard, ("", 0))
            if not name:
                await self._read(shard)
                cost = self._stored[shard].totals.cost if shard in self._stored else 0
            if name == self._account.name:
                self._owned.add(shard)
            elif shard in self._owned:  # another worker has it now
                self._open.discard(shard)
                self._changed.discard(shard)
                self._given_up.add(shard)
                continue
            self._charged[shard] = cost
        unposted = (self._totals[shard].cost - self._charged[shard] for shard in self._open)
        lease.correct(self._account.lease, sum(unposted))
        self._is_account_known = True

    async def _item_costs(self) -> AsyncIterator[int]:
        async for item in self._table.items_from(self._kind, PREFIX):
            yield read_shard(item).totals.cost

    # ---- the counts of shards ----

    async def _write_changed(self) -> None:
        for shard in sorted(self._changed):
            self._changed.discard(shard)
            try:
                await self._write(shard)
            except BaseException:
                self._changed.add(shard)
                raise

    async def _write(self, shard: int) -> None:
        """Write a shard's counts, unless another worker has completed it."""
        complete = shard in self._complete
        stored = to_store(shard, self._totals[shard], complete=complete)
        written = await self._table.write_if(
            self._table.client.put_item,
            Item=write_item(self._kind, shard, stored, self._ttl),
            ConditionExpression="attribute_not_exists(complete) OR complete = :no",
            ExpressionAttributeValues={":no": {"BOOL": False}},
        )
        if written is None:
            self._complete.add(shard)
        if complete and self._charged.get(shard, 0) == stored.totals.cost:
            self._open.discard(shard)

    async def _read(self, shard: int) -> None:
        item = await self._table.item(self._kind, shard_id(shard))
        if item is None:
            self._stored.pop(shard, None)
        else:
            self._stored[shard] = read_shard(item)

    async def completed_totals(self, shard: int) -> Totals | None:
        """The shard's totals, if it is complete."""
        found = await self._counts(shard)
        return found.totals if found and found.complete else None

    async def stored_lines(self, shard: int) -> int:
        """How many lines of the shard are counted, whether it is complete or not."""
        found = await self._counts(shard)
        return found.totals.lines if found else 0

    async def _counts(self, shard: int) -> StoredShard | None:
        if self._all_shards:
            if self._shards is None:
                self._shards = await self._read_all()
            return self._shards.get(shard)
        await self._read(shard)
        return self._stored.get(shard)

    async def total(self) -> Totals:
        """
        The job's totals, with the activity of all workers; at most about a second old.

        Only the finisher needs a consistent read, which costs twice as much.
        """
        total, activity = Totals(), Activity(0.0)
        async for item in self._table.items(self._kind, is_consistent=self._all_shards):
            if is_shard(item):
                total.add(read_shard(item).totals)
            elif is_worker_activity(item):
                activity = activity.add(read_worker_activity(item, self._now()))
        total.activity = activity
        return total

    async def clear(self) -> None:
        """Delete all counts, before the job is planned again."""
        await self._table.clear(self._kind)

    async def _read_all(self) -> dict[int, StoredShard]:
        return {
            shard_number(item): read_shard(item)
            async for item in self._table.items_from(self._kind, PREFIX)
        }
