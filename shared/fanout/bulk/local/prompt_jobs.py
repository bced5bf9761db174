"""
Makes a job of a file of prompts.

The same prompts for the same model give the same job, so that repeating a command resumes it. If
the file was changed, the new job sends only what no earlier job of this machine has a response to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from ...errors import DamagedRecord, NotFound
from ..input.job_source import JobSource
from ..input.lines import ENDPOINT, BadLine, parse_line, read_head
from ..input.splitter import iter_lines
from ..service.batches import JobService, NewJob
from ..service.files import FileService
from ..service.records import Job
from ..store import Change, RecordStore, ResultStore
from ..totals import Totals
from ..work.partial_results import result_lines
from .prompt_files import PromptFile
from .response_index import ResponseIndex, request_hash

STEP = 500
"""Lines that are looked up together."""

PIECE = 1 << 16
"""Bytes that are written at a time."""


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

    @property
    def index(self) -> ResponseIndex | None:
        """Finds responses by content; a stack has none."""
        ...

    def results(self, job: Job) -> ResultStore:
        """The job's results so far."""
        ...


async def find_or_create_job(
    store: JobStore, prompts: PromptFile, options: NewJob, *, fresh: bool
) -> Job:
    """
    The latest job of these prompts, unless it failed; otherwise a new one, not yet started.

    Of several processes that look for it at the same time, one creates it and all return it.
    """
    key = await asyncio.to_thread(prompts.fingerprint, options.model or "")
    ignored = await store.table.get("run", key) if fresh else None
    job: Job | None = None
    while True:
        known = await store.table.get("run", key)
        found = None if known is None or known == ignored else await _find(store, known.decode())
        if found is None:
            job = job or await _draft(store, prompts, options, reuse=not fresh)
            pointer = Change("run", key, job.id.encode(), known)
            if await store.jobs.registry.create_with(job.id, job, pointer):
                return job
        else:
            if job is not None:
                await delete_input(store, job)
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


async def delete_input(store: JobStore, job: Job) -> None:
    """Delete what a job of `fanout batch run` was made of."""
    with suppress(NotFound):  # its user has deleted it
        await store.files.delete(job.input_file_id, store.owner)
    if job.source is not None and job.source.key is not None:
        await store.files.blobs.delete(job.source.key)
    await store.files.blobs.delete(f"jobs/{job.id}")
    if store.index is not None:
        await store.index.remove(job.id)


async def delete_job(store: JobStore, job: Job) -> None:
    """
    Delete a job that does not run, with its results and the response index's entries.

    The input stays if the job was not made by `fanout batch run`, or if its retry needs it.
    """
    for file_id in (job.output_file_id, job.error_file_id):
        if file_id is not None:
            with suppress(NotFound):
                await store.files.delete(file_id, store.owner)
    await store.jobs.registry.delete(job.id)
    await store.files.blobs.delete(f"jobs/{job.id}")
    if store.index is not None:
        await store.index.remove(job.id)
    if job.source is not None and not await _shares_rows(store, job):
        await delete_input(store, job)


async def _shares_rows(store: JobStore, job: Job) -> bool:
    """Whether a retry of the job is there, or the job that it retries: they have the same rows."""
    retry = await store.table.get("retry", job.id)
    for job_id in (job.retry_of, None if retry is None else retry.decode(errors="replace")):
        if job_id is not None:
            with suppress(NotFound):
                await store.jobs.find(job_id, None)
                return True
    return False


async def _draft(store: JobStore, prompts: PromptFile, options: NewJob, *, reuse: bool) -> Job:
    """A new job, whose files are stored."""
    key = store.files.new_key()
    await store.files.blobs.write(key, _in_threads(prompts.chunks()))
    source = JobSource(prompts.path.name)
    if prompts.is_table:
        source = await _store_table(store, prompts, f"{key}.table")
    file = await store.files.register(key, prompts.path.name, "batch", store.owner)
    new = NewJob(
        input_file_id=file.id,
        endpoint=ENDPOINT,
        completion_window=options.completion_window,
        model=options.model,
        max_cost_usd=options.max_cost_usd,
    )
    job = replace(store.jobs.draft(new, file, store.owner), source=source)
    return job if store.index is None else await _with_stored(store, store.index, job, reuse=reuse)


async def _store_table(store: JobStore, prompts: PromptFile, key: str) -> JobSource:
    """Store the table's rows, with which its output is written."""
    quiet = replace(prompts, report=lambda _: None)
    with quiet.open_table() as opened:
        await store.files.blobs.write(key, _in_threads(quiet.table_copy(opened)))
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


# ---- responses of earlier jobs ----


async def _with_stored(store: JobStore, index: ResponseIndex, job: Job, *, reuse: bool) -> Job:
    """The job with the responses that earlier ones have; its input is then what is left."""
    full = job.input_key
    try:
        if reuse and not await index.is_empty():
            job = await _reuse(store, index, job)
        key = job.source.key if job.reused and job.source and job.source.kind is None else None
        async for step in _requests(store, key or full, job.model):
            await index.add(job.id, [(one.hash, one.custom_id) for one in step])
    except BadLine:
        return job  # the planner says what is wrong
    if job.input_key != full:
        await store.files.delete(full.removeprefix("files/"), store.owner)
    return job


async def _reuse(store: JobStore, index: ResponseIndex, job: Job) -> Job:
    """The job without the lines to which an earlier job has a response."""
    await index.begin()
    async for step in _requests(store, job.input_key, job.model):
        await index.look_up([(one.number, one.hash, one.custom_id) for one in step])
    jobs = await index.wanted_jobs()
    files, blobs = store.files, store.files.blobs
    reused = f"jobs/{job.id}/reused.jsonl"
    await blobs.write(reused, _stored_responses(store, index, jobs))
    count = await index.count_found()
    if not count:
        await blobs.delete(reused)
        return job
    left = 0

    async def rest() -> AsyncIterator[bytes]:
        """The other lines; blank ones keep their numbers."""
        nonlocal left
        last = 0
        async for step in _requests(store, job.input_key, job.model):
            found = await index.found([one.number for one in step])
            for one in step:
                yield b"\n" * (one.number - last - 1)
                last = one.number
                left += one.number not in found
                yield (b"" if one.number in found else one.data) + b"\n"

    key = files.new_key()
    await blobs.write(key, rest())
    old = await files.find(job.input_file_id, None)
    new = await files.register(key, old.filename, "batch", store.owner)
    source = job.source
    if source is not None and source.kind is None:
        source = replace(source, key=f"{key}.table")
        await blobs.join([job.input_key], f"{key}.table")
    job = replace(job, input_file_id=new.id, input_key=key, source=source, reused=count)
    if left:
        return replace(job, earlier_outputs=[reused])
    return await _completed(store, job, reused)


async def _completed(store: JobStore, job: Job, reused: str) -> Job:
    """The job if each of its lines has a response of an earlier job."""
    key = store.files.new_key()
    await store.files.blobs.join([reused], key)
    await store.files.blobs.delete(f"jobs/{job.id}")
    output = await store.files.register(key, f"{job.id}_output.jsonl", "batch_output", job.owner)
    return replace(
        job,
        status="completed",
        in_progress_at=job.created_at,
        completed_at=job.created_at,
        totals=Totals(),
        output_file_id=output.id,
    )


async def _stored_responses(
    store: JobStore, index: ResponseIndex, jobs: Sequence[str]
) -> AsyncIterator[bytes]:
    """The responses of these jobs that are wanted."""
    for job_id in jobs:
        found: str | None = job_id
        while found is not None:
            with suppress(NotFound, FileNotFoundError, DamagedRecord):  # they are sent again
                job = await store.jobs.find(found, None)
                lines = result_lines(job, store.files, store.results)
                async for piece in index.take(job_id, lines):
                    yield piece
            retry = await store.table.get("retry", found)
            found = None if retry is None else retry.decode(errors="replace")


class _Request(NamedTuple):
    """A line of a job's input: its number, its bytes, its name and the hash of its request."""

    number: int
    data: bytes
    custom_id: str
    hash: bytes


async def _requests(store: JobStore, key: str, model: str | None) -> AsyncIterator[list[_Request]]:
    """The requests of a job's input, some at a time; raises `BadLine` for a wrong one."""
    step: list[_Request] = []
    async for number, _, _, data in iter_lines(store.files.blobs.read(key)):
        if not data:
            continue
        read_head(data, number, model)
        line = parse_line(data, number, model)
        if line.parse_error is not None:
            raise BadLine("invalid_json_line", line.parse_error)
        step.append(_Request(number, data, line.custom_id, request_hash(line)))
        if len(step) >= STEP:
            yield step
            step = []
    if step:
        yield step
