"""
The steps of a job as a state machine calls them: plan, work on a shard, finish.

Each may be called again after a fault. What they say is small: no prompt and no answer passes
through the state.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ...gateway.gateway import Gateway
from ...telemetry.observers import Observer
from ...wire import json
from ..costs import Costs
from ..input.estimates import estimate_cost
from ..input.planner import SMALL_SHARDS, LineError, Shard
from ..pacing.limits import make_limits
from ..pacing.rate_limiter import RateLimiter, RateLimitStore
from ..runner import Runner, RunnerOptions
from ..service.batches import HOUR, MAX_WINDOW
from ..service.records import Job
from ..service.registry import Registry
from ..store import Stop
from ..totals import CallCounts, Totals
from ..work.line_requests import make_line_sender
from ..work.spec import WorkerResources, WorkResult
from ..work.worker import work
from .batch_service import Stores
from .rate_limit_store import DynamoRateLimitStore

OPTIONS = RunnerOptions(shard_size=SMALL_SHARDS)
LONGEST = MAX_WINDOW


class Planned(Struct, frozen=True):
    """What the map needs; `next` is `work`, or `finish` where there is nothing to ask."""

    job: str
    manifest: str
    next: Literal["work", "finish"]


class Finished(Struct, frozen=True):
    """
    `next` is `work` while shards are incomplete, `done` behind the end.

    `manifest` has the incomplete ones; `lines` are those that are stored by now.
    """

    job: str
    status: str
    next: Literal["work", "done"]
    manifest: str = ""
    lines: int = 0


class StepHandlers:
    """The steps, over a stack's stores; `tell` hears what each worker has done."""

    def __init__(
        self,
        gateway: Gateway,
        stores: Stores,
        observer: Observer,
        options: RunnerOptions = OPTIONS,
        book: RateLimitStore | None = None,
        tell: Callable[[Totals], None] = lambda _: None,
    ) -> None:
        self._gateway = gateway
        self._stores = stores
        self._observer = observer
        self._options = options
        self._tell = tell
        self._costs = Costs(gateway.catalog)
        self._book = book or DynamoRateLimitStore(stores.table)
        share = gateway.catalog.general.batch_share
        self._pacer = RateLimiter(self._book, make_limits(gateway.catalog), stores.now, share)
        self._jobs = Registry(stores.table, "batch", Job, lambda job: job.owner)
        self._files = stores.files
        self._runner = Runner(
            gateway,
            self._files,
            self._jobs,
            results=stores.shelves,
            progress=stores.every_shard,
            clear=stores.forget,
            observer=observer,
            now=stores.now,
            options=options,
        )

    async def plan(self, job_id: str) -> Planned:
        """Cut the job into shards, if nobody has."""
        job = await self._jobs.find(job_id, None)
        if job.status == "validating":
            job = await self._runner.plan(job)
        is_on = job.status == "in_progress"
        return Planned(job.id, job.manifest_key, "work" if is_on else "finish")

    async def work(self, job_id: str, shard: Shard, seconds: float) -> WorkResult:
        """Ask for what is not stored of one shard, as far as the seconds go."""
        job = await self._jobs.find(job_id, None)
        meter = CallCounts()
        ledger = self._stores.ledger(job, meter=meter)
        tools = WorkerResources(
            make_line_sender(
                self._gateway, job.owner, job.allowed, self._observer, self._pacer, meter
            ),
            self._stores.blobs,
            self._stores.shelves(job),
            ledger,
            self._costs.cost_of,
            partial(estimate_cost, self._costs) if job.max_cost_usd else lambda _line, _size: 0.0,
        )
        try:
            done = await work(self._options.work_spec(job), _only(shard), tools, seconds=seconds)
        finally:
            self._tell(ledger.fresh)
        await self._book.flush()
        if done.stop in {"capped", "expired"}:
            await self._jobs.change(job.id, partial(self._ended_early, done.stop))
        return done

    async def finish(self, job_id: str) -> Finished:
        """Close the job, unless there are shards left that may still be worked on."""
        job = await self._jobs.change(job_id, self._late)
        if job.status == "in_progress" and job.reason is None:
            if left := await self._left(job):
                return left
            job = await self._jobs.change(job.id, self._finalizing)
        return await self._close(job)

    async def fail(self, job_id: str, why: str) -> Finished:
        """End the job early, with what is answered so far; its `errors` say why."""
        return await self._close(await self._jobs.change(job_id, partial(self._failing, why)))

    async def abandon(self, job_id: str, why: str) -> Finished:
        """Close the record alone, where not even the results can be gathered."""
        job = await self._jobs.change(job_id, partial(self._failed, why))
        return Finished(job.id, job.status, "done")

    async def stuck(self) -> int:
        """How many jobs should have ended an hour ago, and have not."""
        now, after, found = self._stores.now(), None, 0
        while True:
            page = await self._jobs.page(None, after=after, limit=100)
            found += sum(not job.is_over and job.expires_at + HOUR < now for job in page.records)
            if not page.has_more or page.records[-1].created_at < now - LONGEST - 2 * HOUR:
                return found
            after = page.records[-1].id

    async def _close(self, job: Job) -> Finished:
        if not job.is_over:
            job = await self._runner.finish(job)
        await self._deliver(job)
        return Finished(job.id, job.status, "done")

    async def _left(self, job: Job) -> Finished | None:
        """What is incomplete, as a manifest of its own; `None` if nothing is."""
        ledger = self._stores.every_shard(job)
        left = [
            json.encode(shard) + b"\n"
            async for shard in self._runner.shards(job)
            if await ledger.completed_totals(shard.index) is None
        ]
        if not left:
            return None
        manifest = f"jobs/{job.id}/left.jsonl"
        await self._stores.blobs.write(manifest, _each(left))
        total = await ledger.total()
        return Finished(job.id, job.status, "work", manifest, total.lines)

    async def _deliver(self, job: Job) -> None:
        """Copies of the results, and the batch object, where the job's maker wants them."""
        if job.deliver_to is None:
            return
        blobs = self._stores.blobs
        ends = ((job.output_file_id, "output"), (job.error_file_id, "errors"))
        for file_id, what in ends:
            if file_id is not None:
                file = await self._files.find(file_id, None)
                await blobs.join([file.key], f"{job.deliver_to}{what}.jsonl")
        said = json.encode(job.to_dict(job.totals or Totals()))
        await blobs.write(f"{job.deliver_to}batch.json", _each([said]))

    # ---- changes of the record ----

    def _ended_early(self, stop: Stop | None, job: Job) -> Job | None:
        if job.status != "in_progress" or job.reason is not None:
            return None
        if stop == "expired":
            return replace(job, reason="expired")
        said = f"`max_cost_usd` ({job.max_cost_usd:g}) was reached; finished lines are kept."
        return replace(
            job,
            status="cancelling",
            cancelling_at=int(self._stores.now()),
            reason="capped",
            errors=[LineError("max_cost_reached", said, "max_cost_usd", None)],
        )

    def _late(self, job: Job) -> Job | None:
        is_late = self._stores.now() >= job.expires_at
        return self._ended_early("expired", job) if is_late else None

    def _failing(self, why: str, job: Job) -> Job | None:
        if job.is_over or job.reason is not None:
            return None
        return replace(job, reason="failed", errors=[*job.errors, _fault(why)])

    def _failed(self, why: str, job: Job) -> Job | None:
        if job.is_over:
            return None
        errors = job.errors if job.reason == "failed" else [*job.errors, _fault(why)]
        now = int(self._stores.now())
        return replace(job, status="failed", failed_at=now, reason="failed", errors=errors)

    def _finalizing(self, job: Job) -> Job | None:
        if job.status != "in_progress":
            return None  # cancelled meanwhile
        return replace(job, status="finalizing", finalizing_at=int(self._stores.now()))


def _fault(why: str) -> LineError:
    return LineError("job_failed", why, None, None)


async def _each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _only(shard: Shard) -> AsyncIterator[Shard]:
    yield shard
