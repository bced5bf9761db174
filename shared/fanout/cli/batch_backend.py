"""Where the jobs of `fanout batch` run: in this process, or in a stack on AWS."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Protocol, TypeAlias

from msgspec.structs import replace

from ..bulk.local.batch_service import LocalBatchService
from ..bulk.local.job_store import JobStore
from ..bulk.local.lazy_service import data_home, open_local_batches
from ..bulk.local.response_index import INDEX, ResponseIndex
from ..bulk.service.batches import JobService
from ..bulk.service.files import FileService
from ..bulk.service.records import Job
from ..bulk.service.webhooks import Webhook
from ..bulk.steps.host import RunnerOptions
from ..bulk.store import RecordStore, ResultStore
from ..config.catalog import Catalog
from ..errors import ConfigError, RequestError
from ..gateway.factory import open_gateway
from ..settings import Settings, install_command
from ..telemetry.observers import AttemptRecord, DecisionRecord, RequestRecord
from .config_choice import SelectedConfig, select_config
from .printing import show

POLL_INTERVAL, STACK_POLL_INTERVAL = 0.5, 2.0
"""Seconds between two checks of a job's progress, on this machine and in a stack."""

INTERRUPT_GRACE = 2.0
"""Seconds that the calls in flight have left after Ctrl-C: their responses are paid for."""


class BatchBackend(JobStore, Protocol):
    """Creates jobs and runs them; `catalog` has the prices of their models."""

    @property
    def catalog(self) -> Callable[[], Awaitable[Catalog]]: ...

    async def poll(self, job: Job) -> bool:
        """Wait for one interval. Returns whether to stop following the job."""
        ...

    def interrupt(self) -> None:
        """Handle the user's first Ctrl-C."""
        ...

    async def end_cancelled(self, job_id: str) -> None:
        """End a cancelled job, also if no process is running it."""
        ...

    async def deliver(self, job: Job, /) -> Webhook | None:
        """Attempt to deliver the webhook of a job that has ended, if that is done here."""
        ...

    def interrupted_message(self, job: Job, rerun: str, cancel: str) -> str:
        """The message after Ctrl-C; `rerun` and `cancel` are commands to paste."""
        ...


class StackService(Protocol):
    """The files and jobs of a stack."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...

    def results(self, job: Job) -> ResultStore:
        """The job's results so far."""
        ...


class LocalBackend:
    """Runs jobs in this process; a job stops with the process."""

    owner = "anyone"
    is_remote = False

    def __init__(
        self,
        bulk: LocalBatchService,
        index: ResponseIndex,
        catalog: Catalog,
        config_path: str | None = None,
    ) -> None:
        self._bulk = bulk
        self._catalog = catalog
        self.config_path = config_path
        self.files, self.jobs, self.table = bulk.files, bulk.jobs, bulk.database
        self.index: ResponseIndex | None = index

    async def catalog(self) -> Catalog:
        """The config's."""
        return self._catalog

    def results(self, job: Job) -> ResultStore:
        """The job's files."""
        return self._bulk.results(job)

    async def poll(self, job: Job) -> bool:
        """Whether this process has finished or stopped the job."""
        return await self._bulk.wait(job.id, POLL_INTERVAL)

    def interrupt(self) -> None:
        """Start no more lines, and wait for the calls in flight."""
        self._bulk.ask_to_stop()
        with suppress(OSError):  # the terminal may be closed
            show(
                f"fanout: finishing the calls in flight, up to {INTERRUPT_GRACE:g} s; "
                "press Ctrl-C again to abandon them",
                file=sys.stderr,
                flush=True,
            )

    async def end_cancelled(self, job_id: str) -> None:
        """The process that runs the job notices the cancellation; if none does, end it here."""
        await self._bulk.run_exclusively(job_id)

    async def deliver(self, job: Job, /) -> Webhook | None:
        """Attempt to deliver the job's webhook; how far it is."""
        await self._bulk.webhooks.first_attempt(job)
        return (await self.jobs.find(job.id, None)).webhook

    def interrupted_message(self, _job: Job, rerun: str, _cancel: str) -> str:
        """The job has stopped and can be resumed."""
        return f"stopped; to resume: {rerun}"


class StackBackend:
    """
    Runs jobs in a stack on AWS, also after the command has ended.

    `run` starts the state machine for a job; `catalog` reads the config that was deployed.
    """

    owner = "master"
    is_remote = True
    config_path: str | None = None

    def __init__(
        self,
        stack: str,
        bulk: StackService,
        table: RecordStore,
        run: Callable[[str], Awaitable[None]],
        catalog: Callable[[], Awaitable[Catalog]],
        index: ResponseIndex | None = None,
    ) -> None:
        self._stack = stack
        self.index = index
        self._bulk = bulk
        self.files, self.jobs, self.table = bulk.files, bulk.jobs, table
        self._run = run
        self.catalog = catalog
        self._interrupted = asyncio.Event()

    async def poll(self, job: Job) -> bool:
        """Whether the job has ended or the user has typed Ctrl-C."""
        if job.is_over:
            return True
        try:
            async with asyncio.timeout(STACK_POLL_INTERVAL):
                await self._interrupted.wait()
        except TimeoutError:
            return (await self.jobs.find(job.id, None)).is_over
        return True

    def interrupt(self) -> None:
        """Stop following the job, which continues."""
        self._interrupted.set()

    async def end_cancelled(self, job_id: str) -> None:
        """Start the state machine, which ends the job."""
        await self._run(job_id)

    def results(self, job: Job) -> ResultStore:
        """The job's objects in S3."""
        return self._bulk.results(job)

    async def deliver(self, _job: Job, /) -> None:
        """Nothing: the stack delivers it."""

    def interrupted_message(self, job: Job, rerun: str, cancel: str) -> str:
        """The job continues; how to follow it again and how to cancel it."""
        follow = f"`{job.id}` continues in the stack; to follow it: {rerun}"
        return f"{follow}\nfanout: to cancel it: {cancel}"


class ErrorReporter:
    """Prints unexpected errors, and nothing else."""

    def attempt(self, record: AttemptRecord) -> None:
        """Pass over it."""

    def request(self, record: RequestRecord) -> None:
        """Pass over it."""

    def decision(self, record: DecisionRecord) -> None:
        """Pass over it."""

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        """Print one line."""
        show(f"fanout: {request_id}: {type(error).__name__}: {error}", file=sys.stderr)


@asynccontextmanager
async def open_local_backend(selected: SelectedConfig) -> AsyncIterator[LocalBackend]:
    """The jobs of this machine, run by a gateway with this config: the user's, not a client's."""
    observer, catalog = ErrorReporter(), replace(selected.catalog, client_keys=())
    home = data_home(selected.settings.env)
    async with (
        open_gateway(selected.settings, catalog=catalog, observer=observer) as gateway,
        open_local_batches(
            gateway,
            home,
            name="run",
            resume=False,
            observer=observer,
            options=RunnerOptions(grace=INTERRUPT_GRACE),
        ) as lazy,
    ):
        with closing(ResponseIndex(home / INDEX)) as index:
            yield LocalBackend(lazy.service, index, catalog, selected.path)


@asynccontextmanager
async def open_stack_backend(stack: str, region: str | None) -> AsyncIterator[StackBackend]:
    """A stack's jobs, with the user's own AWS credentials."""
    try:
        from ..bulk.aws.stack_client import aws_errors, connect
    except ImportError:
        raise ConfigError(f"jobs in a stack need boto3: {install_command('aws')}") from None
    path = stack_index(data_home(Settings.read().env), stack, region)
    with aws_errors(), closing(ResponseIndex(path)) as index:
        service, stores, machine, config = connect(stack, region)
        yield StackBackend(stack, service, stores.table, machine.run, config.catalog, index)


def stack_index(home: Path, stack: str, region: str | None) -> Path:
    """The index of the responses that a stack's jobs have, of those that were started here."""
    name = re.sub(r"[^\w-]", "_", f"{stack}.{region}" if region else stack)
    return home / "stacks" / f"{name}.sqlite"


OpenStack: TypeAlias = Callable[[str, str | None], AbstractAsyncContextManager[StackBackend]]
"""Opens the jobs of a stack by its name and region."""


@asynccontextmanager
async def open_backend(
    arguments: argparse.Namespace,
    open_stack: OpenStack,
    *,
    needs_config: bool = False,
    needs_prices: bool = False,
) -> AsyncIterator[BatchBackend]:
    """
    The jobs of a machine or of a stack; with `needs_config` they may run in this process.

    With `needs_prices`, the config is read if it can be.
    """
    check_region(arguments)
    if arguments.stack:
        if (needs_config or needs_prices) and arguments.config:
            raise RequestError("a stack has its own config: leave out --config", "config")
        async with open_stack(arguments.stack, arguments.region) as stack:
            yield stack
        return
    settings = Settings(None, Settings.read().env)
    selected = SelectedConfig(settings, Catalog({}, settings.env))
    if needs_config or needs_prices:
        try:
            selected = select_config(arguments.config)
        except ConfigError:
            if needs_config or arguments.config:
                raise
    async with open_local_backend(selected) as local:
        yield local


def check_region(arguments: argparse.Namespace) -> None:
    """Raise `RequestError` for a region without a stack."""
    if arguments.region and not arguments.stack:
        raise RequestError("--region needs --stack", "region")
