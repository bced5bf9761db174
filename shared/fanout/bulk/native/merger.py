"""
The merger: does what is due for a job's native batches, and says when it is to be called again.

It never sleeps and keeps nothing in memory between two steps, so a task on a laptop calls it as
well as a schedule on AWS, and a killed one is continued by the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from .collect import collect
from .deadline import LEAST_RUN, Deadline
from .job import RETRY, NativeJob
from .ledger import BatchEntry, LedgerChanged
from .poll import poll
from .reconcile import look_at_candidates, search
from .submit import submit

BUSY = 900.0
"""Seconds for which a creation that began is left to the process that began it."""

AGAIN = 1.0
"""Seconds after which a step is made again whose row another process has changed."""


class Status(Struct, frozen=True):
    """
    What a step has left: the rows, and when the next step is due, in seconds since 1970.

    `next_at` is `None` if nothing is left to do at any provider.
    """

    rows: tuple[BatchEntry, ...]
    next_at: float | None

    @property
    def stored(self) -> tuple[BatchEntry, ...]:
        """The rows whose results are to be merged."""
        return tuple(row for row in self.rows if row.state == "stored")

    @property
    def is_open(self) -> bool:
        """Whether lines wait for a batch, or for its rows to be merged."""
        return any(row.holds_its_lines for row in self.rows)


class Merger:
    """
    The native batches of one job. With `is_ending`, no batch is created and all are ended.

    With `only_ends`, batches are only cancelled: the job is closed, so their results go nowhere.
    """

    def __init__(self, job: NativeJob, *, only_ends: bool = False) -> None:
        self.job = job
        self._only_ends = only_ends

    async def step(self, *, is_ending: bool = False, until: float | None = None) -> Status:
        """Do what is due now. After `until`, nothing further is begun, and is due at once."""
        job = self.job
        rows = await job.ledger.rows()
        await job.learn(rows)
        deadlines = job.deadlines(rows)
        is_changed = False
        for row in rows:
            if not self._is_left(row) or _due_at(row, job.now(), is_ending=is_ending) > job.now():
                continue
            if until is not None and job.now() >= until:
                break
            try:
                await self._advance(row, rows, deadlines(row), is_ending=is_ending)
            except LedgerChanged:
                is_changed = True
                break
        rows = await job.ledger.rows()
        times = [_due_at(row, job.now(), is_ending=is_ending) for row in rows if self._is_left(row)]
        next_at = job.now() + AGAIN if is_changed else min(times, default=None)
        return Status(tuple(rows), next_at)

    def _is_left(self, row: BatchEntry) -> bool:
        """Whether something is left to do for the row at its provider."""
        if self._only_ends:
            return row.is_to_cancel
        return row.state not in {"stored", "merged"}

    async def _advance(
        self, row: BatchEntry, rows: Sequence[BatchEntry], deadline: Deadline, *, is_ending: bool
    ) -> None:
        job = self.job
        is_gone = row.state != "planned" and job.route(row) is None
        if is_gone != row.is_gone:
            row = await job.ledger.write(replace(row, is_gone=is_gone))
        if row.may_run and not is_ending and self._is_late(row, deadline):
            row = await job.ledger.write(replace(row, hedged=True))  # before any call
        match row.state:
            case "planned":
                await self._planned(row, deadline, is_ending=is_ending)
            case "sent":  # the process that began it was killed
                await job.ledger.write(replace(row, state="lost", next_at=job.now()))
            case "lost":
                await search(job, row, await job.ledger.known_ids())
            case "parked":
                await look_at_candidates(job, row)
            case "open" | "cancelling":
                await poll(job, row, deadline, is_ending=is_ending)
            case "ended":
                await collect(job, row, rows, deadline, is_ending=is_ending)
            case "stored" | "merged":
                pass
            case _:
                assert_never(row.state)

    async def _planned(self, row: BatchEntry, deadline: Deadline, *, is_ending: bool) -> None:
        """Create the batch, unless too little time is left for it."""
        job = self.job
        route = job.route(row)
        drain = 0.0 if route is None else route.batches.limits.drain
        if is_ending or job.now() > deadline.give_up_at(drain) - LEAST_RUN:
            await job.give_back(row)
        else:
            await submit(job, row)

    def _is_late(self, row: BatchEntry, deadline: Deadline) -> bool:
        """Whether the lines are to be sent in real time although a batch may still answer them."""
        return not row.hedged and self.job.now() >= self._hedge_at(row, deadline)

    def _hedge_at(self, row: BatchEntry, deadline: Deadline) -> float:
        """When that is; a batch that cannot be cancelled is not waited for."""
        if row.state in {"open", "cancelling"}:
            return deadline.hedge_at
        route = self.job.route(row)
        return deadline.give_up_at(0.0 if route is None else route.batches.limits.drain)


def _due_at(row: BatchEntry, now: float, *, is_ending: bool) -> float:
    """When there is something to do for a row."""
    if row.state in {"stored", "merged"}:
        return float("inf")
    if row.state == "sent":
        return (row.sent_at or 0.0) + BUSY
    if is_ending and row.state in {"planned", "open"}:
        return min(row.next_at, now)
    if is_ending and row.state == "ended" and row.next_at > now + RETRY:
        return now  # its files were asked for in vain, and there is less time now
    return row.next_at
