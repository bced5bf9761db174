"""Where `fanout batch` has its jobs run: in this process, or in a stack of one's own on AWS."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from ..bulk.local.batch_service import LocalBatchService, data_home, open_local_batches
from ..bulk.local.prompt_files import JobStore
from ..bulk.service.batches import JobService
from ..bulk.service.files import FileService
from ..bulk.service.records import Job
from ..bulk.store import RecordStore
from ..config.resolve import Catalog
from ..errors import ConfigError
from ..gateway.factory import open_gateway
from ..telemetry.observers import AttemptRecord, RequestRecord
from .config_choice import SelectedConfig

POLL_INTERVAL, STACK_POLL_INTERVAL = 0.5, 2.0
"""Seconds between two looks at a job, here and in a stack."""


class BatchBackend(JobStore, Protocol):
    """Where jobs are made, and what runs them."""

    async def poll(self, job: Job) -> bool:
        """Wait a little; whether there is nothing more to wait for."""
        ...

    def interrupt(self) -> None:
        """The user has typed Ctrl-C."""
        ...

    async def end_cancelled(self, job_id: str) -> None:
        """See to it that a job that was cancelled ends, whoever ran it."""
        ...

    def interrupted_message(self, job: Job, rerun: str) -> str:
        """What is said to a user who has left; `rerun` is what he typed."""
        ...

    def command(self, words: str) -> str:
        """A command for this place, to be typed."""
        ...


class StackService(Protocol):
    """What a stack has of files and jobs."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...


class LocalBackend:
    """In this process; a job goes no further than it lives."""

    owner = "anyone"

    def __init__(self, bulk: LocalBatchService) -> None:
        self._bulk = bulk
        self.files, self.jobs, self.table = bulk.files, bulk.jobs, bulk.database

    async def poll(self, job: Job) -> bool:
        """Whether this process has done with it."""
        return await self._bulk.wait(job.id, POLL_INTERVAL)

    def interrupt(self) -> None:
        """No more lines are started, and those under way awaited."""
        self._bulk.is_stopping = True
        print("fanout: stopping; lines under way are awaited (Ctrl-C: not)", file=sys.stderr)

    async def end_cancelled(self, job_id: str) -> None:
        """Whoever runs the job will see it; if nobody does, it is ended here."""
        await self._bulk.run_exclusively(job_id)

    def interrupted_message(self, job: Job, rerun: str) -> str:  # noqa: ARG002 -- a stack would name it
        """It waits."""
        return f"stopped; to go on: {rerun}"

    def command(self, words: str) -> str:
        """As it is."""
        return f"fanout batch {words}"


class StackBackend:
    """
    A stack, which goes on whether somebody looks or not.

    `run` has its machine run a job; `catalog` reads what it was deployed with.
    """

    owner = "master"

    def __init__(
        self,
        stack: str,
        bulk: StackService,
        table: RecordStore,
        run: Callable[[str], Awaitable[None]],
        catalog: Callable[[], Awaitable[Catalog]],
    ) -> None:
        self._stack = stack
        self.files, self.jobs, self.table = bulk.files, bulk.jobs, table
        self._run = run
        self.catalog = catalog
        self._interrupted = asyncio.Event()

    async def poll(self, job: Job) -> bool:
        """Whether the job is over, or the user gone."""
        if job.is_over:
            return True
        try:
            async with asyncio.timeout(STACK_POLL_INTERVAL):
                await self._interrupted.wait()
        except TimeoutError:
            return (await self.jobs.find(job.id, None)).is_over
        return True

    def interrupt(self) -> None:
        """The job does not mind."""
        self._interrupted.set()

    async def end_cancelled(self, job_id: str) -> None:
        """By the state machine, also where no execution was left."""
        await self._run(job_id)

    def interrupted_message(self, job: Job, rerun: str) -> str:
        """It runs."""
        end_cancelled = self.command(f"cancel {job.id}")
        return (
            f"`{job.id}` runs on in the stack; to see it again: {rerun}; to end it: {end_cancelled}"
        )

    def command(self, words: str) -> str:
        """With the stack's name."""
        return f"fanout batch {words} --stack {self._stack}"


class BugReporter:
    """Tells of what should not have happened, and of nothing else."""

    def attempt(self, record: AttemptRecord) -> None:
        """Pass over it."""

    def request(self, record: RequestRecord) -> None:
        """Pass over it."""

    def bug(self, request_id: str, error: BaseException) -> None:
        """One line."""
        print(f"fanout: {request_id}: {type(error).__name__}: {error}", file=sys.stderr)


@asynccontextmanager
async def open_local_backend(selected: SelectedConfig) -> AsyncIterator[LocalBackend]:
    """The jobs of this machine, run by a gateway of this config."""
    observer = BugReporter()
    async with (
        open_gateway(selected.settings, catalog=selected.catalog, observer=observer) as gateway,
        open_local_batches(
            gateway, data_home(selected.settings.env), name="run", resume=False, observer=observer
        ) as lazy,
    ):
        yield LocalBackend(lazy.service)


@asynccontextmanager
async def open_stack_backend(stack: str, region: str | None) -> AsyncIterator[StackBackend]:
    """A stack's jobs, with the user's own rights in AWS."""
    try:
        from ..bulk.aws.stack_client import aws_errors, connect
    except ImportError:
        raise ConfigError(
            "the jobs of a stack need boto3: pip install 'fanout-gateway[aws]'"
        ) from None
    with aws_errors():
        service, stores, machine, config = connect(stack, region)
        yield StackBackend(stack, service, stores.table, machine.run, config.catalog)
