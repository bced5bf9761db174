"""What the steps of a job use: the gateway, the stores, the options of their host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from ...gateway.gateway import Gateway
from ...telemetry.observers import Observer
from ..costs import Costs
from ..input.planner import LARGE_SHARDS, LineError, Shard, ShardSize
from ..pacing.adaptive_concurrency import INITIAL_CONCURRENCY, MAX_CONCURRENCY
from ..pacing.rate_limiter import RateLimiter
from ..service.files import FileService
from ..service.records import Job
from ..service.registry import Registry
from ..store import BlobStore, CappedProgress, RecordStore, ResultStore
from ..work.manifest import read_manifest
from ..work.spec import GIVE_UP_AFTER, GRACE, SYNC_INTERVAL, WorkSpec
from . import transitions
from .accounts import JobAccounts, required

if TYPE_CHECKING:
    from ..native.setup import NativeHost


class RunnerOptions(Struct, frozen=True):
    """
    How a host runs jobs; times are in seconds (`work/spec.py` explains them).

    With `orders_all`, one worker sends the lines of all shards in the order of their beginnings.
    Otherwise each worker orders the lines of its shard. With `ends_batches_later`, batches that a
    closed job leaves at providers are cancelled after that. `ordered_at_once` is how many shards'
    results are in memory to be put in order.
    """

    shard_size: ShardSize = LARGE_SHARDS
    give_up_after: float = GIVE_UP_AFTER
    grace: float = GRACE
    max_concurrency: int = MAX_CONCURRENCY
    initial_concurrency: int = INITIAL_CONCURRENCY
    sync_interval: float = SYNC_INTERVAL
    orders_all: bool = True
    ends_batches_later: bool = False
    ordered_at_once: int = 1

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


class JobHost(Struct, frozen=True):
    """
    What every step uses; `ledger` has the native batches of jobs, and without it there are none.

    `results` and `progress` open the stores of one job, `clear` deletes what an earlier plan of it
    left there. `is_own` says whether a job was created with this config. `now` is the time in
    seconds since 1970. `accounts` are those of virtual keys, which pay for their jobs.
    """

    gateway: Gateway
    files: FileService
    jobs: Registry[Job]
    results: Callable[[Job], ResultStore]
    progress: Callable[[Job], CappedProgress]
    clear: Callable[[Job], Awaitable[None]]
    observer: Observer
    now: Callable[[], float]
    options: RunnerOptions
    costs: Costs
    limiter: RateLimiter
    is_own: Callable[[Job], bool]
    ledger: RecordStore | None = None
    accounts: JobAccounts | None = None

    @property
    def account(self) -> JobAccounts:
        """The accounts of virtual keys; raises `StorageError` if this process has none."""
        return required(self.accounts)

    @property
    def blobs(self) -> BlobStore:
        """The contents of files."""
        return self.files.blobs

    def uses_batches(self, job: Job) -> bool:
        """Whether lines of the job may go by their providers' batches."""
        return job.native != "never" and job.account is None and self.ledger is not None

    def native_host(self) -> NativeHost:
        """What native batches use of this host."""
        from ..native.setup import NativeHost  # few jobs have batches

        if self.ledger is None:
            raise RuntimeError("this host has no ledger for native batches")
        return NativeHost(
            self.gateway,
            self.blobs,
            self.ledger,
            self.results,
            self.costs,
            self.now,
            self.limiter.store,
            self.jobs,
        )

    async def shards(self, job: Job) -> AsyncIterator[Shard]:
        """The shards that the planner wrote; none if the job was cancelled before."""
        async for shard in read_manifest(self.blobs, job.manifest_key):
            yield shard

    async def fail(self, job: Job, error: LineError) -> Job:
        """Let the job fail for this reason; finished lines are kept."""
        return await self.jobs.change(
            job.id, lambda found: transitions.failed(found, error, int(self.now()))
        )

    async def fail_unreadable(self, job: Job, remaining: int = 0) -> Job:
        """Let the job fail because its input changed or is gone; finished lines are kept."""
        how_many = f"{remaining} lines" if remaining else "Lines"
        message = (
            f"{how_many} of the input file cannot be read: it was changed, damaged or deleted."
        )
        return await self.fail(job, LineError("input_damaged", message, "input_file_id", None))
