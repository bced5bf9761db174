"""
The steps of a job that the state machine runs: plan, work on a shard, finish.

Each step may be run again after a failure. Their results are small: prompts and responses stay in
S3 and never pass through the state machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from ...config.catalog import ClientKey
from ...gateway.gateway import Gateway
from ...telemetry.observers import Observer
from ..activity import ActivityTracker
from ..costs import Costs
from ..input.planner import SMALL_SHARDS, Shard
from ..pacing.limits import make_limits
from ..pacing.prompt_caches import cache_rules
from ..pacing.rate_limit_state import RateLimitStore
from ..pacing.rate_limiter import RateLimiter
from ..runner import Runner
from ..service.batches import job_registry
from ..service.new_job import HOUR, MAX_WINDOW
from ..service.records import Job
from ..steps import transitions
from ..steps.accounts import JobAccounts, required
from ..steps.host import RunnerOptions
from ..steps.working import line_estimate
from ..store import JobProgress
from ..totals import Totals
from ..work.line_requests import make_line_sender
from ..work.spec import WorkerResources, WorkResult, WorkSpec, flex_lane, line_cost
from ..work.worker import work
from .batch_service import Stores
from .job_changes import ended_early, expired, failed, failing, finalized, rejected
from .job_delivery import WebhookStarts, copy_results
from .next_round import next_round
from .rate_limit_store import DynamoRateLimitStore
from .s3 import once
from .step_payloads import Finished, Planned
from .sync_schedule import max_workers, sync_times

if TYPE_CHECKING:
    from .native_steps import NativeSteps, Start

START_SECONDS = 60
"""Seconds within which the workers of a planned job have started."""

OPTIONS = RunnerOptions(shard_size=SMALL_SHARDS, orders_all=False)

ORDERED_AT_ONCE = 8
"""Shards whose results the finisher reads at once: each waits for several requests to S3."""


class StepHandlers:
    """
    The steps, over a stack's stores.

    `on_worked` gets the totals of what each worker did. `notify` starts the delivery of a job's
    webhook, `start_batches` the state machine of its native batches. `accounts` are those of
    virtual keys.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        gateway: Gateway,
        stores: Stores,
        observer: Observer,
        options: RunnerOptions = OPTIONS,
        rate_limits: RateLimitStore | None = None,
        *,
        on_worked: Callable[[Totals], None] = lambda _: None,
        notify: Callable[[str], Awaitable[None]] | None = None,
        accounts: JobAccounts | None = None,
        start_batches: Start | None = None,
    ) -> None:
        self._accounts = accounts
        self._gateway = gateway
        self._stores = stores
        self._observer = observer
        self._options = options
        self._on_worked = on_worked
        self._start_batches = start_batches
        self._made_native: NativeSteps | None = None
        self._costs = Costs(gateway.catalog)
        self._rate_limits = rate_limits or DynamoRateLimitStore(stores.table)
        share = gateway.catalog.general.batch_share
        limits = make_limits(gateway.catalog)
        self._limiter = RateLimiter(self._rate_limits, limits, stores.now, share)
        self._jobs = job_registry(stores.table)
        self._files = stores.files
        self.webhooks = WebhookStarts(self._jobs, notify, observer)
        self._runner = Runner(
            gateway,
            self._files,
            self._jobs,
            results=stores.results,
            progress=stores.finisher_progress,
            clear=stores.clear,
            observer=observer,
            now=stores.now,
            options=replace(options, ends_batches_later=True, ordered_at_once=ORDERED_AT_ONCE),
            accounts=accounts,
            ledger=stores.table,
        )

    @property
    def native(self) -> NativeSteps:
        """The native batches of jobs, which few of them have."""
        from .native_steps import make_native_steps

        if self._made_native is None:
            self._made_native = make_native_steps(
                self._gateway,
                self._stores,
                self._jobs,
                self._costs,
                self._rate_limits,
                self._start_batches,
            )
        return self._made_native

    async def plan(self, job_id: str) -> Planned:
        """Check the job's input and cut it into shards, unless that is done."""
        job = await self._jobs.find(job_id, None)
        if job.status == "validating":
            job = await self._runner.plan(job)
        if _has_batches(job) and job.status == "in_progress" and job.reason is None:
            error = await self.native.plan(job)
            if error is not None:
                failed = partial(transitions.failed, error=error, now=int(self._stores.now()))
                job = await self._jobs.change(job.id, failed)
        is_on = job.status == "in_progress"
        next_: Literal["work", "finish"] = "work" if is_on else "finish"
        return Planned(job.id, job.manifest_key, next_, max_workers(job))

    async def work(self, job_id: str, shard: Shard, seconds: float, workers: int = 0) -> WorkResult:
        """
        Send a shard's lines that have no stored result, for at most so many seconds.

        The job's `workers` share its item collection in DynamoDB: many of them write less often.
        """
        job = await self._jobs.find(job_id, None)
        if job.reason == "refused":
            return WorkResult(0, 0, shard.lines, "refused")
        batches = await self.native.read(job) if _has_batches(job) else None
        activity = ActivityTracker(self._stores.now)
        own = self._stores.progress(job, activity=activity)
        if batches is not None:
            own.charge(batches.reserved)
        progress: JobProgress = own
        client: Callable[[], ClientKey] | None = None
        if job.account is not None:
            accounts, part = required(self._accounts), f"{shard.index:08d}"
            charged = await accounts.charged(job, own, part=part, own=own.shard_totals)
            progress, client = charged, charged.current_client
        resources = WorkerResources(
            make_line_sender(
                self._gateway,
                job.owner,
                self._observer,
                self._limiter,
                activity,
                latest=job.expires_at,
                client=client,
            ),
            self._stores.blobs,
            self._stores.results(job),
            progress,
            line_cost(job, self._costs),
            line_estimate(job, self._costs),
            activity,
            flex=flex_lane(job, self._gateway.catalog, self._stores.now),
            is_held=(lambda _: False) if batches is None else batches.held(shard).__contains__,
            cache_rules=partial(cache_rules, self._gateway.catalog),
        )
        try:
            spec = self._work_spec(job, shard.index, workers)
            result = await work(spec, once(shard), resources, seconds=seconds)
        finally:
            self._on_worked(own.own_totals)
        await self._rate_limits.flush()
        if result.stop == "capped" and batches is not None and batches.pending:
            result = replace(result, stop="paused")  # until the batches cost less than is reserved
        await self._note_stop(job, result)
        return replace(result, rejection=None)  # the job has it

    async def _note_stop(self, job: Job, result: WorkResult) -> None:
        """Note in the job's record why a worker ended, if that ends the job."""
        if result.rejection is not None:
            await self._jobs.change(job.id, partial(rejected, result.rejection))
        if result.stop in {"capped", "expired"}:
            await self._jobs.change(
                job.id, partial(ended_early, result.stop, int(self._stores.now()))
            )
        if result.stop in {"unfunded", "forbidden"}:
            now = int(self._stores.now())
            await self._jobs.change(job.id, lambda found: transitions.worked(found, result, now))

    def _work_spec(self, job: Job, shard: int, workers: int) -> WorkSpec:
        spec = self._options.work_spec(job)
        first, interval = sync_times(shard, workers, capped=job.max_cost is not None)
        if interval <= spec.sync_interval:
            return spec
        return replace(spec, first_sync=first, sync_interval=interval)

    async def finish(self, job_id: str) -> Finished:
        """Close the job, unless it has incomplete shards and may go on."""
        now = self._stores.now()
        job = await self._jobs.change(job_id, partial(expired, now))
        batches = await self.native.merge(job) if _has_batches(job) and not job.is_over else None
        if job.status == "in_progress" and job.reason is None:
            everything = [shard async for shard in self._runner.shards(job)]
            if incomplete := await next_round(job, self._stores, everything, batches):
                return incomplete
            job = await self._jobs.change(job.id, partial(finalized, int(now)))
        if batches is not None and batches.open and job.reason is not None:
            job = await self._jobs.change(job.id, partial(finalized, int(now)))
            if (hold := self.native.settle(job, batches)) is not None:
                return Finished(job.id, job.status, "work", hold=hold)
        return await self._close(job)

    async def fail(self, job_id: str, why: str) -> Finished:
        """End the job as failed, and keep the results it has; `why` goes to its `errors`."""
        job = await self._jobs.change(job_id, partial(failing, why))
        await self._end_batches(job)
        return await self._close(job)

    async def abandon(self, job_id: str, why: str) -> Finished:
        """Close the job's record only, if its results cannot be joined."""
        job = await self._jobs.change(job_id, partial(failed, why, int(self._stores.now())))
        await self._end_batches(job)
        await self.webhooks.start(job)
        return Finished(job.id, job.status, "done")

    async def _end_batches(self, job: Job) -> None:
        """Have the batches of a failed job cancelled; if that cannot start, the job ends anyway."""
        if not _has_batches(job):
            return
        try:
            await self.native.end(job)
        except Exception as error:  # noqa: BLE001 -- the job is to be closed
            self._observer.unexpected_error(job.id, error)

    async def just_started(self) -> set[str]:
        """The jobs that have begun within the last minute: their workers are about to start."""
        since = self._stores.now() - START_SECONDS
        jobs = await self._jobs.all_open()
        return {j.id for j in jobs if not j.is_over and (j.in_progress_at or 0) > since}

    async def count_overdue(self) -> int:
        """The jobs that are an hour overdue, or whose native batches are not looked at."""
        now, after, found = self._stores.now(), None, 0
        while True:
            page = await self._jobs.page(None, after=after, limit=100)
            for job in page.records:
                is_late = not job.is_over and job.expires_at + HOUR < now
                found += is_late or (_has_batches(job) and await self.native.is_lost(job))
            if not page.has_more or page.records[-1].created_at < now - MAX_WINDOW - 2 * HOUR:
                return found
            after = page.records[-1].id

    async def _close(self, job: Job) -> Finished:
        if not job.is_over:
            job = await self._runner.finish(job)
        if job.account is not None:
            await required(self._accounts).settle(job)
        await copy_results(job, self._files, self._stores.blobs)
        await self.webhooks.start(job)
        return Finished(job.id, job.status, "done")


def _has_batches(job: Job) -> bool:
    """Whether lines of the job may go by their providers' batches."""
    return job.native != "never" and job.account is None
