"""
Runs jobs in this process, over a folder and SQLite, and resumes them after a restart.

It loads SQLite and all of `bulk`: `lazy_service.py` imports it with the first file or job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from ...gateway.gateway import Gateway
from ...telemetry.observers import Observer
from ..runner import Runner
from ..service.batches import JobService
from ..service.files import FileService
from ..service.idempotency import IdempotencyStore
from ..service.records import Job
from ..steps.accounts import JobAccounts
from ..steps.host import RunnerOptions
from ..store import ResultStore
from ..totals import Totals
from .activity_files import ActivityFiles
from .file_store import FolderBlobStore
from .hosts import Hosts
from .job_progress import SQLiteJobProgress
from .job_tasks import JobTasks, make_slots
from .job_totals import JobTotals
from .rate_limit_store import SQLiteRateLimitStore
from .shard_results import FolderResultStore
from .sqlite import Database
from .steady_clock import SteadyClock
from .storage_limit import MEGABYTE, StorageLimit
from .webhook_tasks import WebhookTasks

DRAFT_LIFETIME = 24 * 3600.0
"""Seconds after which a file that is not complete was left by a killed process."""

STOP_LATENCY = 1.5
"""Seconds within which a worker notices that it is to stop."""


OpenAccounts: TypeAlias = Callable[[], JobAccounts]
"""Opens the accounts of virtual keys."""


class LocalBatchService:
    """The files and jobs of this machine; the `Host` that runs its jobs."""

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        gateway: Gateway,
        home: Path,
        group: asyncio.TaskGroup,
        *,
        name: str,
        is_server: bool,
        database: Path,
        observer: Observer,
        now: Callable[[], float] | None,
        options: RunnerOptions | None,
        accounts: OpenAccounts | None = None,
    ) -> None:
        now = now or SteadyClock()
        self.home = home
        self._name = name
        self._accounts: JobAccounts | None = accounts and accounts()
        options = options or RunnerOptions()
        self._grace = options.grace + STOP_LATENCY
        self._stopping = asyncio.Event()
        self._hosts = Hosts(home / "hosts", gateway.catalog)
        self._open = ExitStack()
        if is_server:
            self._open.enter_context(self._hosts.present())
        self.database = Database(database)
        self._now = now
        self.blobs = self._make_blobs(gateway, is_server=is_server)
        self.files = FileService(self.blobs, self.database, now, report=observer.unexpected_error)
        self.jobs = JobService(self.files, self.database, self, now)
        activities = ActivityFiles(home / "locks", now)
        self._totals = JobTotals(self.database, activities)
        self.runner = self._make_runner(gateway, observer, options)
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

    def _make_blobs(self, gateway: Gateway, *, is_server: bool) -> FolderBlobStore:
        """The contents of files; a server's have a limit if the config has one."""
        most = gateway.catalog.general.max_storage_mb if is_server else None
        limit = None if most is None else StorageLimit(self.home, most * MEGABYTE)
        return FolderBlobStore(self.home, limit)

    def _make_webhooks(
        self, group: asyncio.TaskGroup, gateway: Gateway, observer: Observer
    ) -> WebhookTasks:
        """The deliveries of this machine's webhooks."""
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
        return FolderResultStore(self.blobs, f"jobs/{job.id}")

    @cached_property
    def idempotency(self) -> IdempotencyStore:
        """The responses to requests with an `Idempotency-Key`."""
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

    async def forget(self, job_id: str) -> None:
        """Delete the job's counts."""
        await self.database.delete_totals(job_id)

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
