"""
Runs jobs in this process, over a folder and SQLite, and resumes them after a restart.

It is cheap to import: SQLite is loaded with the first file or job, or if there are unfinished jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ...concurrency import first_error
from ...errors import StorageBusy
from ...gateway.gateway import Gateway
from ...settings import windows_data
from ...telemetry.observers import NullObserver, Observer

if TYPE_CHECKING:
    from ...routing.first_token_times import FirstTokenTimes
    from ..runner import Runner
    from ..service.batches import JobService
    from ..service.files import FileService
    from ..service.idempotency import IdempotencyStore
    from ..service.records import Job
    from ..steps.accounts import JobAccounts
    from ..steps.host import RunnerOptions
    from ..store import ResultStore
    from ..totals import Totals
    from .file_store import FolderBlobStore
    from .hosts import Hosts
    from .sqlite import Database
    from .webhook_tasks import WebhookTasks

OpenAccounts: TypeAlias = "Callable[[asyncio.TaskGroup], JobAccounts]"
"""Opens the accounts of virtual keys, whose tasks belong to this group."""

SERVER = "serve"
"""The host of jobs that a server runs; it also resumes those of an earlier server."""

DATABASE = "jobs.sqlite"
MAINTENANCE_INTERVAL = 3600.0
"""Seconds between two deletions of what has expired."""

DRAFT_LIFETIME = 24 * 3600.0
"""Seconds after which a file that is not complete was left by a killed process."""

STOP_LATENCY = 1.5
"""Seconds within which a worker notices that it is to stop."""


def data_home(env: Mapping[str, str]) -> Path:
    """The folder of the jobs: `FANOUT_HOME`, else `fanout` in the user's data folder."""
    if given := env.get("FANOUT_HOME"):
        return Path(given)
    data = env.get("XDG_DATA_HOME") or windows_data(env)
    return (Path(data) if data else Path.home() / ".local" / "share") / "fanout"


class LocalBatchService:
    """The files and jobs of this machine; the `Host` that runs its jobs."""

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        gateway: Gateway,
        home: Path,
        group: asyncio.TaskGroup,
        *,
        name: str,
        observer: Observer,
        now: Callable[[], float] | None,
        options: RunnerOptions | None,
        accounts: OpenAccounts | None = None,
    ) -> None:
        from ..service.batches import JobService
        from ..service.files import FileService
        from ..steps.host import RunnerOptions
        from .activity_files import ActivityFiles
        from .hosts import Hosts
        from .job_tasks import JobTasks
        from .job_totals import JobTotals
        from .sqlite import Database
        from .steady_clock import SteadyClock

        now = now or SteadyClock()
        self.home = home
        self._name = name
        self._accounts: JobAccounts | None = accounts and accounts(group)
        options = options or RunnerOptions()
        self._grace = options.grace + STOP_LATENCY
        self._stopping = asyncio.Event()
        self._hosts: Hosts = Hosts(home / "hosts", gateway.catalog)
        self._open = ExitStack()
        if name == SERVER:
            self._open.enter_context(self._hosts.present())
        self.database: Database = Database(home / DATABASE)
        self._now = now
        self.blobs = self._make_blobs(gateway)
        self.files: FileService = FileService(self.blobs, self.database, now, report=observer.bug)
        self.jobs: JobService = JobService(self.files, self.database, self, now)
        activities = ActivityFiles(home / "locks", now)
        self._totals = JobTotals(self.database, activities)
        self.runner: Runner = self._make_runner(gateway, observer, options)
        self.webhooks = self._make_webhooks(group, gateway, observer)
        self._tasks = JobTasks(
            group,
            home / "locks",
            self._hosts,
            runner=self.runner,
            registry=self.jobs.registry,
            observer=observer,
            now=now,
            stopping=self._stopping,
            activities=activities,
            totals=self._totals,
            on_over=self.webhooks.start,
        )

    def _make_blobs(self, gateway: Gateway) -> FolderBlobStore:
        """The contents of files; a server's have a limit if the config has one."""
        from .file_store import FolderBlobStore
        from .storage_limit import MEGABYTE, StorageLimit

        most = gateway.catalog.general.max_storage_mb if self._name == SERVER else None
        limit = None if most is None else StorageLimit(self.home, most * MEGABYTE)
        return FolderBlobStore(self.home, limit)

    def _make_webhooks(
        self, group: asyncio.TaskGroup, gateway: Gateway, observer: Observer
    ) -> WebhookTasks:
        """The deliveries of this machine's webhooks."""
        from .webhook_tasks import WebhookTasks

        return WebhookTasks(
            group,
            self.jobs.registry,
            gateway.catalog,
            observer,
            now=self._now,
            stopping=self._stopping,
        )

    def _make_runner(self, gateway: Gateway, observer: Observer, options: RunnerOptions) -> Runner:
        """The runner of this machine's jobs, with the stores of their results and counts."""
        from ..runner import Runner
        from .job_progress import SQLiteJobProgress
        from .job_tasks import make_slots
        from .rate_limit_store import SQLiteRateLimitStore

        def progress(job: Job) -> SQLiteJobProgress:
            made = SQLiteJobProgress(
                self.database,
                job.id,
                expires_at=job.expires_at,
                now=self._now,
                max_cost=job.max_cost,
                is_stopping=self._stopping.is_set,
            )
            return self._totals.open(job.id, made)

        async def clear(job: Job) -> None:
            await self.database.delete_totals(job.id)
            await self.blobs.delete(f"jobs/{job.id}/results")

        return Runner(
            gateway,
            self.files,
            self.jobs.registry,
            results=self.results,
            progress=progress,
            clear=clear,
            observer=observer,
            now=self._now,
            options=options,
            rate_limits=SQLiteRateLimitStore(self.database, self._now),
            is_own=lambda job: self._tasks.is_own(job),  # noqa: PLW0108 -- set later
            slot=make_slots(),
            ledger=self.database,
            accounts=self._accounts,
        )

    def results(self, job: Job) -> ResultStore:
        """A job's results so far."""
        from .shard_results import FolderResultStore

        return FolderResultStore(self.blobs, f"jobs/{job.id}")

    @cached_property
    def idempotency(self) -> IdempotencyStore:
        """The responses to requests with an `Idempotency-Key`."""
        from ..service.idempotency import IdempotencyStore

        return IdempotencyStore(self.database, self.blobs, self._now)

    @property
    def has_batches(self) -> bool:
        return True

    @property
    def has_accounts(self) -> bool:
        return self._accounts is not None

    @property
    def name(self) -> str:
        return self._name

    @property
    def config(self) -> str | None:
        return self._hosts.config

    def close(self) -> None:
        """Close the database, and be no host any more."""
        self.database.close()
        if self._accounts is not None:
            self._accounts.close()
        self._open.close()

    async def start(self, job_id: str) -> None:
        """Run the job in a task; raises `RequestError` if this process lacks its models."""
        self._tasks.run(await self.jobs.find(job_id, None))

    async def wait(self, job_id: str, seconds: float) -> bool:
        """Wait up to so many seconds for the job; returns whether this process is done with it."""
        task = self._tasks.tasks.get(job_id)
        if task is not None:
            await asyncio.wait([task], timeout=seconds)
        return task is None or task.done()

    async def resume(self) -> None:
        """
        Start every unfinished job of this host, and delete what is left of the finished ones.

        Webhooks that are not delivered are attempted again, whatever process ran their jobs.
        """
        after: str | None = None
        while True:
            page = await self.jobs.page(None, after=after, limit=100)
            for job in page.records:
                if job.is_over:
                    await self.files.blobs.delete(f"jobs/{job.id}")
                    self.webhooks.start(job)
                elif job.host == self._name:
                    self._tasks.resume(job.id)
            if not page.has_more:
                return
            after = page.records[-1].id

    async def delete_expired(self) -> None:
        """Delete expired files, uploads and responses, and drafts that are older than a day."""
        await self.files.delete_expired()
        await self.idempotency.delete_expired()
        await self.blobs.delete_drafts(self._now(), DRAFT_LIFETIME)

    async def totals(self, job: Job) -> Totals:
        """The totals of the job's shards, and what it does; at most some seconds old."""
        activity = self._tasks.activity(job.id)
        return await self._totals.totals(job, activity, is_ours=job.id in self._tasks.tasks)

    def ask_to_stop(self) -> None:
        """Start no more lines."""
        self._stopping.set()

    async def stop(self) -> None:
        """Start no more lines, give those in flight some seconds, then cancel them."""
        self.ask_to_stop()
        tasks = [*self._tasks.tasks.values(), *self.webhooks.tasks.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=self._grace)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def run_exclusively(self, job_id: str) -> bool:
        """Run a job in this call; `False` if another process is running it."""
        return await self._tasks.run_exclusively(job_id)


class LazyLocalBatchService:
    """Creates the `LocalBatchService` when it is first used."""

    def __init__(self, create: Callable[[], LocalBatchService]) -> None:
        self._create = create
        self._service: LocalBatchService | None = None

    @property
    def service(self) -> LocalBatchService:
        """The files and jobs of this machine."""
        if self._service is None:
            self._service = self._create()
        return self._service

    async def stop(self) -> None:
        """Stop all jobs; they can be resumed."""
        if self._service is not None:
            await self._service.stop()

    def close(self) -> None:
        """Close the database, if it is open."""
        if self._service is not None:
            self._service.close()


@asynccontextmanager
async def open_local_batches(  # noqa: PLR0913 -- its parts, each once
    gateway: Gateway,
    home: Path,
    *,
    name: str = SERVER,
    resume: bool = True,
    observer: Observer | None = None,
    now: Callable[[], float] | None = None,
    options: RunnerOptions | None = None,
    accounts: OpenAccounts | None = None,
) -> AsyncIterator[LazyLocalBatchService]:
    """
    The jobs of this machine, for the block; when it ends, they stop and can be resumed.

    With `resume`, the unfinished jobs of the host `name` are started at once. The clock `now` is a
    `SteadyClock` by default. `accounts` opens those of virtual keys, with the first file or job.
    """
    observer = observer or NullObserver()
    async with _group() as group:
        lazy = LazyLocalBatchService(
            lambda: LocalBatchService(
                gateway,
                home,
                group,
                name=name,
                observer=observer,
                now=now,
                options=options,
                accounts=accounts,
            )
        )
        tasks: list[asyncio.Task[None]] = []

        def share(times: FirstTokenTimes) -> None:
            from .hedge_counts import shared_in

            tasks.append(group.create_task(shared_in(home, times, observer.bug)))

        gateway.share_times(share)
        if resume:
            tasks.append(group.create_task(_maintain(lazy, home, observer)))
        try:
            yield lazy
        finally:
            for task in tasks:
                task.cancel()
            await lazy.stop()
            await asyncio.to_thread(lazy.close)


@asynccontextmanager
async def _group() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises the error itself, not an exception group around it."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as raised:
        failure = first_error(raised)
    else:
        return
    raise failure  # here, so that it keeps its own cause


async def _maintain(lazy: LazyLocalBatchService, home: Path, observer: Observer) -> None:
    """
    Resume the jobs; at once and every hour, delete what has expired.

    If the database cannot be read, new jobs and all else still work.
    """
    await asyncio.sleep(0)  # let the block start first
    is_new = not await asyncio.to_thread((home / DATABASE).exists)
    while True:
        try:
            if not is_new:
                await lazy.service.resume()
            is_new = True
            if await asyncio.to_thread((home / DATABASE).exists):
                await lazy.service.delete_expired()
        except StorageBusy:
            await asyncio.sleep(1)
            continue
        except Exception as error:  # noqa: BLE001 -- the gateway serves everything else
            observer.bug("", error)
        await asyncio.sleep(MAINTENANCE_INTERVAL)
