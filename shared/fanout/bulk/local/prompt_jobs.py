"""
Makes a job of a file of prompts.

The same prompts for the same model give the same job, so that repeating a command resumes it. If
the file was changed, the new job sends only what no earlier job of this machine has a response to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from ...errors import NotFound, StorageError, StorageFull
from ..input.job_source import JobSource
from ..input.lines import ENDPOINT
from ..service.deletion import delete_names, delete_rows
from ..service.file_records import FileRecord
from ..service.new_job import NewJob
from ..service.records import Job
from ..store import Change
from .job_store import JobStore
from .prompt_files import PromptFile
from .response_reuse import with_stored_responses
from .table_prompts import table_copy

PIECE = 1 << 16
"""Bytes that are written at a time."""


async def find_or_create_job(
    store: JobStore,
    prompts: PromptFile,
    options: NewJob,
    *,
    fresh: bool,
    check: Callable[[], None] = lambda: None,
) -> Job:
    """
    The latest job of these prompts, unless it failed; otherwise a new one, not yet started.

    Before a new one, `check` raises what would make every line fail.
    Of several processes that look for it at the same time, one creates it and all return it.
    """
    key = await asyncio.to_thread(prompts.fingerprint, options.model or "")
    ignored = await store.table.get("run", key) if fresh else None
    job: Job | None = None
    while True:
        known = await store.table.get("run", key)
        found = None if known is None or known == ignored else await _find(store, known.decode())
        if found is None:
            check()
            job = job or await _draft(store, prompts, options, reuse=not fresh)
            pointer = Change("run", key, job.id.encode(), known)
            if await store.jobs.registry.create_with(job.id, job, pointer):
                return job
        else:
            if job is not None:
                await delete_input(store, job)
            return found


async def add_job_of_lines(store: JobStore, data: bytes, name: str, options: NewJob) -> Job:
    """A new job of these lines, not started; what earlier jobs have responses to is not sent."""
    key = store.files.new_key()
    await store.files.blobs.write(key, _in_threads(iter([data])))
    file = await store.files.register(key, name, "batch", store.owner)
    job = _new(store, options, file, JobSource(name))
    if store.index is not None:
        job = await with_stored_responses(store, store.index, job, reuse=True)
    await store.jobs.registry.create(job.id, job)
    return job


async def finished_job(store: JobStore, prompts: PromptFile, model: str | None) -> Job | None:
    """The job of these prompts that is over with failed lines, which are not sent again by it."""
    key = await asyncio.to_thread(prompts.fingerprint, model or "")
    known = await store.table.get("run", key)
    if known is None:
        return None
    try:
        job = await store.jobs.find(known.decode(), None)
    except NotFound:
        return None
    has_failed = job.is_over and job.status != "failed" and job.error_file_id is not None
    return job if has_failed else None


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


async def delete_input(store: JobStore, job: Job) -> None:
    """Delete what a job of `fanout batch run` was made of."""
    await delete_rows(store.files, job)
    await delete_names(store.files, job)
    await store.files.blobs.delete(f"jobs/{job.id}")
    await forget_responses(store, job)


async def forget_responses(store: JobStore, job: Job) -> None:
    """Remove the job from the index; if that cannot be written, it names a job that is gone."""
    if store.index is not None:
        with suppress(StorageError):
            await store.index.remove(job.id)


async def _draft(store: JobStore, prompts: PromptFile, options: NewJob, *, reuse: bool) -> Job:
    """A new job, whose files are stored."""
    key = store.files.new_key()
    await store.files.blobs.write(key, _in_threads(prompts.chunks()))
    source = JobSource(prompts.name)
    if prompts.is_table:
        source = await _store_table(store, prompts, f"{key}.table")
    file = await store.files.register(key, prompts.name, "batch", store.owner)
    new = NewJob(
        input_file_id=file.id,
        endpoint=ENDPOINT,
        completion_window=options.completion_window,
        model=options.model,
        max_cost_usd=options.max_cost_usd,
        fanout=options.fanout,
    )
    job = _new(store, new, file, source)
    if store.index is None:
        return job
    try:
        read = partial(_again, prompts) if store.is_remote else None
        return await with_stored_responses(store, store.index, job, reuse=reuse, read=read)
    except StorageFull:
        raise
    except StorageError as error:
        prompts.report(f"responses of earlier runs are not found: {error}")
        return job


def _new(store: JobStore, options: NewJob, file: FileRecord, source: JobSource) -> Job:
    job = store.jobs.draft(options, file, store.owner)
    return replace(job, source=source, config_path=store.config_path)


def _again(prompts: PromptFile) -> AsyncIterator[bytes]:
    """The job's input, from the user's file."""
    return _in_threads(replace(prompts, report=lambda _: None).chunks())


async def _store_table(store: JobStore, prompts: PromptFile, key: str) -> JobSource:
    """Store the table's rows, with which its output is written."""
    quiet = replace(prompts, report=lambda _: None)
    with quiet.open_table() as opened:
        rows = (row for row, _ in quiet.lines(opened))
        await store.files.blobs.write(key, _in_threads(table_copy(opened, rows)))
        return replace(opened.source, key=key)


async def _in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, which are read outside the event loop, joined to larger ones."""
    pieces = _joined(chunks)
    while piece := await asyncio.to_thread(next, pieces, None):
        yield piece


def _joined(chunks: Iterator[bytes]) -> Iterator[bytes]:
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)
