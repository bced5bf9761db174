"""
The spend rows of one part of a job: what its runs have charged to an account, each cost once.

One item of the ledger's store has the sum of the part's closed rows, and the names of those that
may be open. A row is named there before it is written, so a run finds what a killed one has left.
Each run takes the item over: an earlier run that is still alive can reserve nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from secrets import token_hex
from typing import Any

from msgspec import Struct

from ..bulk.service.records import Job
from ..bulk.totals import Totals
from .account import account_key
from .items import Condition, Item, ItemKey, Update
from .ledger import KeyLedger

RETENTION = 30 * 24 * 3600
"""Seconds after a job's window for which its items are kept on AWS."""

NEVER_OPENED: Mapping[str, Any] = {"status": "lost", "window": 0, "cost": 0}
"""The row of a reservation that a killed run has named, so that nothing opens it any more."""


class Used(Struct, frozen=True):
    """The tokens and the finished lines of a part that are in no closed row."""

    sent: int = 0
    received: int = 0
    lines: int = 0

    def plus(self, totals: Totals) -> Used:
        """With those of a line."""
        lines = self.lines + totals.done + totals.failed
        return Used(self.sent + totals.tokens_in, self.received + totals.tokens_out, lines)

    def minus(self, used: Used) -> Used:
        """Without what is in a row now."""
        lines = self.lines - used.lines
        return Used(self.sent - used.sent, self.received - used.received, lines)

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.sent + self.received


NOTHING_USED = Used()


def partition_of(job: Job) -> str:
    """The partition with the items of a job's parts."""
    return f"job#{job.id}"


class JobRows:
    """
    The rows that a run of a part of a job charges to an account; `take` comes first.

    On one machine the part is the whole job (``""``), on AWS one shard.
    """

    def __init__(self, ledger: KeyLedger, job: Job, account: str, part: str = "") -> None:
        self.ledger = ledger
        self.job = job
        self.account_key = account_key(account)
        self._account = account
        self._key = ItemKey(partition_of(job), f"{account}#{part}")
        self._run = token_hex(8)

    async def take(self) -> int:
        """
        Take the part over; returns what earlier runs have charged for it.

        A row that is still open is closed without a cost: this run charges what the stored lines
        have cost.
        """
        store, ttl = self.ledger.store, int(self.job.expires_at) + RETENTION
        new = {"run": self._run, "charged": 0, "rows": [], "ttl": ttl}
        if await store.create(self._key, new):
            return 0
        there = (Condition("charged", ">=", 0),)
        item = await store.update(Update(self._key, there, set={"run": self._run}))
        charged = int(item["charged"])
        for partition, name in item["rows"]:
            charged += await self._close(ItemKey(partition, name))
        return charged

    async def hold(self, charged: int, rows: Iterable[ItemKey]) -> None:
        """
        Write the sum of the closed rows, and which others there may be.

        Raises `UpdateConflict` if a later run has taken the part over.
        """
        names = [[row.partition, row.name] for row in rows]
        is_mine = (Condition("run", "=", self._run),)
        set_ = {"charged": charged, "rows": names}
        await self.ledger.store.update(Update(self._key, is_mine, set=set_))

    async def _close(self, where: ItemKey) -> int:
        """What a row of an earlier run costs, after it is closed."""
        row = await self.ledger.store.get(where)
        if row is None and not await self.ledger.store.create(where, NEVER_OPENED):
            row = await self.ledger.store.get(where)
        if row is not None and row["status"] == "open":
            held = self.ledger.reservation(self._account, where, row)
            if await self.ledger.settle(held, 0, 0, self.used(0), "lost"):
                return 0
            row = await self.ledger.store.get(where)
        return 0 if row is None else int(row["cost"])

    # ---- spend rows ----

    async def charge(self, item: Item, charged: int, cost: int, used: Used = NOTHING_USED) -> None:
        """Charge what was spent without a reservation; raises `UpdateConflict` as `hold` does."""
        held = self.ledger.unreserved(item)
        await self.hold(charged, [held.row])
        fields = {**self.fields(item), **self.used(cost, used)}
        await self.ledger.open(held, fields)
        await self.ledger.settle(held, cost, used.tokens, fields, "settled")

    def fields(self, item: Item) -> dict[str, Any]:
        """The fields of a spend row that are known before the calls."""
        return {
            "request_id": self.job.id,
            "token": item["token"],
            "alias": item["alias"],
            "team_id": item["team_id"],
            "user_id": item["user_id"],
            "tags": item["tags"],
            "mode": "batch",
            "model": self._models,
            "end_user": "",
        }

    def used(self, cost: int, used: Used = NOTHING_USED) -> dict[str, Any]:
        """The fields that are known after the calls."""
        return {
            "prompt_tokens": used.sent,
            "completion_tokens": used.received,
            "lines": used.lines,
            "by_model": {self._models: [cost, used.sent, used.received]},
            "ended": int(self.ledger.now()),
        }

    @property
    def _models(self) -> str:
        return ",".join(sorted(self.job.models))[:500]


async def charged_parts(ledger: KeyLedger, job: Job) -> dict[str, dict[str, Item]]:
    """The items of a job's parts, by account and part."""
    found: dict[str, dict[str, Item]] = {}
    after = ""
    while page := await ledger.store.items(partition_of(job), after=after):
        for name, item in page:
            account, _, part = name.rpartition("#")
            found.setdefault(account, {})[part] = item
        after = page[-1][0]
    return found
