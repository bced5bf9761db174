"""
Charges the lines of a job to an account, and stops the job when the account's budget is spent.

A job reserves for some lines at once: one reservation, one spend row. It settles the row when what
is still reserved covers the lines in flight, with what lines have cost whose results are stored by
then. After a crash, the next run of the job reads its rows, and charges what they lack.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Literal

from ..bulk.store import JobProgress, Stop
from ..bulk.totals import Totals
from ..config.catalog import ClientKey
from ..errors import BudgetExceeded, BudgetHeld, FanoutError, StorageBusy, Unauthorized
from .account import HELD_SECONDS, UNKNOWN_KEY, BudgetReservation, Need
from .current_rights import MAX_AGE
from .groups import shared_models
from .items import Item, UpdateConflict
from .job_rights import AccountRights
from .job_rows import JobRows, Used, used_of
from .uncharged_lines import UnchargedLines

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


class ChargedJob:
    """
    A `JobProgress` over another one: a line starts if the key's budget permits it, too.

    `_covered` is the sum of the open reservations, `_in_flight` that of the estimates of lines in
    flight, both in nanodollars. `_uncharged` are the lines that no spend row has.
    """

    def __init__(
        self,
        inner: JobProgress,
        rows: JobRows,
        item: Item | None,
        own: Callable[[], Totals] | None = None,
    ) -> None:
        self._inner = inner
        self._rows = rows
        self._ledger = rows.ledger
        self._loop = asyncio.get_running_loop()
        self._rights = AccountRights(rows.ledger, rows.account_key, item)
        self._own = own
        self._stop: Stop | None = None if item else "forbidden"
        self._held: deque[BudgetReservation] = deque()
        self._covered = self._in_flight = 0
        self._uncharged = UnchargedLines()
        self._lines = FIRST_LINES
        self._is_short = False
        self._claiming: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._claimed_at = self._not_before = -CHECK_INTERVAL

    def current_client(self) -> ClientKey:
        """The job's client, with the rights that its key and its team or user have now."""
        models = self._rights.models
        if isinstance(self._inner, ChargedJob):
            models = shared_models(models, self._inner.current_client().models)
        return ClientKey(self._rows.job.owner, None, models, current=self._current)

    async def _current(self) -> ClientKey:
        """The client for a call that starts now; raises `Unauthorized` if its key is not."""
        with suppress(FanoutError):  # of the store of keys
            await self._check_rights(MAX_AGE)
        if isinstance(self._inner, ChargedJob):
            await self._inner._current()  # noqa: SLF001 -- of the same class
        if self._stop == "forbidden":
            raise Unauthorized(UNKNOWN_KEY)
        return self.current_client()

    async def open(self) -> None:
        """Read what earlier runs have charged, and close the rows that a crash has left open."""
        if self._rights.item is None:
            return
        self._uncharged = UnchargedLines(await self._rows.take())
        if self._own is None:
            await self._count()
        await self._check_rights(0.0)

    async def _count(self) -> None:
        """Count the lines of all runs so far, which the worker stores before the next call."""
        totals = await self._inner.total() if self._own is None else self._own()
        self._uncharged.count(self._rows.used_by(totals))

    # ---- the lines ----

    def reserve(self, estimate: int, *, is_whole: bool = False) -> Stop | Literal["wait"] | None:
        """Reserve the estimate under the job's cap and the key's budget, or say why not."""
        if estimate == 0:
            return self._stop or self._inner.reserve(0, is_whole=is_whole)
        if self._stop is not None:
            return self._stop
        room = self._covered - self._in_flight - self._uncharged.owed
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
        self._uncharged.add(self._rows.used_by(totals))

    def release(self, estimate: int) -> None:
        """Release the estimate of a line that ended without a result."""
        self._inner.release(estimate)
        self._in_flight -= estimate

    def begin_shard(self, shard: int, stored: Totals) -> None:
        """Start on a shard; `stored` are the totals of its stored lines."""
        self._inner.begin_shard(shard, stored)
        if self._own is not None:
            self._uncharged.count(self._rows.used_by(self._own()))

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
            # A worker that ends cancels this, but not between the two writes of a settlement.
            self._settling = self._loop.create_task(self._settle(is_last=False))
            await asyncio.shield(self._settling)
            await self._check_rights(CHECK_INTERVAL)
        await self._count()

    async def close(self) -> None:
        """Like `sync`, at the worker's end: no line is in flight, so nothing stays reserved."""
        if running := [task for task in (self._claiming, self._settling) if task is not None]:
            await asyncio.wait(running)
        await self._inner.close()
        await self._count()
        with suppress(FanoutError, UpdateConflict):  # the next run, or a sweep, does it
            for pause in BUSY_PAUSES:
                with suppress(StorageBusy):  # nothing was written
                    await self._settle_all()
                    return
                await asyncio.sleep(pause)
            await self._settle_all()

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
        if self._claiming is not None and not is_busy:
            self._claiming.result()  # it raises what went wrong
        if not is_busy and self._loop.time() >= self._not_before:
            task = self._claim(estimate)
            self._claiming = self._loop.create_task(task)  # `close` awaits it

    async def _claim(self, estimate: int) -> None:
        """Reserve for as many lines as the budget has money for, or stop the job if for none."""
        is_quick = self._loop.time() - self._claimed_at < QUICK
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
            except UpdateConflict:  # a later run has taken over
                self._stop = "paused"
                return
            except FanoutError:  # the store does not respond
                self._not_before = self._loop.time() + HELD_SECONDS
                return
            else:
                self._lines, self._claimed_at = count, self._loop.time()
                self._is_short = False
                return
        if self._held:  # settling them may leave enough
            self._is_short = True
            self._not_before = self._loop.time() + SHORT_PAUSE
        elif isinstance(rejection, BudgetExceeded):
            self._stop = "unfunded"
        else:
            self._not_before = self._loop.time() + HELD_SECONDS

    async def _reserve(self, cost: int) -> None:
        if (item := self._rights.item) is None:
            raise Unauthorized("the key is not valid any more")
        held, state = await self._ledger.claim(item, Need(cost, requests=0), self._rights.know)
        self._rights.know(state)
        try:
            rows = [*(one.row for one in self._held), held.row]
            await self._rows.hold(self._uncharged.charged, rows)
        except (FanoutError, UpdateConflict):
            with suppress(FanoutError):
                await self._ledger.count(held, 0, 0)
            raise
        self._held.append(held)
        self._covered += cost
        await self._ledger.open(held, self._rows.fields(state))

    async def _check_rights(self, max_age: float) -> None:
        """Stop the job if its key is blocked or deleted, or has expired."""
        await self._rights.refresh(max_age)
        if not self._rights.is_valid:
            self._stop = "forbidden"

    async def _settle(self, *, is_last: bool) -> None:
        """Settle the reservations that the lines in flight do not need, the oldest first."""
        while self._held:
            rest = self._covered - self._held[0].need.cost
            due = self._uncharged.due
            is_of_use, new = due > 0 or self._is_short, self._uncharged.owed - due
            if not is_last and (not is_of_use or rest < self._in_flight + new):
                break
            await self._settle_first(is_alone=len(self._held) == 1)
        for _ in range(len(self._held)):
            held = self._held.popleft()
            is_old = self._ledger.is_old(held)
            self._held.append(await self._ledger.renew(held) if is_old else held)

    async def _settle_all(self) -> None:
        """Settle everything at the run's end, and note that no row is open."""
        await self._settle(is_last=True)
        if self._rights.item is None:
            return
        used = self._uncharged.take()
        if used.cost > 0:
            try:
                await self._rows.charge(self._rights.item, self._uncharged.charged, used)
            except BaseException:
                self._uncharged.give_back(used)
                raise
            self._uncharged.charge(used, used)
        await self._rows.hold(self._uncharged.charged, ())

    async def _settle_first(self, *, is_alone: bool) -> None:
        """Settle the oldest reservation: with its part of what is due, or all if it `is_alone`."""
        held = self._held[0]
        used = self._uncharged.take(None if is_alone else held.need.cost)
        try:
            charged = await self._settled(held, used)
        except BaseException:
            self._uncharged.give_back(used)
            raise
        self._held.popleft()
        self._covered -= held.need.cost
        self._uncharged.charge(used, charged)

    async def _settled(self, held: BudgetReservation, used: Used) -> Used:
        """Settle a reservation; returns what its row has."""
        row = self._rows.used(used)
        settle = partial(self._ledger.settle, held, used.cost, used.tokens, row, "settled")
        if await settle():
            return used
        found = await self._ledger.store.get(held.row)
        if found is None and self._rights.item is not None:  # it could not be opened
            await self._ledger.open(held, self._rows.fields(self._rights.item))
            await settle()
        # Otherwise by an earlier attempt, or by a sweep, as it was too old.
        return used if found is None else used_of(found)
