"""Files and batches on AWS: stored in S3 and DynamoDB, run by a state machine."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from ..activity import Activity, ActivityTracker
from ..input.planner import LineError
from ..service.batches import JobService
from ..service.file_records import FileRecord
from ..service.files import FileService
from ..service.idempotency import IdempotencyStore
from ..service.records import Job
from ..store import CappedProgress
from ..totals import Totals
from .dynamodb import DynamoTable
from .job_progress import DynamoJobProgress
from .result_store import S3ResultStore
from .s3 import S3BlobStore

NAME = "aws"

MAX_DIRECT = 64 * 1024 * 1024
"""
Bytes up to which the API sends a file itself; a larger one is downloaded from S3.

A Lambda's response may have 200 MB, and is limited to 2 MB a second after the first 6 MB: see
https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html.
"""

TOTALS_AGE = 2.0
"""
Seconds for which the totals of the last job are kept.

Reading those of 5,000 shards takes some 300 of the 3,000 read units a second of a job's item
collection, and clients may poll.
"""

LINK_LIFETIME = 900
"""Seconds in which such a download may start."""


class Stores(Struct, frozen=True):
    """A stack's bucket and table; the bucket deletes files after `lifetime` seconds."""

    blobs: S3BlobStore
    table: DynamoTable
    now: Callable[[], float] = time.time
    lifetime: int | None = None

    @property
    def files(self) -> FileService:
        """The stack's files."""
        return FileService(
            self.blobs, self.table, self.now, lifetime=self.lifetime, link=self._link
        )

    def _link(self, file: FileRecord) -> str | None:
        return (
            self.blobs.presigned_url(file.key, LINK_LIFETIME) if file.bytes > MAX_DIRECT else None
        )

    def results(self, job: Job) -> S3ResultStore:
        """A job's results."""
        return S3ResultStore(self.blobs, f"jobs/{job.id}")

    def progress(
        self, job: Job, *, all_shards: bool = False, activity: ActivityTracker | None = None
    ) -> DynamoJobProgress:
        """A job's progress; `DynamoJobProgress` explains the options."""
        return DynamoJobProgress(
            self.table,
            job.id,
            expires_at=job.expires_at,
            now=self.now,
            max_cost=job.max_cost,
            all_shards=all_shards,
            activity=activity,
        )

    def finisher_progress(self, job: Job) -> CappedProgress:
        """A job's progress, for the finisher."""
        return self.progress(job, all_shards=True)

    async def clear(self, job: Job) -> None:
        """Delete what an earlier plan of the job left."""
        await self.progress(job).clear()
        await self.blobs.delete(f"jobs/{job.id}/shards")


class AWSBatchService:
    """
    A stack's files and jobs; a `Host` whose `execute` starts the state machine.

    `has_batches` says whether the stack sends lines by native batches, as older ones do not;
    `has_accounts`, whether its workers charge the jobs of virtual keys to them.
    """

    def __init__(
        self,
        stores: Stores,
        execute: Callable[[str], Awaitable[None]],
        *,
        has_batches: bool = True,
        has_accounts: bool = False,
    ) -> None:
        self._has_accounts = has_accounts
        self._stores = stores
        self._execute = execute
        self._has_batches = has_batches
        self._totals: dict[str, tuple[float, Totals]] = {}
        self.files = stores.files
        self.jobs = JobService(self.files, stores.table, self, stores.now)
        self.idempotency = IdempotencyStore(stores.table, stores.blobs, stores.now)

    @property
    def has_batches(self) -> bool:
        return self._has_batches

    @property
    def has_accounts(self) -> bool:
        return self._has_accounts

    @property
    def name(self) -> str:
        return NAME

    @property
    def config(self) -> str | None:
        return None  # one stack, one store

    @property
    def table(self) -> DynamoTable:
        return self._stores.table

    def results(self, job: Job) -> S3ResultStore:
        """A job's results so far."""
        return self._stores.results(job)

    async def start(self, job_id: str) -> None:
        """Start the state machine; if that fails, a new job fails."""
        try:
            await self._execute(job_id)
        except Exception:  # whatever it is, nothing would ever run the job
            await self.jobs.registry.change(job_id, self._not_started)
            raise

    def _not_started(self, job: Job) -> Job | None:
        if job.status != "validating":
            return None  # it was running before, and can be resumed later
        message = "The job could not be started; create it again."
        errors = [LineError("job_failed", message, None, None)]
        return replace(job, status="failed", failed_at=int(self._stores.now()), errors=errors)

    async def forget(self, job_id: str) -> None:
        """Nothing: the table deletes the counts after some days."""

    async def totals(self, job: Job) -> Totals:
        """What the job's workers have written; some seconds old."""
        now = self._stores.now()
        read_at, totals = self._totals.get(job.id, (0.0, None))
        if totals is None or not 0 <= now - read_at < TOTALS_AGE:
            totals = await self._stores.progress(job).total()
            if job.native != "never" and job.status == "in_progress":
                await self._add_batches(job, totals)
            self._totals = {job.id: (now, totals)}
        return totals

    async def _add_batches(self, job: Job, totals: Totals) -> None:
        """Add the lines that wait for native batches to what the job waits for."""
        from ..native.held_lines import batch_wait  # few jobs have batches
        from ..native.ledger import BatchLedger

        wait = batch_wait(await BatchLedger(self._stores.table, job.id).rows())
        if wait.lines:
            activity = totals.activity or Activity(0.0)
            totals.activity = activity.add(Activity(self._stores.now(), waits=[wait]))
