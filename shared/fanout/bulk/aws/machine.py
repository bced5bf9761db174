"""
The steps of a job as a state machine calls them: plan, work on a shard, finish.

Each may be called again after a fault. What they say is small: no prompt and no answer passes
through the state.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ...gateway import Gateway
from ...observe import Observer
from ..asking import estimate, make_ask, make_limits
from ..costs import Costs
from ..files import FileService
from ..pace import Book, Pacer
from ..plan import SMALL, LineError, Shard
from ..records import Job
from ..registry import Registry
from ..run import Options, Runner
from ..store import Stop
from ..work import Done, Tools, Work, work
from .book import DynamoBook
from .host import Stores

OPTIONS = Options(shards=SMALL)


class Planned(Struct, frozen=True):
    """What the map needs; `next` is `work`, or `finish` where there is nothing to ask."""

    job: str
    manifest: str
    next: Literal["work", "finish"]


class Finished(Struct, frozen=True):
    """`next` is `work` while shards are incomplete, `done` behind the end."""

    job: str
    status: str
    next: Literal["work", "done"]


class Machine:
    """The steps, over a stack's stores."""

    def __init__(
        self,
        gateway: Gateway,
        stores: Stores,
        observer: Observer,
        options: Options = OPTIONS,
        book: Book | None = None,
    ) -> None:
        self._gateway = gateway
        self._stores = stores
        self._observer = observer
        self._options = options
        self._costs = Costs(gateway.catalog)
        self._book = book or DynamoBook(stores.table)
        share = gateway.catalog.general.batch_share
        self._pacer = Pacer(self._book, make_limits(gateway.catalog), stores.now, share)
        self._jobs = Registry(stores.table, "batch", Job, lambda job: job.owner)
        self._runner = Runner(
            gateway,
            FileService(stores.blobs, stores.table, stores.now),
            self._jobs,
            shelves=stores.shelves,
            ledger=stores.every_shard,
            forget=stores.forget,
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

    async def work(self, job_id: str, shard: Shard, seconds: float) -> Done:
        """Ask for what is not stored of one shard, as far as the seconds go."""
        job = await self._jobs.find(job_id, None)
        limits = self._options
        done = await work(
            Work(
                job.input_key, job.model, limits.patience, limits.grace, limits.most, limits.first
            ),
            _only(shard),
            Tools(
                make_ask(self._gateway, job.owner, job.allowed, self._observer, self._pacer),
                self._stores.blobs,
                self._stores.shelves(job),
                self._stores.ledger(job),
                self._costs.of,
                partial(estimate, self._costs) if job.max_cost_usd else lambda _line, _size: 0.0,
            ),
            seconds=seconds,
        )
        await self._book.flush()
        if done.stop in {"capped", "expired"}:
            await self._jobs.change(job.id, partial(self._ended_early, done.stop))
        return done

    async def finish(self, job_id: str) -> Finished:
        """Close the job, unless there are shards left that may still be worked on."""
        job = await self._jobs.change(job_id, self._late)
        if job.status == "in_progress" and job.reason is None:
            if not await self._is_complete(job):
                return Finished(job.id, job.status, "work")
            job = await self._jobs.change(job.id, self._finalizing)
        if not job.is_over:
            job = await self._runner.finish(job)
        return Finished(job.id, job.status, "done")

    async def _is_complete(self, job: Job) -> bool:
        ledger = self._stores.every_shard(job)
        async for shard in self._runner.shards(job):
            if await ledger.completed(shard.index) is None:
                return False
        return True

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

    def _finalizing(self, job: Job) -> Job | None:
        if job.status != "in_progress":
            return None  # cancelled meanwhile
        return replace(job, status="finalizing", finalizing_at=int(self._stores.now()))


async def _only(shard: Shard) -> AsyncIterator[Shard]:
    yield shard
