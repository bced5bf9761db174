"""What follows a job's end: copies of its results where they are wanted, and its webhook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ...telemetry.observers import Observer
from ...wire import json
from ..service.files import FileService
from ..service.records import Job
from ..service.registry import Registry
from ..totals import Totals
from .s3 import S3BlobStore, once


async def copy_results(job: Job, files: FileService, blobs: S3BlobStore) -> None:
    """Copy the results and the batch object to where the job's start request wants them."""
    if job.deliver_to is None:
        return
    for file_id, name in ((job.output_file_id, "output"), (job.error_file_id, "errors")):
        if file_id is not None:
            file = await files.find(file_id, None)
            await blobs.join([file.key], f"{job.deliver_to}{name}.jsonl")
    batch = json.encode(job.to_dict(job.totals or Totals()))
    await blobs.write(f"{job.deliver_to}batch.json", once(batch))


class WebhookStarts:
    """Starts the deliveries of jobs' webhooks by `notify`, which gets a job's id."""

    def __init__(
        self,
        jobs: Registry[Job],
        notify: Callable[[str], Awaitable[None]] | None,
        observer: Observer,
    ) -> None:
        self._jobs = jobs
        self._notify = notify
        self._observer = observer

    async def start_all(self) -> None:
        """Start the deliveries of all jobs that owe their webhook, if one could not be started."""
        for job in await self._jobs.all_open():
            await self.start(job)

    async def start(self, job: Job) -> None:
        """Start the delivery of the job's webhook; a fault of AWS's is logged and ends no job."""
        if job.owed_webhook is None or self._notify is None:
            return
        try:
            await self._notify(job.id)
        except Exception as error:  # noqa: BLE001 -- the hourly check starts it again
            self._observer.unexpected_error(job.id, error)
