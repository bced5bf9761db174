"""Deletes jobs that are over, with their results and their input."""

from __future__ import annotations

from contextlib import suppress

from ...errors import NotFound, StorageFull
from ..store import RecordStore
from .files import FileService
from .records import Job
from .registry import Registry


async def delete_job(files: FileService, table: RecordStore, jobs: Registry[Job], job: Job) -> None:
    """
    Delete a job that does not run, its output files and its working files.

    The input of a job of `fanout batch run` stays if its retry needs it, that of another job unless
    it is the job's own (`keep_input`).
    """
    for file_id in (job.output_file_id, job.error_file_id):
        if file_id is not None:
            await _delete_file(files, file_id, job)
    try:
        await jobs.delete(job.id)
    except StorageFull:  # there is room when the working files are deleted
        await files.blobs.delete(f"jobs/{job.id}")
        await jobs.delete(job.id)
    await files.blobs.delete(f"jobs/{job.id}")
    await delete_names(files, job)
    if job.source is None:
        await delete_own_input(files, jobs, job)
    elif not await _shares_rows(table, jobs, job):
        await delete_rows(files, job)


async def delete_names(files: FileService, job: Job) -> None:
    """Delete the names of all lines of a job whose input is only a part of them."""
    if job.names is not None:
        await files.blobs.delete(job.names)


async def delete_rows(files: FileService, job: Job) -> None:
    """Delete what a job of `fanout batch run` was made of."""
    await _delete_file(files, job.input_file_id, job)
    if job.source is not None and job.source.key is not None:
        await files.blobs.delete(job.source.key)


async def delete_own_input(files: FileService, jobs: Registry[Job], job: Job) -> None:
    """Delete the job's input file, unless the job keeps it or another job has it, too."""
    if job.keep_input:
        return

    def shares(other: Job) -> bool:
        return other.id != job.id and other.input_file_id == job.input_file_id

    if not await jobs.all(shares):
        await _delete_file(files, job.input_file_id, job)


async def _delete_file(files: FileService, file_id: str, job: Job) -> None:
    with suppress(NotFound):  # its user has deleted it
        await files.delete(file_id, job.owner)


async def _shares_rows(table: RecordStore, jobs: Registry[Job], job: Job) -> bool:
    """Whether a retry of the job is there, or the job that it retries: they have the same rows."""
    retry = await table.get("retry", job.id)
    for job_id in (job.retry_of, None if retry is None else retry.decode(errors="replace")):
        if job_id is not None:
            with suppress(NotFound):
                await jobs.find(job_id, None)
                return True
    return False
