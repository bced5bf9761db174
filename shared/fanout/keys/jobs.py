"""
Charges the lines of a job to its virtual key, and ends the job when the key's budget is spent.

A job reserves for some lines at once: one reservation, one spend row. It settles the row when what
is still reserved covers the lines in flight, with what lines have cost whose results are stored by
then. After a crash, the next run of the job reads its rows, and charges what they lack.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any, Literal

from ..bulk.service.records import Job
from ..bulk.store import JobProgress, Stop
from ..bulk.totals import Totals
from ..config.catalog import Catalog, ClientKey
from ..errors import BudgetExceeded, BudgetHeld, FanoutError, StorageBusy, Unauthorized
from .account import HELD_SECONDS, Need, Reservation, account_key
from .clients import models_of
from .groups import shared_account, shared_models
from .items import Item
from .ledger import Ledger, limit_of

FIRST_LINES, MAX_LINES = 10, 1_000
"""Lines that a reservation is for: the first, and at most if lines are used up quickly."""

QUICK = 1.0
"""Seconds: if a reservation is used up sooner, the next one is for twice as many lines."""

CHECK_INTERVAL = 5.0
"""Seconds between two looks at the rights of the key."""

BUSY_PAUSES = (0.1, 0.5, 2.0)
"""Seconds between attempts to settle what a job has spent, if the store is busy at its end."""

SHORT_PAUSE = 0.2
"""Seconds until the next attempt to reserve more, while the job's own lines hold the budget."""

BLOCKED_MODELS: frozenset[str] = frozenset()


class KeyAccounts:
    """The accounts of a ledger, for the jobs of virtual keys; its tasks belong to `group`."""

    def __init__(self, ledger: Ledger, catalog: Catalog, group: asyncio.TaskGroup) -> None:
        self.ledger = ledger
        self._group = group
        self._general = catalog.general

    def close(self) -> None:
        """Close the store."""
        self.ledger.store.close()

    async def client(self, job: Job) -> ClientKey:
        """The job's client, without any models if its key is not valid any more."""
        models: frozenset[str] | None = BLOCKED_MODELS
        if (item := await self._find(job)) is not None:
            models = models_of(item)
            if (shared := await shared_account(self.ledger, item)) is not None:
                models = shared_models(models, models_of(shared))
        return ClientKey(job.owner, None, models)

    async def has_budget(self, job: Job) -> bool:
        """Whether the key has a budget, so that the price of each model must be known."""
        if self._general.unpriced_models != "reject" or (item := await self._find(job)) is None:
            return False
        shared = await shared_account(self.ledger, item)
        payers = [item] if shared is None else [item, shared]
        return any(limit_of(one, "max_budget") is not None for one in payers)

    async def charged(self, job: Job, progress: JobProgress) -> ChargedJob:
        """The progress of a job that its key pays for."""
        item = await self._find(job)
        charged = ChargedJob(progress, self.ledger, job, str(job.account), item, self._group)
        await charged.open()
        shared = None if item is None else await shared_account(self.ledger, item)
        if shared is not None:
            charged = ChargedJob(charged, self.ledger, job, shared["id"], shared, self._group)
            await charged.open()
        return charged

    async def _find(self, job: Job) -> Item | None:
        return await self.ledger.store.get(account_key(str(job.account)))


class ChargedJob:
    """
    A `JobProgress` over another one: a line starts if the key's budget permits it, too.

    `_covered` is the sum of the open reservations, `_in_flight` that of the estimates of lines in
    flight, `_spent` what lines have cost, `_stored` the part of it whose results are stored, and
    `_charged` the part that is in spend rows. All are in nanodollars.
    """

    def __init__(
        self,
        inner: JobProgress,
        ledger: Ledger,
        job: Job,
        account: str,
        item: Item | None,
        group: asyncio.TaskGroup,
    ) -> None:
        self._inner = inner
        self._group = group
        self._ledger = ledger
        self._job = job
        self._account = account
        self._item = item
        self._stop: Stop | None = None if item else "forbidden"
        self._held: deque[Reservation] = deque()
        self._covered = self._in_flight = 0
        self._spent = self._stored = self._charged = 0
        self._sent = self._received = 0
        self._lines = FIRST_LINES
        self._is_short = False
        self._claiming: asyncio.Task[None] | None = None
        self._claimed_at = self._not_before = self._checked_at = 0.0

    def current_client(self) -> ClientKey:
        """The job's client, with the rights that its key and its team or user have now."""
        models = BLOCKED_MODELS if self._item is None else models_of(self._item)
        if isinstance(self._inner, ChargedJob):
            models = shared_models(models, self._inner.current_client().models)
        return ClientKey(self._job.owner, None, models)

    async def open(self) -> None:
        """Read what earlier runs have charged, and close the rows that a crash has left open."""
        if (item := self._item) is None:
            return
        rows = await self._ledger.rows_of_job(item, self._job.id, self._job.created_at)
        for where, row in rows:
            if row["status"] != "open":  # what a sweep has found to be lost is paid, too
                self._charged += row["cost"]
            else:
                held = self._ledger.reservation(item, where, row)
                await self._ledger.settle(held, 0, 0, self._used(0, 0, 0), "lost")
        self._spent = self._stored = (await self._inner.total()).cost
        await self._check_rights()

    # ---- the lines ----

    def reserve(self, estimate: int, *, is_whole: bool = False) -> Stop | Literal["wait"] | None:
        """Reserve the estimate under the job's cap and the key's budget, or say why not."""
        if estimate == 0:
            return self._stop or self._inner.reserve(0, is_whole=is_whole)
        if self._stop is not None:
            return self._stop
        room = self._covered - self._in_flight - (self._spent - self._charged)
        if estimate > room:
            stop = self._inner.reserve(0)  # why no line may start at all
            if stop is None or stop == "wait":
                self._claim_soon(estimate)
                return self._stop or "wait"
            return stop
        stop = self._inner.reserve(estimate, is_whole=is_whole)
        if stop is None:
            self._in_flight += estimate
            if room - estimate < self._lines * estimate // 2:
                self._claim_soon(estimate)
        return stop

    def settle(self, shard: int, estimate: int, totals: Totals) -> None:
        """Count a line whose result is stored, and what it has cost."""
        self._inner.settle(shard, estimate, totals)
        self._in_flight -= estimate
        self._spent += totals.cost
        self._sent += totals.tokens_in
        self._received += totals.tokens_out

    def release(self, estimate: int) -> None:
        """Release the estimate of a line that ended without a result."""
        self._inner.release(estimate)
        self._in_flight -= estimate

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """Start on a shard; `stored` are the totals of its stored lines."""
        self._inner.begin_shard(shard, stored)

    def complete_shard(self, shard: int) -> None:
        """Mark the shard as complete."""
        self._inner.complete_shard(shard)

    async def sync(self) -> None:
        """
        Write the counts, charge what lines have cost, and look at the key's rights now and then.

        If the store of keys does not respond, the next call does it.
        """
        await self._inner.sync()
        with suppress(FanoutError):
            await self._settle(is_last=False)
            if time.monotonic() - self._checked_at >= CHECK_INTERVAL:
                await self._check_rights()
        self._spent = (await self._inner.total()).cost
        self._stored = self._spent  # the worker stores all of it before the next call

    async def close(self) -> None:
        """Like `sync`, at the worker's end: no line is in flight, so nothing stays reserved."""
        if self._claiming is not None:
            await self._claiming
        await self._inner.close()
        self._spent = self._stored = (await self._inner.total()).cost
        with suppress(FanoutError):  # the next run, or a sweep, does it
            for pause in BUSY_PAUSES:
                with suppress(StorageBusy):  # nothing was written
                    await self._settle(is_last=True)
                    return
                await asyncio.sleep(pause)
            await self._settle(is_last=True)

    async def completed_totals(self, shard: int) -> Totals | None:
        """The totals of a complete shard."""
        return await self._inner.completed_totals(shard)

    async def total(self) -> Totals:
        """The totals of the whole job."""
        return await self._inner.total()

    # ---- the key ----

    def _claim_soon(self, estimate: int) -> None:
        """Reserve for more lines in a task, unless one does so, or the budget is held."""
        is_busy = self._claiming is not None and not self._claiming.done()
        if not is_busy and time.monotonic() >= self._not_before:
            self._claiming = self._group.create_task(self._claim(estimate))

    async def _claim(self, estimate: int) -> None:
        """Reserve for as many lines as the budget has money for, or stop the job if for none."""
        is_quick = time.monotonic() - self._claimed_at < QUICK
        lines = min(MAX_LINES, 2 * self._lines) if is_quick else self._lines
        rejection: FanoutError | None = None
        for count in sorted({lines, 1}, reverse=True):
            try:
                await self._reserve(count * estimate)
            except (BudgetExceeded, BudgetHeld) as error:
                rejection = error
            except Unauthorized:
                self._stop = "forbidden"
                return
            except FanoutError:  # the store does not respond
                self._not_before = time.monotonic() + HELD_SECONDS
                return
            else:
                self._lines, self._claimed_at = count, time.monotonic()
                self._is_short = False
                return
        if self._held:  # settling them may leave enough
            self._is_short = True
            self._not_before = time.monotonic() + SHORT_PAUSE
        elif isinstance(rejection, BudgetExceeded):
            self._stop = "unfunded"
        else:
            self._not_before = time.monotonic() + HELD_SECONDS

    async def _reserve(self, cost: int) -> None:
        if (item := self._item) is None:
            raise Unauthorized("the key is not valid any more")
        need = Need(cost, requests=0)
        held, state = await self._ledger.claim(item, need, self._know)
        self._item = state
        self._held.append(held)
        self._covered += cost
        await self._ledger.open(held, self._row(state))

    def _know(self, item: Item) -> None:
        """The rights of the key may have changed."""
        self._item = item

    async def _check_rights(self) -> None:
        """Stop the job if its key is blocked or deleted, or has expired."""
        self._checked_at = time.monotonic()
        item = await self._ledger.store.get(account_key(self._account))
        if item is None or item["blocked"] or item["expires_at"] <= self._ledger.now():
            self._stop = "forbidden"
        else:
            self._know(item)

    async def _settle(self, *, is_last: bool) -> None:
        """Settle the reservations that the lines in flight do not need, the oldest first."""
        while self._held:
            rest = self._covered - self._held[0].need.cost
            uncharged = self._spent - max(self._stored, self._charged)
            is_of_use = self._due > 0 or self._is_short
            if not is_last and (not is_of_use or rest < self._in_flight + uncharged):
                break
            await self._settle_first(is_alone=len(self._held) == 1)
        for _ in range(len(self._held)):
            held = self._held.popleft()
            self._held.append(await self._ledger.renew(held) if self._is_old(held) else held)
        if is_last and (due := self._due) > 0 and self._item is not None:
            used = self._used(due, self._sent, self._received)
            tokens = self._sent + self._received
            await self._ledger.charge(self._item, due, tokens, {**self._row(self._item), **used})
            self._charged += due

    def _is_old(self, held: Reservation) -> bool:
        return self._ledger.is_old(held)

    @property
    def _due(self) -> int:
        """What lines have cost whose results are stored, and that is in no spend row."""
        return max(0, self._stored - self._charged)

    async def _settle_first(self, *, is_alone: bool) -> None:
        """Settle the oldest reservation: with its part of what is due, or all if it `is_alone`."""
        held, sent, received = self._held[0], self._sent, self._received
        cost = self._due if is_alone else min(self._due, held.need.cost)
        row = self._used(cost, sent, received)
        settle = partial(self._ledger.settle, held, cost, sent + received, row, "settled")
        if not await settle():
            found = await self._ledger.store.get(held.row)
            if found is None and self._item is not None:  # it could not be opened
                await self._ledger.open(held, self._row(self._item))
                await settle()
            elif found is not None:  # by an earlier attempt, or by a sweep, as it was too old
                cost = found["cost"]
        self._held.popleft()
        self._covered -= held.need.cost
        self._charged += cost
        self._sent -= sent
        self._received -= received

    # ---- spend rows ----

    def _row(self, item: Item) -> dict[str, Any]:
        """The fields of a spend row that are known before the calls."""
        return {
            "request_id": self._job.id,
            "token": item["token"],
            "alias": item["alias"],
            "team_id": item["team_id"],
            "user_id": item["user_id"],
            "tags": item["tags"],
            "mode": "batch",
            "model": self._models,
            "end_user": "",
        }

    def _used(self, cost: int, sent: int, received: int) -> dict[str, Any]:
        """The fields that are known after the calls."""
        return {
            "prompt_tokens": sent,
            "completion_tokens": received,
            "by_model": {self._models: [cost, sent, received]},
            "ended": int(self._ledger.now()),
        }

    @property
    def _models(self) -> str:
        return ",".join(sorted(self._job.models))[:500]
