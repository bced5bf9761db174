"""
Runs a job in three steps: plan, work, finish. After a crash, each step can be run again.

It does not know where it runs: a laptop runs the three in a row, AWS as states of a state machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial

from msgspec.structs import replace

from ..gateway.gateway import Gateway
from ..telemetry.observers import Observer
from .activity import OTHER_JOBS, ActivityTracker
from .costs import Costs
from .input.planner import Shard
from .pacing.limits import make_limits
from .pacing.rate_limit_state import MemoryRateLimitStore, RateLimitStore
from .pacing.rate_limiter import RateLimiter
from .service.files import FileService
from .service.records import Job, as_if_created_now
from .service.registry import Registry
from .steps.accounts import JobAccounts
from .steps.finishing import finish
from .steps.host import JobHost, RunnerOptions
from .steps.planning import plan, repair
from .steps.working import work, work_with_batches
from .store import CappedProgress, RecordStore, ResultStore


class Runner:
    """
    Runs jobs through a gateway, over any set of stores.

    `results` and `progress` open the stores of one job, `clear` deletes what an earlier plan of it
    left there. `is_own` says whether a job was created with this config; if another one lacks
    models here, that is no failure but raises `ModelsMissing`. A job holds its `slot` while it
    sends lines. `activities` are those of the jobs that run here, by job id. `ledger` has the
    native batches of jobs; without it there are none. `accounts` are those of virtual keys.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        gateway: Gateway,
        files: FileService,
        jobs: Registry[Job],
        *,
        results: Callable[[Job], ResultStore],
        progress: Callable[[Job], CappedProgress],
        clear: Callable[[Job], Awaitable[None]],
        observer: Observer,
        now: Callable[[], float],
        options: RunnerOptions,
        rate_limits: RateLimitStore | None = None,
        is_own: Callable[[Job], bool] = lambda _: True,
        slot: Callable[[Job], AbstractAsyncContextManager[object]] = lambda _: nullcontext(),
        ledger: RecordStore | None = None,
        accounts: JobAccounts | None = None,
    ) -> None:
        self._slot = slot
        self._jobs = jobs
        self._now = now
        self.activities: dict[str, ActivityTracker] = {}
        limiter = RateLimiter(
            rate_limits or MemoryRateLimitStore(),
            make_limits(gateway.catalog),
            now,
            gateway.catalog.general.batch_share,
        )
        costs = Costs(gateway.catalog)
        self._host = JobHost(
            gateway,
            files,
            jobs,
            results,
            progress,
            clear,
            observer,
            now,
            options,
            costs,
            limiter,
            is_own,
            ledger,
            accounts,
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
            job = await repair(self._host, job)
        if self._host.uses_batches(job) and not job.is_over:
            in_slot = partial(self._in_slot, job, activity)
            job = await work_with_batches(self._host, job, activity, in_slot)
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

    # ---- the steps, which AWS runs one by one ----

    async def plan(self, job: Job) -> Job:
        """Check the job's input and cut it into shards."""
        return await plan(self._host, job)

    async def work(self, job: Job, activity: ActivityTracker | None = None) -> Job:
        """Send every line that has no stored result."""
        return await work(self._host, job, activity or ActivityTracker(self._now))

    async def finish(self, job: Job) -> Job:
        """Join the results into files, and close the job."""
        return await finish(self._host, job)

    def shards(self, job: Job) -> AsyncIterator[Shard]:
        """The shards that the planner wrote; none if the job was cancelled before."""
        return self._host.shards(job)
