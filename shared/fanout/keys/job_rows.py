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
from msgspec.structs import astuple

from ..bulk.model_totals import ByModel, ModelTotals, plus
from ..bulk.service.records import Job
from ..bulk.totals import Totals
from .account import account_key
from .items import Condition, Item, ItemKey, Update
from .ledger import KeyLedger
from .spend_rows import lines_of_model

RETENTION = 30 * 24 * 3600
"""Seconds after a job's window for which its items are kept on AWS."""

CHARGED = ("charged", "sent", "received", "lines")
"""The fields of a part's item for what its closed rows have."""

NEVER_OPENED: Mapping[str, Any] = {"status": "lost", "window": 0, "cost": 0}
"""The row of a reservation that a killed run has named, so that nothing opens it any more."""


class Used(Struct, frozen=True):
    """
    The cost in nanodollars and the tokens of calls, and the finished lines that they are of.

    The cost and the tokens are the sums of those of the `models`.
    """

    cost: int = 0
    sent: int = 0
    received: int = 0
    lines: int = 0
    models: ByModel = {}

    def plus(self, more: Used, sign: int = 1) -> Used:
        """The sum, or with the `sign` -1 the difference."""
        return Used(
            self.cost + sign * more.cost,
            self.sent + sign * more.sent,
            self.received + sign * more.received,
            self.lines + sign * more.lines,
            plus(self.models, more.models, sign),
        )

    def minus(self, less: Used) -> Used:
        """The difference, which may be negative."""
        return self.plus(less, -1)

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.sent + self.received


NOTHING_USED = Used()


def used_by(totals: Totals, rest: str) -> Used:
    """What lines have used; what no model has counts under the name `rest`."""
    cost, sent, received = totals.cost, totals.tokens_in, totals.tokens_out
    models = totals.models.values()
    others = ModelTotals(
        totals.lines - totals.named,
        cost - sum(one.cost for one in models),
        sent - sum(one.sent for one in models),
        received - sum(one.received for one in models),
    )
    return Used(cost, sent, received, totals.lines, plus(totals.models, {rest: others}))


def used_of(row: Item) -> Used:
    """What a closed row has; one that was never opened has no tokens."""
    names = ("cost", "prompt_tokens", "completion_tokens", "lines")
    cost, sent, received, lines = (int(row.get(name) or 0) for name in names)
    models = {
        name: ModelTotals(lines_of_model(row, name), *(int(one) for one in part))
        for name, part in row.get("by_model", {}).items()
    }
    return Used(cost, sent, received, lines, plus({}, models))


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

    async def take(self) -> Used:
        """
        Take the part over; returns what earlier runs have charged for it.

        A row that is still open is closed without a cost: this run charges what the stored lines
        have cost.
        """
        store, ttl = self.ledger.store, int(self.job.expires_at) + RETENTION
        new = {"run": self._run, **_fields(NOTHING_USED), "rows": [], "ttl": ttl}
        if await store.create(self._key, new):
            return NOTHING_USED
        there = (Condition("charged", ">=", 0),)
        item = await store.update(Update(self._key, there, set={"run": self._run}))
        charged = self.charged_by(item)
        for partition, name in item["rows"]:
            charged = charged.plus(await self._close(ItemKey(partition, name)))
        return charged

    def used_by(self, totals: Totals) -> Used:
        """What lines of the job have used."""
        return used_by(totals, self._models)

    def charged_by(self, item: Item) -> Used:
        """What the closed rows of a part have, by its item; an older one does not have models."""
        cost, sent, received, lines = (int(item[name]) for name in CHARGED)
        whole = {self._models: [lines, cost, sent, received]}
        models = {
            name: ModelTotals(*(int(one) for one in numbers))
            for name, numbers in item.get("models", whole).items()
        }
        return Used(cost, sent, received, lines, plus({}, models))

    async def hold(self, charged: Used, rows: Iterable[ItemKey]) -> None:
        """
        Write the sum of the closed rows, and which others there may be.

        Raises `UpdateConflict` if a later run has taken the part over.
        """
        names = [[row.partition, row.name] for row in rows]
        is_mine = (Condition("run", "=", self._run),)
        set_ = {**_fields(charged), "rows": names}
        await self.ledger.store.update(Update(self._key, is_mine, set=set_))

    async def _close(self, where: ItemKey) -> Used:
        """What a row of an earlier run has, after it is closed."""
        row = await self.ledger.store.get(where)
        if row is None and not await self.ledger.store.create(where, NEVER_OPENED):
            row = await self.ledger.store.get(where)
        if row is not None and row["status"] == "open":
            held = self.ledger.reservation(self._account, where, row)
            if await self.ledger.settle(held, 0, 0, self.used(NOTHING_USED), "lost"):
                return NOTHING_USED
            row = await self.ledger.store.get(where)
        return NOTHING_USED if row is None else used_of(row)

    # ---- spend rows ----

    async def charge(self, item: Item, charged: Used, used: Used) -> None:
        """Charge what was spent without a reservation; raises `UpdateConflict` as `hold` does."""
        held = self.ledger.unreserved(item)
        await self.hold(charged, [held.row])
        fields = {**self.fields(item), **self.used(used)}
        await self.ledger.open(held, fields)
        await self.ledger.settle(held, used.cost, used.tokens, fields, "settled")

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

    def used(self, used: Used) -> dict[str, Any]:
        """The fields that are known after the calls."""
        return {
            "prompt_tokens": used.sent,
            "completion_tokens": used.received,
            "lines": used.lines,
            "by_model": {
                name: [one.cost, one.sent, one.received] for name, one in used.models.items()
            },
            "lines_by_model": {name: one.lines for name, one in used.models.items()},
            "ended": int(self.ledger.now()),
        }

    @property
    def _models(self) -> str:
        return ",".join(sorted(self.job.models))[:500]


def _fields(used: Used) -> dict[str, Any]:
    """The fields of a part's item for what its closed rows have."""
    numbers = (used.cost, used.sent, used.received, used.lines)
    models = {name: list(astuple(one)) for name, one in used.models.items()}
    return {**dict(zip(CHARGED, numbers, strict=True)), "models": models}


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
