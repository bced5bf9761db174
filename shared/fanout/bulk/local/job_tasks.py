"""
Runs jobs in tasks of this process: each is checked at once, and some send lines at the same time.

A job that another process runs is followed, and resumed if that process stops. A job of another
config is left alone while a process with that config lives, and also afterwards if this one lacks
its models.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from ...disk.threads import in_thread
from ...errors import NotFound, RequestError, StorageFull
from ...telemetry.observers import Observer
from ..activity import INTERNAL_ERROR, STORAGE_FULL, Activity, Wait
from ..runner import Runner
from ..service.records import Job
from ..service.registry import Registry
from ..steps.planning import ModelsMissing
from .activity_files import ActivityFiles, Report
from .hosts import Hosts, file_lock_in_thread
from .job_totals import JobTotals

MAX_LARGE_JOBS, MAX_SMALL_JOBS = 8, 32
"""Jobs that send lines at the same time; the others wait."""

SMALL_JOB = 1_000
"""Lines that a small job has at most."""

FOLLOW_INTERVAL = 0.5
"""Seconds between two looks at a job that another process runs."""

LEFT_ALONE_INTERVAL = 5.0
"""Seconds between two looks at a job that this process leaves alone."""

RESTART_DELAY = 30.0
"""Seconds after which a job runs again if this machine failed, for example on a full disk."""

FULL_PAUSE, MAX_FULL_PAUSE = 0.5, 600.0
"""Seconds after which a job runs again if the disk was full, doubled each time up to the latter."""

MAX_NAMES = 5
"""Missing models that a message names."""


class JobTasks:
    """
    The tasks; `locks` is the folder of the jobs' locks, `stopping` ends all of them.

    `on_over` is called when a job has ended here.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        group: asyncio.TaskGroup,
        locks: Path,
        hosts: Hosts,
        *,
        runner: Runner,
        registry: Registry[Job],
        observer: Observer,
        now: Callable[[], float],
        stopping: asyncio.Event,
        activities: ActivityFiles,
        totals: JobTotals,
        on_over: Callable[[Job], None] = lambda _: None,
    ) -> None:
        self._group = group
        self._locks = locks
        self._hosts = hosts
        self._runner = runner
        self._registry = registry
        self._observer = observer
        self._now = now
        self._stopping = stopping
        self._activities = activities
        self._totals = totals
        self._on_over = on_over
        self._left_alone: set[str] = set()
        self._asked_for: set[str] = set()
        self._paused: dict[str, Wait] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def run(self, job: Job) -> None:
        """
        Run a job that a client of this process asks for, also one that another process created.

        Raises `RequestError` if this process lacks models that the job needs.
        """
        missing = [] if self._is_ending(job) else self._hosts.missing_models(job)
        if missing:
            raise RequestError(_missing(missing), "model")
        self._asked_for.add(job.id)
        self.resume(job.id)

    def resume(self, job_id: str) -> None:
        """Run the job in a task, unless it runs already."""
        if job_id not in self.tasks:
            task = self.tasks[job_id] = self._group.create_task(self._run(job_id))
            task.add_done_callback(lambda _: self.tasks.pop(job_id, None))

    async def run_exclusively(self, job_id: str) -> bool:
        """Run a job in this call; `False` if another process is running it."""
        lock = self._locks / job_id
        async with file_lock_in_thread(lock) as is_ours:
            if not is_ours:
                await self._activities.release(job_id)
                return False
            if job_id in self.tasks:
                self._totals.know(job_id, await self._activities.claim(job_id))
            job = await self._runner.run(job_id)
            if job.is_over:
                self._on_over(job)
                self._totals.forget(job_id)
                with suppress(PermissionError):  # Windows keeps what is open
                    await in_thread(lock.unlink, missing_ok=True)  # it is not run again
        return True

    def is_own(self, job: Job) -> bool:
        """Whether it is for this process to say that the job's models do not exist."""
        is_known = job.config is None or job.config == self._hosts.config
        return is_known or job.id in self._asked_for or self._is_ending(job)

    def _is_ending(self, job: Job) -> bool:
        """Whether the job sends no more lines, so that it needs no models."""
        return job.status in {"cancelling", "finalizing"} or self._now() >= job.expires_at

    def activity(self, job_id: str) -> Activity | None:
        """What the job does in this process; `None` if it does not run here."""
        if tracker := self._runner.activities.get(job_id):
            return tracker.snapshot()
        wait = self._paused.get(job_id)
        return None if wait is None else Activity(self._now(), waits=[wait])

    def _report(self, job_id: str) -> Report | None:
        """What other processes are to know of the job."""
        activity, counts = self.activity(job_id), self._totals.unwritten(job_id)
        if activity is None and counts is None:
            return None
        return Report(activity or Activity(self._now()), counts)

    async def _run(self, job_id: str) -> None:
        """Run the job, and meanwhile show other processes what it does."""
        report = self._activities.report(job_id, lambda: self._report(job_id))
        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(report)
            try:
                await self._run_until_over(job_id)
            finally:
                reporting.cancel()
        self._totals.forget(job_id)

    async def _run_until_over(self, job_id: str) -> None:
        full_pause = FULL_PAUSE
        while not self._stopping.is_set():
            pause = LEFT_ALONE_INTERVAL
            try:
                job = await self._registry.find(job_id, None)
                if job.is_over:
                    return
                if await self._may_run(job):
                    if await self._run_unless_missing(job):
                        return
                    pause = FOLLOW_INTERVAL
            except NotFound:
                return
            except StorageFull as error:
                self._observer.unexpected_error(job_id, error)
                pause = full_pause = min(2 * full_pause, MAX_FULL_PAUSE)
                self._paused[job_id] = replace(STORAGE_FULL, cause=error.cause)
            except Exception as error:  # noqa: BLE001 -- the job is run again
                self._observer.unexpected_error(job_id, error)
                pause = RESTART_DELAY
                self._paused[job_id] = replace(INTERNAL_ERROR, until=self._now() + pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            self._paused.pop(job_id, None)

    async def _run_unless_missing(self, job: Job) -> bool:
        """Run the job; `False` if another process runs it, or if it is left alone."""
        try:
            return await self.run_exclusively(job.id)
        except ModelsMissing:
            self._left_alone.add(job.id)
            await self._activities.release(job.id)
            await self._leave_alone(job, [])
            return False

    async def _may_run(self, job: Job) -> bool:
        """Whether the job is this process's; if only its models are missing, its record says so."""
        if job.id not in self._asked_for and await self._hosts.is_foreign(job):
            return False
        if self._is_ending(job):
            return True
        if job.id in self._left_alone:
            return False
        if missing := self._hosts.missing_models(job):
            await self._leave_alone(job, missing)
        return not missing

    async def _leave_alone(self, job: Job, missing: Sequence[str]) -> None:
        why = _missing(missing)
        await self._registry.change(
            job.id, lambda now: None if now.waits_for == why else replace(now, waits_for=why)
        )


def make_slots() -> Callable[[Job], asyncio.Semaphore]:
    """Returns a function from a job to the slots of its size: small jobs wait for no large ones."""
    large, small = asyncio.Semaphore(MAX_LARGE_JOBS), asyncio.Semaphore(MAX_SMALL_JOBS)
    return lambda job: small if job.total <= SMALL_JOB else large


def _missing(models: Sequence[str]) -> str:
    names = ", ".join(f"`{name}`" for name in models[:MAX_NAMES])
    more = ", …" if len(models) > MAX_NAMES else ""
    what = f"the config does not have {names}{more}" if models else "the config lacks some models"
    return f"{what}: the job is left alone until a server has them, or it is cancelled or expires"
