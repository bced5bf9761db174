"""Prepares the native batches of a job: plans them once, and makes the runner for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from msgspec import Struct

from ...config.deployment import Deployment
from ...errors import ErrorDetail, TimedOut
from ...gateway.gateway import Gateway
from ...providers.rate_limits import Limits
from ...transport.engine import Incoming
from ...wire.http import WireRequest, WireResponse
from ..activity import ActivityTracker
from ..costs import Costs
from ..input.planner import LineError, Shard
from ..pacing.rate_limit_state import RateLimitStore
from ..pacing.steady_limits import steady_limits
from ..service.records import Job
from ..service.registry import Registry
from ..store import BlobStore, CappedProgress, RecordStore, ResultStore
from ..totals import Totals
from ..work.manifest import read_manifest
from .chosen_batches import asks_for_batches, choice_of, chosen_batches
from .eligibility import Eligibility, Routes
from .hedged import hedged_totals
from .input_lines import InputLines
from .job import NativeJob, Reserve
from .ledger import BatchLedger
from .merge import ResultMerger
from .merger import Merger
from .planned import plan_batches
from .runner import NativeRunner, RunnerParts, Work
from .shared_limits import MOST_JOBS, OtherLines, other_lines

CALL_TIMEOUT = 600.0
"""Seconds for one call to a batch API, which may carry 50 MB."""


class NativeHost(Struct, frozen=True):
    """
    What a host has for native batches; `records` has the ledger.

    `rate_limits` has what workers have learned of the limits of models, `jobs` which jobs share
    them.
    """

    gateway: Gateway
    blobs: BlobStore
    records: RecordStore
    results: Callable[[Job], ResultStore]
    costs: Costs
    now: Callable[[], float]
    rate_limits: RateLimitStore
    jobs: Registry[Job]

    async def limits(self, model: str) -> Limits | None:
        """What is known of the limits of a model without any in the config."""
        share = self.gateway.catalog.general.batch_share
        return await steady_limits(self.rate_limits, model, self.now(), share)

    async def other_jobs(self, job: Job) -> list[OtherLines]:
        """The lines of other open jobs that take turns with the job's."""
        return other_lines(job, await self.jobs.newest_open(MOST_JOBS), self.now())

    def ledger(self, job: Job) -> BatchLedger:
        """The job's ledger; each user of it has one of its own."""
        return BatchLedger(self.records, job.id)

    async def hedged(self, job: Job) -> Totals:
        """The lines of the job that were sent twice, before its results are joined."""
        shards = list[Shard]()
        if await self.blobs.size(job.input_key) is not None:  # else no line can be found
            shards = [shard async for shard in read_manifest(self.blobs, job.manifest_key)]
        lines = InputLines(self.blobs, job.input_key, job.model, shards)
        rows, cost = await self.ledger(job).rows(), self.costs.cost_of
        return await hedged_totals(rows, lines, self.results(job), cost)

    async def send(self, deployment: Deployment, request: WireRequest) -> WireResponse:
        """One call to a batch API, which is not repeated."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await self.gateway.exchange(deployment, request)
        except TimeoutError:
            raise _timed_out(deployment) from None

    @asynccontextmanager
    async def open(self, deployment: Deployment, request: WireRequest) -> AsyncIterator[Incoming]:
        """One such call, with its response as it arrives; the file may be of any size."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                async with self.gateway.open(deployment, request) as incoming:
                    yield incoming
        except TimeoutError:
            raise _timed_out(deployment) from None


def _timed_out(deployment: Deployment) -> TimedOut:
    return TimedOut(deployment, ErrorDetail(f"no response in {CALL_TIMEOUT:g} s"))


class Preparation:
    """One job's native batches, before and while they run."""

    def __init__(self, host: NativeHost, job: Job, progress: CappedProgress) -> None:
        self._host = host
        self._job = job
        self._progress = progress
        self._done = 0

    async def runner(self, work: Work, activity: ActivityTracker) -> NativeRunner | LineError:
        """The runner; the job's error if a line may not go by a batch although it must."""
        host, job = self._host, self._job
        shards = [s async for s in read_manifest(host.blobs, job.manifest_key)]
        native = native_job(
            host,
            job,
            shards,
            self._open_lines,
            reserve=partial(self._progress.reserve, is_whole=True),
            release=self._progress.release,
            charge=self._progress.charge,
        )
        if (error := await plan_once(host, job, native)) is not None:
            return error
        for row in await native.ledger.rows():
            if row.may_run or row.state == "ended":
                self._progress.reserve(row.estimate)
            self._progress.charge(row.in_vain)
        own, cost = host.ledger(job), host.costs.cost_of
        store = host.results(job)
        results = ResultMerger(own, native.folder, host.blobs, store, self._progress, cost)
        return NativeRunner(
            RunnerParts(
                Merger(native),
                results,
                own,
                self._progress,
                shards,
                work,
                activity,
                host.now,
                self._refresh,
            )
        )

    async def _refresh(self) -> None:
        self._done = (await self._progress.total()).lines

    def _open_lines(self) -> int:
        return self._job.total - self._done


def native_job(
    host: NativeHost,
    job: Job,
    shards: Sequence[Shard],
    open_lines: Callable[[], int],
    *,
    reserve: Reserve = lambda _: None,
    release: Callable[[int], None] = lambda _: None,
    charge: Callable[[int], None] = lambda _: None,
) -> NativeJob:
    """What the steps of the job's batches share; `shards` are all of the job's."""
    catalog = host.gateway.catalog
    return NativeJob(
        id=job.id,
        folder=f"jobs/{job.id}",
        expires_at=job.expires_at,
        window=job.expires_at - job.created_at,
        ledger=host.ledger(job),
        eligibility=Eligibility(Routes(catalog), host.gateway.prepare, catalog.client(job.owner)),
        lines=InputLines(host.blobs, job.input_key, job.model, shards),
        blobs=host.blobs,
        send=host.send,
        open=host.open,
        now=host.now,
        open_lines=open_lines,
        reserve=reserve,
        release=release,
        charge=charge,
        limits=host.limits,
        other_jobs=partial(host.other_jobs, job),
    )


async def plan_once(
    host: NativeHost,
    job: Job,
    native: NativeJob,
    *,
    until: float | None = None,
    reserves_all: bool = False,
) -> LineError | None:
    """
    Add the job's rows to its ledger, unless they are there.

    Returns the job's error if a line may not go by a batch although it must. After `until`, no
    further lines are chosen. With `reserves_all`, all batches together fit under the job's cap,
    because each one's estimate is reserved from now on.
    """
    if await native.ledger.is_planned():
        return None
    choice = choice_of(
        host.costs,
        now=host.now(),
        window=job.expires_at - job.created_at,
        expires_at=job.expires_at,
        is_asked=asks_for_batches(job.lane, job.native),
        tries_one=job.native != "require",
        is_over=lambda: until is not None and host.now() >= until,
    )
    lines = native.lines.all()
    plan = await plan_batches(lines, native.eligibility, choice, native.line_id)
    found = chosen_batches(plan, job.id, job.native, job.max_cost, is_within=reserves_all)
    if isinstance(found, LineError):
        return found
    await native.ledger.plan(list(found.values()), plan.time)
    return None
