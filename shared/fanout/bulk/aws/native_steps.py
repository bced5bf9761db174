"""
Native batches of a stack's jobs: chosen when the job is planned, then stepped by a state machine of
their own, which waits between two turns; their results are merged between rounds of work.

A turn is the merger of `bulk/native`, as on a laptop. It makes what is due, so two turns at the
same time, a killed one and a lost one do no harm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import ceil, inf
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ...errors import NotFound
from ...gateway.gateway import Gateway
from ..costs import Costs
from ..input.planner import LineError, Shard
from ..native.held_lines import HeldLines
from ..native.ledger import BatchEntry
from ..native.merge import ResultMerger
from ..native.merger import Merger
from ..native.runner import SETTLE, SETTLE_EXPIRED
from ..native.setup import NativeHost, native_job, plan_once
from ..pacing.rate_limit_state import RateLimitStore
from ..service.records import Job
from ..service.registry import Registry
from ..totals import Totals
from ..work.manifest import read_manifest
from .batch_service import Stores
from .native_waits import LEAST_HOLD, hold_time, is_lost, turn_wait

PLAN_SECONDS = 600.0
"""For the choice of a job's batches; lines that it does not reach are sent in real time."""

TURN_SECONDS = 240.0
"""After which a turn begins nothing further: a call may take another `CALL_TIMEOUT`."""

MERGE_SECONDS = 300.0
"""After which the finisher merges no further batch before the next look."""

Start: TypeAlias = Callable[[str, str], Awaitable[None]]
"""Starts an execution of the batches' state machine, by its name, for a job; once per name."""


class Turn(Struct, frozen=True):
    """What a turn returns: whether to `wait` so many seconds for the next one, or none follows."""

    next: Literal["wait", "done"]
    wait: int = 0


class JobBatches(Struct, frozen=True):
    """A job's rows after a merge, and how many seconds later the job is to be looked at again."""

    rows: tuple[BatchEntry, ...]
    hold: float

    @property
    def open(self) -> tuple[BatchEntry, ...]:
        """The rows whose results are not merged yet."""
        return tuple(row for row in self.rows if row.state != "merged")

    @property
    def reserved(self) -> int:
        """What the open rows may cost, and what others may have cost in vain, in nanodollars."""
        merged = (row.in_vain for row in self.rows if row.state == "merged")
        return self.pending + sum(merged)

    @property
    def pending(self) -> int:
        """The part of it that is of open rows, which may cost less."""
        return sum(row.estimate for row in self.open)

    def held(self, shard: Shard | None = None) -> HeldLines:
        """The lines that wait for batches; if a shard is given, at least those in it."""
        if shard is None:
            return HeldLines(self.rows)
        # no line is shorter than a byte
        return HeldLines(self.rows, shard.first, shard.first + shard.end - shard.start)

    def held_by_shard(self, shards: Sequence[Shard]) -> dict[int, int]:
        """How many lines of each shard wait for batches; `shards` are all of the job's."""
        held, ends = self.held(), [*(shard.first for shard in shards[1:]), inf]
        return {
            shard.index: held.count(shard.first, end)
            for shard, end in zip(shards, ends, strict=True)
        }

    def leave_nothing(self, job: Job, total: Totals) -> bool:
        """Whether what was spent and what the batches may cost reach the job's cost cap."""
        reserved = self.reserved
        return job.max_cost is not None and reserved > 0 and job.max_cost <= total.cost + reserved


NO_BATCHES = JobBatches((), 0.0)


class NativeSteps:
    """The batches of all jobs of a stack. Without `start`, nothing starts their state machine."""

    def __init__(
        self, host: NativeHost, stores: Stores, jobs: Registry[Job], start: Start | None
    ) -> None:
        self._host = host
        self._stores = stores
        self._jobs = jobs
        self._start = start

    async def plan(self, job: Job) -> LineError | None:
        """Choose the job's batches, unless that is done; its error if it has to fail."""
        host = self._host
        native = native_job(host, job, await self._shards(job), lambda: job.total)
        until = host.now() + PLAN_SECONDS
        error = await plan_once(host, job, native, until=until, reserves_all=True)
        if error is None and await native.ledger.rows():
            await self._begin(job.id, job)
        return error

    async def turn(self, job_id: str) -> Turn:
        """Do what is due for the job's batches."""
        host, now = self._host, self._host.now
        try:
            job = await self._jobs.find(job_id, None)
        except NotFound:
            return Turn("done")
        if job.is_over:
            return await self._end(job)
        open_lines = job.total - await self._done(job)
        native = native_job(
            host,
            job,
            await self._shards(job),
            lambda: open_lines,
        )
        status = await Merger(native).step(is_ending=is_ending(job), until=now() + TURN_SECONDS)
        if status.next_at is None:
            return Turn("done")
        wait = turn_wait(status.rows, status.next_at, now(), now() - job.created_at)
        return Turn("wait", ceil(wait))

    async def _end(self, job: Job) -> Turn:
        """Cancel what the batches of a job do that a failed step has closed before they ended."""
        host, ledger, now = self._host, self._host.ledger(job), self._host.now
        if any(row.is_to_cancel for row in await ledger.rows()):
            native = native_job(host, job, (), lambda: 0)
            until = now() + TURN_SECONDS
            status = await Merger(native, only_ends=True).step(is_ending=True, until=until)
            if status.next_at is not None:
                wait = turn_wait(status.rows, status.next_at, now(), now() - job.created_at)
                return Turn("wait", ceil(wait))
        await ledger.clear()
        return Turn("done")

    async def end(self, job: Job) -> None:
        """Start turns that cancel the batches of a job that is to be closed, if there are any."""
        if any(row.is_to_cancel for row in await self._host.ledger(job).rows()):
            await self._begin(f"{job.id}-end", job)

    async def read(self, job: Job) -> JobBatches:
        """The job's batches, of which nothing is merged now."""
        return JobBatches(tuple(await self._host.ledger(job).rows()), 0.0)

    async def merge(self, job: Job) -> JobBatches:
        """
        Merge what the batches have, as no worker of the job runs; start turns that were lost.

        If not all is merged, the time for it was up, and the next look is at once.
        """
        host, ledger, now = self._host, self._host.ledger(job), self._host.now
        until, rows = now() + MERGE_SECONDS, await ledger.rows()
        stored = [row for row in rows if row.state == "stored"]
        shards = await self._shards(job) if stored else []
        for row in stored:
            if now() >= until:
                break
            progress = self._stores.progress(job)
            merger = ResultMerger(
                ledger,
                f"jobs/{job.id}",
                host.blobs,
                host.results(job),
                progress,
                host.costs.cost_of,
            )
            try:
                await merger.merge([row], shards)
            finally:
                await progress.close()
        rows, age = (await ledger.rows() if stored else rows), now() - job.created_at
        await self._restart(job, rows, age)
        found = JobBatches(tuple(rows), 0.0)
        is_late = any(row.state == "stored" for row in rows)
        return replace(found, hold=1.0 if is_late else hold_time(found.open, now(), age))

    async def is_lost(self, job: Job) -> bool:
        """Whether a turn of the job's batches is so late that something is wrong."""
        if job.is_over:
            return False
        now = self._host.now()
        rows = await self._host.ledger(job).rows()
        return any(is_lost(row, now, now - job.created_at) for row in rows)

    def settle(self, job: Job, batches: JobBatches) -> float | None:
        """Seconds until the next look at a job that ends; `None` if nothing is waited for."""
        if not batches.open:
            return None
        began = job.cancelling_at or job.finalizing_at or 0
        until = began + (SETTLE_EXPIRED if job.reason == "expired" else SETTLE)
        return min(batches.hold, LEAST_HOLD) if self._host.now() < until else None

    async def _restart(self, job: Job, rows: Sequence[BatchEntry], age: float) -> None:
        """Start further turns, if the job ends while the next one is far, or if one was lost."""
        now = self._host.now()
        if is_ending(job) and any(row.state not in {"stored", "merged"} for row in rows):
            await self._begin(f"{job.id}-end", job)
        if any(is_lost(row, now, age) for row in rows):
            await self._begin(f"{job.id}-{int(now // 3600):x}", job)

    async def _begin(self, name: str, job: Job) -> None:
        if self._start is not None:
            await self._start(name, job.id)

    async def _shards(self, job: Job) -> list[Shard]:
        return [shard async for shard in read_manifest(self._host.blobs, job.manifest_key)]

    async def _done(self, job: Job) -> int:
        return (await self._stores.progress(job).total()).lines


def is_ending(job: Job) -> bool:
    """Whether no further line of the job is sent, so that its batches are to end."""
    return job.status != "in_progress" or job.reason is not None


def make_native_steps(
    gateway: Gateway,
    stores: Stores,
    jobs: Registry[Job],
    costs: Costs,
    rate_limits: RateLimitStore,
    start: Start | None,
) -> NativeSteps:
    """The steps, over a stack's stores."""
    host = NativeHost(
        gateway, stores.blobs, stores.table, stores.results, costs, stores.now, rate_limits, jobs
    )
    return NativeSteps(host, stores, jobs, start)
