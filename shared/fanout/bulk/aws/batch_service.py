"""Files and batches for the API on AWS: kept here, run by a state machine."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from ..input.planner import LineError
from ..service.batches import JobService
from ..service.files import FileService
from ..service.records import FileRecord, Job
from ..store import JobProgress
from ..totals import CallCounts, Totals
from .dynamodb import DynamoTable
from .job_progress import DynamoJobProgress
from .result_store import S3ResultStore
from .s3 import S3BlobStore

NAME = "aws"

LINKED = 64 * 1024 * 1024
"""Bytes over which a file is read from S3 itself: a Lambda's answer ends at 200 MB, and beyond its
first 6 MB it has 2 MB a second."""

LINK_LIFE = 900
"""Seconds in which such a download may begin."""


class Stores(Struct, frozen=True):
    """Where a stack's files and jobs are; `lifetime` is the seconds for which S3 keeps files."""

    blobs: S3BlobStore
    table: DynamoTable
    now: Callable[[], float] = time.time
    lifetime: int | None = None

    @property
    def files(self) -> FileService:
        """Its files."""
        return FileService(
            self.blobs, self.table, self.now, lifetime=self.lifetime, link=self._link
        )

    def _link(self, file: FileRecord) -> str | None:
        return self.blobs.presigned_url(file.key, LINK_LIFE) if file.bytes > LINKED else None

    def shelves(self, job: Job) -> S3ResultStore:
        """A job's results."""
        return S3ResultStore(self.blobs, f"jobs/{job.id}")

    def ledger(
        self, job: Job, *, whole: bool = False, meter: CallCounts | None = None
    ) -> DynamoJobProgress:
        """A job's counts; `whole` for who asks for every shard's, `meter` for who makes calls."""
        return DynamoJobProgress(
            self.table,
            job.id,
            expires_at=job.expires_at,
            now=self.now,
            max_cost=job.max_cost_usd,
            whole=whole,
            meter=meter,
        )

    def every_shard(self, job: Job) -> JobProgress:
        """A job's counts, for the finisher."""
        return self.ledger(job, whole=True)

    async def forget(self, job: Job) -> None:
        """What an earlier plan of the job left."""
        await self.ledger(job).forget()
        await self.blobs.delete(f"jobs/{job.id}/shards")


class AWSBatchService:
    """Files and jobs of a stack; a `Host` whose `execute` starts the state machine."""

    def __init__(self, stores: Stores, execute: Callable[[str], Awaitable[None]]) -> None:
        self._stores = stores
        self._execute = execute
        self.files = stores.files
        self.jobs = JobService(self.files, stores.table, self, stores.now)

    @property
    def name(self) -> str:
        return NAME

    @property
    def table(self) -> DynamoTable:
        return self._stores.table

    async def start(self, job_id: str) -> None:
        """Have the state machine run it; a new job that it cannot be told of has failed."""
        try:
            await self._execute(job_id)
        except Exception:  # whatever it was, nobody would ever run the job
            await self.jobs.registry.change(job_id, self._not_started)
            raise

    def _not_started(self, job: Job) -> Job | None:
        if job.status != "validating":
            return None  # it is taken up again, and was: that may be tried once more
        said = "The job could not be started; create it again."
        errors = [LineError("job_failed", said, None, None)]
        return replace(job, status="failed", failed_at=int(self._stores.now()), errors=errors)

    async def totals(self, job: Job) -> Totals:
        """What its workers wrote at most a second ago."""
        return await self._stores.ledger(job).total()
