"""Deletes the input file of a job that does not keep it."""

from __future__ import annotations

from contextlib import suppress

from ...errors import NotFound
from .files import FileService
from .records import Job
from .registry import Registry


async def delete_own_input(files: FileService, jobs: Registry[Job], job: Job) -> None:
    """Delete the job's input file, unless the job keeps it or another job has it, too."""
    if job.keep_input:
        return

    def shares(other: Job) -> bool:
        return other.id != job.id and other.input_file_id == job.input_file_id

    if not await jobs.all(shares):
        with suppress(NotFound):  # its user has deleted it
            await files.delete(job.input_file_id, job.owner)
