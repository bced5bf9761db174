"""
Runs a job in three steps: plan, work, finish. After a crash, each step can be run again.

It does not know where it runs: a laptop runs the three in a row, AWS as states of a state machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ..gateway.gateway import Gateway
from ..telemetry.observers import Observer
from .activity import OTHER_JOBS, ActivityTracker
from .costs import Costs
from .input.estimates import estimate_cost
from .input.line_order import open_order
from .input.lines import BadLine
from .input.order_writer import OrderWriter
from .input.planner import LARGE_SHARDS, LineError, Plan, Shard, ShardSize, plan
from .pacing.adaptive_concurrency import INITIAL_CONCURRENCY, MAX_CONCURRENCY
from .pacing.limits import make_limits
from .pacing.prompt_caches import cache_rules
from .pacing.rate_limiter import MemoryRateLimitStore, RateLimiter, RateLimitStore
from .service.files import FileService
from .service.own_inputs import delete_own_input
from .service.records import Job, as_if_created_now
from .service.registry import Registry
from .store import BlobStore, JobProgress, RecordStore, ResultStore
from .work.finisher import FinishSpec, SkipReason, finish
from .work.line_requests import check_model, make_line_sender
from .work.manifest import has_manifest, read_manifest, stream_of, write_manifest
from .work.spec import (
    GIVE_UP_AFTER,
    GRACE,
    SYNC_INTERVAL,
    WorkerResources,
    WorkResult,
    WorkSpec,
    flex_lane,
)
from .work.worker import work

if TYPE_CHECKING:
    from .native.setup import NativeHost

SKIP_REASONS = {
    "cancelled": SkipReason(
        "batch_cancelled", "The batch was cancelled before this request was made."
    ),
    "expired": SkipReason(
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "capped": SkipReason(
        "batch_cancelled", "The job's `max_cost_usd` was reached before this request was made."
    ),
    "failed": SkipReason("batch_failed", "The batch failed before this request was completed."),
    "refused": SkipReason(
        "batch_failed", "The batch ended before this request was made: earlier ones were rejected."
    ),
}


class ModelsMissing(Exception):
    """A job of another config names models that this one does not have."""


async def each(shards: Sequence[Shard]) -> AsyncIterator[Shard]:
    """These shards, one after the other."""
    for shard in shards:
        yield shard


class RunnerOptions(Struct, frozen=True):
    """
    How a host runs jobs; times are in seconds (`work/spec.py` explains them).

    With `orders_all`, one worker sends the lines of all shards in the order of their beginnings.
    Otherwise each worker orders the lines of its shard.
    """

    shard_size: ShardSize = LARGE_SHARDS
    give_up_after: float = GIVE_UP_AFTER
    grace: float = GRACE
    max_concurrency: int = MAX_CONCURRENCY
    initial_concurrency: int = INITIAL_CONCURRENCY
    sync_interval: float = SYNC_INTERVAL
    orders_all: bool = True

    def work_spec(self, job: Job) -> WorkSpec:
        """What a worker needs to know of the job."""
        return WorkSpec(
            job.input_key,
            job.model,
            self.give_up_after,
            self.grace,
            self.max_concurrency,
            self.initial_concurrency,
            self.sync_interval,
            expires_at=job.expires_at,
            models=frozenset(job.models),
            cache=job.cache,
        )


class Runner:
    """
    Runs jobs through a gateway, over any set of stores.

    `results` and `progress` open the stores of one job, `clear` deletes what an earlier plan of it
    left there. `is_own` says whether a job was created with this config; if another one lacks
    models here, that is no failure but raises `ModelsMissing`. A job holds its `slot` while it
    sends lines. `activities` are those of the jobs that run here, by job id. `ledger` has the
    native batches of jobs; without it there are none.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        gateway: Gateway,
        files: FileService,
        jobs: Registry[Job],
        *,
        results: Callable[[Job], ResultStore],
        progress: Callable[[Job], JobProgress],
        clear: Callable[[Job], Awaitable[None]],
        observer: Observer,
        now: Callable[[], float],
        options: RunnerOptions,
        rate_limits: RateLimitStore | None = None,
        is_own: Callable[[Job], bool] = lambda _: True,
        slot: Callable[[Job], AbstractAsyncContextManager[object]] = lambda _: nullcontext(),
        ledger: RecordStore | None = None,
    ) -> None:
        self._is_own = is_own
        self._slot = slot
        self._ledger = ledger
        self._gateway = gateway
        self._files = files
        self._blobs: BlobStore = files.blobs
        self._jobs = jobs
        self._results = results
        self._progress = progress
        self._clear = clear
        self._observer = observer
        self._now = now
        self._options = options
        self._costs = Costs(gateway.catalog)
        self.activities: dict[str, ActivityTracker] = {}
        self._limiter = RateLimiter(
            rate_limits or MemoryRateLimitStore(),
            make_limits(gateway.catalog),
            now,
            gateway.catalog.general.batch_share,
        )

    async def run(self, job_id: str) -> Job:
        """Run the job from the step it is in to its end, or until this process is to stop."""
        activity = self.activities[job_id] = ActivityTracker(self._now)
        try:
            return await self._run(job_id, activity)
        finally:
            del self.activities[job_id]

    async def _run(self, job_id: str, activity: ActivityTracker) -> Job:
        job = await self._jobs.change(job_id, self._runs_here)
        if job.status == "validating":
            job = await self.plan(job)
        elif not job.is_over:
            job = await self._repair(job)
        if job.native != "never" and self._ledger is not None and not job.is_over:
            job = await self._work_with_batches(job, activity)
        elif job.status == "in_progress":
            async with self._in_slot(job, activity):
                job = await self._jobs.find(job_id, None)  # it may have been cancelled meanwhile
                if job.status == "in_progress":
                    job = await self.work(job, activity)
        if job.status == "in_progress" and job.reason is None:
            return job  # this process is stopping; another one resumes the job
        return job if job.is_over else await self.finish(job)

    @asynccontextmanager
    async def _in_slot(self, job: Job, activity: ActivityTracker) -> AsyncIterator[None]:
        """The block in which the job sends lines."""
        async with AsyncExitStack() as stack:
            with activity.waiting(OTHER_JOBS):
                await stack.enter_async_context(self._slot(job))
            yield

    def _runs_here(self, job: Job) -> Job | None:
        changed = as_if_created_now(job, self._now()) or job
        changed = changed if changed.waits_for is None else replace(changed, waits_for=None)
        return None if changed is job else changed

    # ---- plan ----

    async def plan(self, job: Job) -> Job:
        """Check the job's input and cut it into shards."""
        await self._clear(job)
        catalog = self._gateway.catalog
        check = partial(check_model, catalog, catalog.client(job.owner))

        def checked(name: str) -> None:
            check(name)
            unpriced = None if job.max_cost is None else self._costs.unpriced(name)
            if unpriced is not None:
                message = (
                    f"`max_cost_usd` needs prices, and the price of `{unpriced}` is unknown: set "
                    "its `input_cost_per_token` and `output_cost_per_token` in the config."
                )
                raise BadLine("price_not_found", message, "max_cost_usd")

        result = await self._write_manifest(job, checked)
        planned = await self._jobs.change(job.id, partial(self._planned, result))
        if planned.is_invalid:
            await delete_own_input(self._files, self._jobs, planned)
        return planned

    async def _write_manifest(self, job: Job, check: Callable[[str], None]) -> Plan:
        orders = self._options.orders_all and job.cache != "off"
        with OrderWriter() as order:
            async with write_manifest(self._blobs, job.manifest_key) as write:
                result = await self._plan(job, check, write, order if orders else None)
                if not self._is_own(job) and any(
                    error.code == "model_not_found" for error in result.errors
                ):
                    raise ModelsMissing
            if orders and not result.errors and await asyncio.to_thread(order.finish):
                await self._blobs.write(job.order_key, stream_of(order.chunks()))
        return result

    async def _plan(
        self,
        job: Job,
        check: Callable[[str], None],
        write: Callable[[Shard], object],
        order: OrderWriter | None,
    ) -> Plan:
        result = Plan()
        try:
            return await plan(
                partial(self._blobs.read, job.input_key),
                write,
                default_model=job.model,
                check=check,
                size=self._options.shard_size,
                order=order,
            )
        except FileNotFoundError:
            result.add_error("file_not_found", "The input file has been deleted.", None, None)
        return result

    async def _repair(self, job: Job) -> Job:
        """
        Write a damaged manifest again: the same input has the same shards.

        If the input is damaged, too, or gone, the job fails.
        """
        if not job.total or await has_manifest(self._blobs, job.manifest_key, job.total):
            return job
        result = await self._write_manifest(job, lambda _: None)
        if result.total == job.total and not result.errors:
            return job
        await self._blobs.delete(job.manifest_key)
        return await self._fail(job, 0)

    async def _fail(self, job: Job, remaining: int) -> Job:
        """Let the job fail because its input changed or is gone; finished lines are kept."""
        how_many = f"{remaining} lines" if remaining else "Lines"
        message = (
            f"{how_many} of the input file cannot be read: it was changed, damaged or deleted."
        )
        return await self._fail_with(
            job, LineError("input_damaged", message, "input_file_id", None)
        )

    async def _fail_with(self, job: Job, error: LineError) -> Job:
        """Let the job fail for this reason; finished lines are kept."""

        def fail(now: Job) -> Job | None:
            if now.is_over or now.reason is not None:
                return None
            when = int(self._now())
            return replace(
                now, status="finalizing", finalizing_at=when, reason="failed", errors=[error]
            )

        return await self._jobs.change(job.id, fail)

    def _planned(self, result: Plan, job: Job) -> Job | None:
        now = int(self._now())
        if result.errors:
            errors = result.errors
            if result.more_errors:
                message = f"{result.more_errors} more errors are not listed."
                errors = [*errors, LineError("too_many_errors", message, None, None)]
            return replace(job, status="failed", failed_at=now, errors=errors)
        planned = replace(job, total=result.total, models=dict(result.models))
        if job.status != "validating":
            return planned  # cancelled meanwhile
        return replace(planned, status="in_progress", in_progress_at=now)

    # ---- work ----

    async def work(self, job: Job, activity: ActivityTracker | None = None) -> Job:
        """Send every line that has no stored result."""
        activity = activity or ActivityTracker(self._now)
        try:
            shards, progress = self.shards(job), self._progress(job)
            result = await self._pass(job, activity, progress, shards, is_whole=True)
        except FileNotFoundError:
            return await self._fail(job, 0)
        return await self._after_work(job, result)

    async def _after_work(self, job: Job, result: WorkResult) -> Job:
        if result.stop is None and result.remaining:
            return await self._fail(job, result.remaining)
        return await self._jobs.change(job.id, partial(self._worked, result))

    async def _pass(
        self,
        job: Job,
        activity: ActivityTracker,
        progress: JobProgress,
        shards: AsyncIterator[Shard],
        is_held: Callable[[int], bool] = lambda _: False,
        *,
        is_whole: bool,
    ) -> WorkResult:
        """
        Send the lines of these shards that have no result and are not held.

        If they are the whole job, all its lines are ordered, else those of each shard.
        """
        spec, order = self._options.work_spec(job), None
        if self._options.orders_all and job.cache != "off":
            order = await open_order(self._blobs, job.order_key, job.total)
            if order is None:  # no lines begin alike
                spec = replace(spec, cache="off")
        send = make_line_sender(
            self._gateway,
            job.owner,
            self._observer,
            self._limiter,
            activity,
            job.id,
            job.expires_at,
        )
        return await work(
            spec,
            shards,
            WorkerResources(
                send,
                self._blobs,
                self._results(job),
                progress,
                self._costs.cost_of,
                partial(estimate_cost, self._costs)
                if job.max_cost is not None
                else lambda _line, _size: 0,
                activity,
                flex=flex_lane(job, self._gateway.catalog, self._now),
                is_held=is_held,
                cache_rules=partial(cache_rules, self._gateway.catalog),
                order=order if is_whole else None,
            ),
        )

    async def _work_with_batches(self, job: Job, activity: ActivityTracker) -> Job:
        """Send lines by their providers' batches, and all others as always."""
        from .native.setup import Preparation  # few jobs have batches

        progress = self._progress(job)

        async def one_pass(shards: Sequence[Shard], is_held: Callable[[int], bool]) -> WorkResult:
            is_whole = sum(shard.lines for shard in shards) == job.total
            async with self._in_slot(job, activity):
                return await self._pass(
                    job, activity, progress, each(shards), is_held, is_whole=is_whole
                )

        try:
            phase = await Preparation(self._native_host(), job, progress).phase(one_pass, activity)
            if isinstance(phase, LineError):
                return await self._fail_with(job, phase)
            if job.status != "in_progress":
                await phase.settle()
                return job
            return await self._after_work(job, await phase.run())
        except FileNotFoundError:
            return await self._fail(job, 0)

    def _native_host(self) -> NativeHost:
        from .native.setup import NativeHost

        if self._ledger is None:
            raise RuntimeError("this host has no ledger for native batches")
        return NativeHost(
            self._gateway, self._blobs, self._ledger, self._results, self._costs, self._now
        )

    def _worked(self, result: WorkResult, job: Job) -> Job | None:
        now, stop = int(self._now()), result.stop
        if job.status == "in_progress" and result.rejection is not None:
            return replace(job, reason="refused", errors=[result.rejection])
        if job.status == "in_progress" and stop is None:
            return replace(job, status="finalizing", finalizing_at=now)
        if job.status == "in_progress" and stop == "expired":
            return replace(job, reason="expired")
        if job.status == "in_progress" and stop == "capped":
            message = f"`max_cost_usd` ({job.max_cost_usd:g}) was reached; finished lines are kept."
            errors = [LineError("max_cost_reached", message, "max_cost_usd", None)]
            return replace(
                job, status="cancelling", cancelling_at=now, reason="capped", errors=errors
            )
        return None

    async def shards(self, job: Job) -> AsyncIterator[Shard]:
        """The shards that the planner wrote; none if the job was cancelled before."""
        async for shard in read_manifest(self._blobs, job.manifest_key):
            yield shard

    # ---- finish ----

    async def finish(self, job: Job) -> Job:
        """Join the results into files, and close the job."""
        output = f"files/{job.future_output_id}"
        errors = f"{output[:-1]}e"
        folder = f"jobs/{job.id}"
        finished = await finish(
            FinishSpec(
                job.input_key,
                output,
                errors,
                folder,
                job.model,
                SKIP_REASONS[job.reason] if job.reason else None,
                tuple(job.earlier_outputs),
            ),
            self.shards(job),
            self._blobs,
            self._results(job),
            self._progress(job),
            self._costs.cost_of,
        )
        ids: list[str | None] = []
        for key, size, kind in (
            (output, finished.output_size, "output"),
            (errors, finished.errors_size, "error"),
        ):
            if size:
                record = await self._files.register(
                    key, f"{job.id}_{kind}.jsonl", "batch_output", job.owner, job.output_lifetime
                )
            ids.append(record.id if size else None)
        uses_batches = job.native != "never" and self._ledger is not None
        if uses_batches:
            finished.totals.add(await self._native_host().hedged(job))
        closed = await self._jobs.change(
            job.id,
            lambda now: replace(
                self._ended(now),
                totals=finished.totals,
                output_file_id=ids[0],
                error_file_id=ids[1],
            ),
        )
        await self._blobs.delete(folder)
        if uses_batches:
            await self._native_host().ledger(job).clear()
        await self._files.delete_orphan(job.input_file_id, job.input_key)
        return closed

    def _ended(self, job: Job) -> Job:
        now = int(self._now())
        if job.reason == "expired":
            return replace(job, status="expired", expired_at=now)
        if job.reason in {"failed", "refused"}:
            return replace(job, status="failed", failed_at=now)
        if job.reason is not None:
            return replace(job, status="cancelled", cancelled_at=now)
        return replace(job, status="completed", completed_at=now)
