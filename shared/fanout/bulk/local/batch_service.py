"""
Jobs in this process, over a folder and SQLite: begun, and after a restart taken up again.

Light to import: SQLite is loaded when the first file or job comes, or where one was left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...concurrency import first_error
from ...gateway.gateway import Gateway
from ...telemetry.observers import NullObserver, Observer

if TYPE_CHECKING:
    from ..runner import Runner, RunnerOptions
    from ..service.batches import JobService
    from ..service.files import FileService
    from ..service.records import Job
    from ..totals import Totals
    from .sqlite import Database

AT_ONCE = 4
"""Jobs under way at the same time; the others wait."""

LATE = 1.5
"""Seconds in which a worker notices that it is to stop."""

AGAIN = 30.0
"""Seconds after which a job that met a fault of this machine (a full disk) is taken up again."""


def data_home(env: Mapping[str, str]) -> Path:
    """Where jobs live: `FANOUT_HOME`, else `fanout` in the user's data folder."""
    if given := env.get("FANOUT_HOME"):
        return Path(given)
    data = env.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "fanout"


class LocalBatchService:
    """Files and jobs of this machine; a `Host` of its jobs."""

    def __init__(
        self,
        gateway: Gateway,
        home: Path,
        group: asyncio.TaskGroup,
        *,
        name: str,
        observer: Observer,
        now: Callable[[], float],
        options: RunnerOptions | None,
    ) -> None:
        from ..runner import Runner, RunnerOptions
        from ..service.batches import JobService
        from ..service.files import FileService
        from .file_store import FolderBlobStore, FolderResultStore
        from .job_progress import SQLiteJobProgress
        from .sqlite import Database, SQLiteRateLimitStore

        self.home = home
        self._name = name
        self._group = group
        self._observer = observer
        self._grace = (options or RunnerOptions()).grace + LATE
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.is_stopping = False
        self.database: Database = Database(home / "jobs.sqlite")
        blobs = FolderBlobStore(home)
        self.files: FileService = FileService(blobs, self.database, now)
        self.jobs: JobService = JobService(self.files, self.database, self, now)

        def ledger(job: Job) -> SQLiteJobProgress:
            return SQLiteJobProgress(
                self.database,
                job.id,
                expires_at=job.expires_at,
                now=now,
                max_cost=job.max_cost_usd,
                is_stopping=lambda: self.is_stopping,
            )

        async def forget(job: Job) -> None:
            self.database.forget_shards(job.id)
            await blobs.delete(f"jobs/{job.id}/results")

        self.runner: Runner = Runner(
            gateway,
            self.files,
            self.jobs.registry,
            shelves=lambda job: FolderResultStore(blobs, f"jobs/{job.id}"),
            ledger=ledger,
            forget=forget,
            observer=observer,
            now=now,
            options=options or RunnerOptions(),
            book=SQLiteRateLimitStore(self.database),
        )

    @property
    def name(self) -> str:
        return self._name

    async def start(self, job_id: str) -> None:
        """Run the job beside everything else."""
        if job_id not in self._tasks:
            task = self._tasks[job_id] = self._group.create_task(self._run(job_id))
            task.add_done_callback(lambda _: self._tasks.pop(job_id, None))

    async def finished(self, job_id: str, seconds: float) -> bool:
        """Whether this process has done with the job, waiting so long."""
        task = self._tasks.get(job_id)
        if task is not None:
            await asyncio.wait([task], timeout=seconds)
        return task is None or task.done()

    async def resume(self) -> None:
        """Take up every job that this host left unfinished, and sweep up behind the others."""
        after: str | None = None
        while True:
            page = await self.jobs.page(None, after=after, limit=100)
            for job in page.records:
                if job.is_over:
                    await self.files.blobs.delete(f"jobs/{job.id}")
                elif job.host == self._name:
                    await self.start(job.id)
            if not page.has_more:
                return
            after = page.records[-1].id

    async def totals(self, job: Job) -> Totals:
        """What its shards come to, as they were written at most a second ago."""
        from ..totals import Totals

        total = Totals()
        for _, totals in self.database.shards(job.id).values():
            total.add(totals)
        if meter := self.runner.meters.get(job.id):
            total.set_calls(meter)
        return total

    async def settle(self) -> None:
        """Start no more lines, wait for those under way, for some seconds, and leave the rest."""
        self.is_stopping = True
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=self._grace)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def run_here(self, job_id: str) -> bool:
        """Run a job now; `False` if another process does."""
        lock = self.home / "locks" / job_id
        with locked(lock) as mine:
            if mine and (await self.runner.run(job_id)).is_over:
                lock.unlink(missing_ok=True)  # nobody will want it any more
        return mine

    async def _run(self, job_id: str) -> None:
        async with self._slots:
            while True:
                try:
                    await self.run_here(job_id)
                except Exception as error:  # noqa: BLE001 -- a job is never given up
                    self._observer.bug(job_id, error)
                else:
                    return
                await asyncio.sleep(AGAIN)


class LazyLocalBatchService:
    """The way to `LocalBatchService`, which is made when somebody first comes through."""

    def __init__(self, make: Callable[[], LocalBatchService]) -> None:
        self._make = make
        self._made: LocalBatchService | None = None

    @property
    def bulk(self) -> LocalBatchService:
        """The files and jobs."""
        if self._made is None:
            self._made = self._make()
        return self._made

    async def settle(self) -> None:
        """Leave every job where it is."""
        if self._made is not None:
            await self._made.settle()

    def close(self) -> None:
        """Close what was opened."""
        if self._made is not None:
            self._made.database.close()


@asynccontextmanager
async def open_local_batches(
    gateway: Gateway,
    home: Path,
    *,
    name: str = "serve",
    resume: bool = True,
    observer: Observer | None = None,
    now: Callable[[], float] = time.time,
    options: RunnerOptions | None = None,
) -> AsyncIterator[LazyLocalBatchService]:
    """
    The jobs of this machine for the block; at its end they stop where they are.

    With `resume`, those that a host of this `name` left unfinished are taken up at once.
    """
    watch = observer or NullObserver()
    async with _group() as group:
        door = LazyLocalBatchService(
            lambda: LocalBatchService(
                gateway, home, group, name=name, observer=watch, now=now, options=options
            )
        )
        running: list[asyncio.Task[None]] = []
        if resume and (home / "jobs.sqlite").exists():
            running.append(group.create_task(_resume(door)))
        try:
            yield door
        finally:
            for task in running:
                task.cancel()
            await door.settle()
            door.close()


@asynccontextmanager
async def _group() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises what went wrong, and not a group with that in it."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as raised:
        raise first_error(raised) from None


async def _resume(door: LazyLocalBatchService) -> None:
    await asyncio.sleep(0)  # the first answer goes before
    await door.bulk.resume()


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether the file is ours alone for the block; a killed process has let go of it."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
