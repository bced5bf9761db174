"""
The files and jobs of this machine, opened with the first file or job, or for unfinished jobs.

It is cheap to import, unlike `batch_service.py`, which runs them over a folder and SQLite.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...concurrency import first_error
from ...errors import StorageBusy
from ...gateway.gateway import Gateway
from ...settings import windows_data
from ...telemetry.observers import NullObserver, Observer

if TYPE_CHECKING:
    from ...routing.first_token_times import FirstTokenTimes
    from ..steps.host import RunnerOptions
    from .batch_service import LocalBatchService, OpenAccounts

SERVER = "serve"
"""The host of jobs that a server runs; it also resumes those of an earlier server."""

DATABASE = "jobs.sqlite"

MAINTENANCE_INTERVAL = 3600.0
"""Seconds between two deletions of what has expired."""


def data_home(env: Mapping[str, str]) -> Path:
    """The folder of the jobs: `FANOUT_HOME`, else `fanout` in the user's data folder."""
    if given := env.get("FANOUT_HOME"):
        return Path(given)
    data = env.get("XDG_DATA_HOME") or windows_data(env)
    return (Path(data) if data else Path.home() / ".local" / "share") / "fanout"


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

        def create() -> LocalBatchService:
            from .batch_service import LocalBatchService

            return LocalBatchService(
                gateway,
                home,
                group,
                name=name,
                is_server=name == SERVER,
                database=home / DATABASE,
                observer=observer,
                now=now,
                options=options,
                accounts=accounts,
            )

        lazy = LazyLocalBatchService(create)
        tasks: list[asyncio.Task[None]] = []

        def share(times: FirstTokenTimes) -> None:
            from .hedge_counts import shared_in

            tasks.append(group.create_task(shared_in(home, times, observer.unexpected_error)))

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
            observer.unexpected_error("", error)
        await asyncio.sleep(MAINTENANCE_INTERVAL)
