"""
Gives a new job the responses that earlier jobs of this machine have to the same requests.

The job's input is then what is left; the lines keep their numbers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from msgspec.structs import replace

from ...errors import DamagedRecord, NotFound
from ..input.lines import BadLine, parse_line, read_head
from ..input.splitter import iter_lines
from ..service.records import Job
from ..totals import Totals
from ..work.partial_results import result_lines
from .job_store import JobStore
from .response_index import ResponseIndex, request_hash

STEP = 500
"""Lines that are looked up together."""


async def with_stored_responses(
    store: JobStore, index: ResponseIndex, job: Job, *, reuse: bool
) -> Job:
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
        if not await index.look_up([(one.number, one.hash, one.custom_id) for one in step]):
            raise BadLine("duplicate_custom_id", "two lines have the same name")
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
