"""
Makes a job of a file of prompts.

The same prompts for the same model give the same job, so that repeating a command resumes it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Protocol

from ...errors import NotFound
from ...wire import json
from ..input.lines import ENDPOINT
from ..service.batches import JobService, NewJob
from ..service.files import FileService
from ..service.records import FileRecord, Job
from ..store import Change, RecordStore
from .prompt_files import PromptFile


class JobStore(Protocol):
    """Where jobs are created, and the owner they get: on this machine, or in a stack."""

    @property
    def files(self) -> FileService: ...

    @property
    def jobs(self) -> JobService: ...

    @property
    def table(self) -> RecordStore: ...

    @property
    def owner(self) -> str: ...


def fingerprint(prompts: PromptFile, model: str) -> str:
    """A hash of the prompts and the model."""
    digest = hashlib.blake2b(json.encode([model]), digest_size=16)
    for chunk in prompts.chunks():
        digest.update(chunk)
    return digest.hexdigest()


async def find_or_create_job(
    store: JobStore, prompts: PromptFile, options: NewJob, *, fresh: bool
) -> Job:
    """
    The latest job of these prompts, unless it failed; otherwise a new one, not yet started.

    Of several processes that look for it at the same time, one creates it and all return it.
    """
    key = await asyncio.to_thread(fingerprint, prompts, options.model or "")
    ignored = await store.table.get("run", key) if fresh else None
    job: Job | None = None
    while True:
        known = await store.table.get("run", key)
        found = None if known is None or known == ignored else await _find(store, known.decode())
        if found is None:
            job = job or await _draft(store, prompts, options)
            pointer = Change("run", key, job.id.encode(), known)
            if await store.jobs.registry.create_with(job.id, job, pointer):
                return job
        else:
            if job is not None:
                await store.files.delete(job.input_file_id, store.owner)
            return found


async def _find(store: JobStore, job_id: str) -> Job | None:
    """
    The job, or the retry of its failed lines if it ended because every call was rejected.

    A job that failed for another reason is created again.
    """
    try:
        job = await store.jobs.find(job_id, None)
    except NotFound:
        return None
    if job.is_over and job.reason == "refused":
        return await store.jobs.retry(job.id, store.owner)
    return None if job.status == "failed" else job


async def _draft(store: JobStore, prompts: PromptFile, options: NewJob) -> Job:
    """A new job, whose file is stored."""
    file = await _upload(store, prompts)
    new = NewJob(
        input_file_id=file.id,
        endpoint=ENDPOINT,
        completion_window=options.completion_window,
        model=options.model,
        max_cost_usd=options.max_cost_usd,
    )
    return store.jobs.draft(new, file, store.owner)


async def _upload(store: JobStore, prompts: PromptFile) -> FileRecord:
    """Store the prompts as a file."""

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in prompts.chunks():
            yield chunk

    key = store.files.new_key()
    await store.files.blobs.write(key, chunks())
    return await store.files.register(key, prompts.path.name, "batch", store.owner)
