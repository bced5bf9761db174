"""
A job from `validating` to its end: plan, work, finish; each may be begun again after a crash.

Knows nothing of where it runs: a laptop does the three in a row, AWS one after the other.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..gateway.gateway import Gateway
from ..telemetry.observers import Observer
from ..wire import json
from .costs import Costs
from .input.estimates import estimate
from .input.lines import BadLine
from .input.planner import LARGE_SHARDS, LineError, Plan, Shard, ShardSize, iter_lines, plan
from .pacing.limits import make_limits
from .pacing.rate_limiter import MemoryRateLimitStore, RateLimiter, RateLimitStore
from .service.files import FileService
from .service.records import Job, Status
from .service.registry import Registry
from .store import BlobStore, JobProgress, ResultStore
from .totals import CallCounts
from .work.finisher import Finishing, SkipReason, finish
from .work.line_requests import check_model, make_line_sender
from .work.worker import TICK, Work, WorkerResources, work

PIECE = 1 << 20
SPOOL = 1 << 24

SKIP_REASONS = {
    "cancelled": SkipReason(
        "batch_cancelled", "The batch was cancelled before this request was made."
    ),
    "expired": SkipReason(
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "capped": SkipReason(
        "batch_cancelled", "The job's `max_cost_usd` was reached before this request."
    ),
    "failed": SkipReason(
        "batch_failed", "The batch ended on a fault before this request was answered."
    ),
}


class RunnerOptions(Struct, frozen=True):
    """How a host likes its jobs done."""

    shards: ShardSize = LARGE_SHARDS
    patience: float = 600.0
    grace: float = 5.0
    most: int = 400
    first: int = 100
    tick: float = TICK

    def work(self, job: Job) -> Work:
        """What a worker of the job is told."""
        return Work(
            job.input_key,
            job.model,
            self.patience,
            self.grace,
            self.most,
            self.first,
            self.tick,
        )


class Runner:
    """Runs jobs with a gateway over some store."""

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        gateway: Gateway,
        files: FileService,
        jobs: Registry[Job],
        *,
        shelves: Callable[[Job], ResultStore],
        ledger: Callable[[Job], JobProgress],
        forget: Callable[[Job], Awaitable[None]],
        observer: Observer,
        now: Callable[[], float],
        options: RunnerOptions,
        book: RateLimitStore | None = None,
    ) -> None:
        self._gateway = gateway
        self._files = files
        self._blobs: BlobStore = files.blobs
        self._jobs = jobs
        self._shelves = shelves
        self._ledger = ledger
        self._forget = forget
        self._observer = observer
        self._now = now
        self._options = options
        self._costs = Costs(gateway.catalog)
        self.meters: dict[str, CallCounts] = {}
        limits = make_limits(gateway.catalog)
        self._pacer = RateLimiter(
            book or MemoryRateLimitStore(), limits, now, gateway.catalog.general.batch_share
        )

    async def run(self, job_id: str) -> Job:
        """Take the job from where it is to its end, or as far as this process may go."""
        job = await self._jobs.find(job_id, None)
        if job.status == "validating":
            job = await self.plan(job)
        if job.status == "in_progress":
            job = await self.work(job)
            if job.status == "in_progress" and job.reason is None:
                return job  # its worker was told to stop: it is taken up again
        return job if job.is_over else await self.finish(job)

    # ---- plan ----

    async def plan(self, job: Job) -> Job:
        """Check its input and cut it into shards."""
        await self._forget(job)
        check = partial(check_model, self._gateway.catalog, job.owner, job.allowed)

        def checked(name: str) -> None:
            check(name)
            if job.max_cost_usd is not None and self._costs.rate(name) is None:
                said = f"`max_cost_usd` needs a price, and nobody knows that of `{name}`."
                raise BadLine("price_not_found", said, "max_cost_usd")

        with tempfile.SpooledTemporaryFile(SPOOL) as spool:
            try:
                found = await plan(
                    partial(self._blobs.read, job.input_key),
                    lambda shard: spool.write(json.encode(shard) + b"\n"),
                    default_model=job.model,
                    check=checked,
                    size=self._options.shards,
                )
            except FileNotFoundError:
                found = Plan()
                found.refuse("file_not_found", "The input file has been deleted.", None, None)
            spool.seek(0)
            await self._blobs.write(job.manifest_key, _pieces(spool.read))
        return await self._jobs.change(job.id, partial(self._planned, found))

    def _planned(self, found: Plan, job: Job) -> Job | None:
        now = int(self._now())
        if found.errors:
            errors = found.errors
            if found.more_errors:
                said = f"{found.more_errors} more errors are not listed."
                errors = [*errors, LineError("too_many_errors", said, None, None)]
            return replace(job, status="failed", failed_at=now, errors=errors)
        planned = replace(job, total=found.total, models=dict(found.models))
        if job.status != "validating":
            return planned  # cancelled meanwhile
        return replace(planned, status="in_progress", in_progress_at=now)

    # ---- work ----

    async def work(self, job: Job) -> Job:
        """Ask for every line that is not stored yet."""
        meter = self.meters[job.id] = CallCounts()
        ask = make_line_sender(
            self._gateway, job.owner, job.allowed, self._observer, self._pacer, meter
        )
        try:
            done = await work(
                self._options.work(job),
                self.shards(job),
                WorkerResources(
                    ask,
                    self._blobs,
                    self._shelves(job),
                    self._ledger(job),
                    self._costs.of,
                    partial(estimate, self._costs)
                    if job.max_cost_usd
                    else lambda _line, _size: 0.0,
                ),
            )
        finally:
            del self.meters[job.id]
        return await self._jobs.change(job.id, partial(self._worked, done.stop))

    def _worked(self, stop: str | None, job: Job) -> Job | None:
        now = int(self._now())
        if job.status == "in_progress" and stop is None:
            return replace(job, status="finalizing", finalizing_at=now)
        if job.status == "in_progress" and stop == "expired":
            return replace(job, reason="expired")
        if job.status == "in_progress" and stop == "capped":
            said = f"`max_cost_usd` ({job.max_cost_usd:g}) was reached; finished lines are kept."
            errors = [LineError("max_cost_reached", said, "max_cost_usd", None)]
            return replace(
                job, status="cancelling", cancelling_at=now, reason="capped", errors=errors
            )
        return None

    async def shards(self, job: Job) -> AsyncIterator[Shard]:
        """What the planner wrote; nothing, if it was cancelled before."""
        if await self._blobs.size(job.manifest_key) is None:
            return
        async for _, _, _, line in iter_lines(self._blobs.read(job.manifest_key)):
            yield msgspec.json.decode(line, type=Shard)

    # ---- finish ----

    async def finish(self, job: Job) -> Job:
        """Join the results, and close the job."""
        output, errors = (f"files/file-{job.id.removeprefix('batch_')}{end}" for end in "oe")
        place = f"jobs/{job.id}"
        finished = await finish(
            Finishing(
                job.input_key,
                output,
                errors,
                place,
                job.model,
                SKIP_REASONS[job.reason] if job.reason else None,
                tuple(job.extra),
            ),
            self.shards(job),
            self._blobs,
            self._shelves(job),
            self._ledger(job),
            self._costs.of,
        )
        ids: list[str | None] = []
        for key, size, what in (
            (output, finished.output, "output"),
            (errors, finished.errors, "error"),
        ):
            if size:
                record = await self._files.register(
                    key, f"{job.id}_{what}.jsonl", "batch_output", job.owner, job.output_lifetime
                )
            ids.append(record.id if size else None)
        closed = await self._jobs.change(
            job.id,
            lambda now: replace(
                self._ended(now),
                totals=finished.totals,
                output_file_id=ids[0],
                error_file_id=ids[1],
            ),
        )
        await self._blobs.delete(place)
        await self._files.sweep(job.input_file_id, job.input_key)
        return closed

    def _ended(self, job: Job) -> Job:
        now = int(self._now())
        status: Status = "completed"
        if job.reason == "expired":
            return replace(job, status="expired", expired_at=now)
        if job.reason == "failed":
            return replace(job, status="failed", failed_at=now)
        if job.reason is not None:
            return replace(job, status="cancelled", cancelled_at=now)
        return replace(job, status=status, completed_at=now)


async def _pieces(read: Callable[[int], bytes]) -> AsyncIterator[bytes]:
    while data := read(PIECE):
        yield data
