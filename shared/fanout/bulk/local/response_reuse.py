"""
Gives a new job the responses that earlier jobs have to the same requests, if they were started
here, and finds what a job would send.

The job's input is then what is left; the lines keep their numbers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from msgspec.structs import replace

from ...errors import DamagedRecord, NotFound
from ..input.line_parser import parse_line
from ..input.lines import BadLine, read_head
from ..input.splitter import iter_lines
from ..service.line_names import name_line, names_key
from ..service.records import Job
from ..totals import Totals
from ..work.partial_results import result_lines
from .checked_reuse import ReuseChecks
from .job_store import JobStore
from .response_index import Lookup, ResponseIndex, Responses, request_hash

Read: TypeAlias = Callable[[], AsyncIterator[bytes]]
"""Reads a job's input from its beginning."""

STEP = 500
"""Lines that are looked up together."""


async def with_stored_responses(
    store: JobStore,
    index: ResponseIndex,
    job: Job,
    *,
    reuse: bool,
    read: Read | None = None,
) -> Job:
    """
    The job with the responses that earlier ones have; its input is then what is left.

    `read` has the job's input, if not the stored one is to be read.
    """
    full = job.input_key
    read = read or (lambda: store.files.blobs.read(full))
    try:
        if reuse and not await index.is_empty():
            job = await _reuse(store, index, job, read)
        async for step in _requests(read(), job.model):
            await index.add(job.id, [(one.hash, one.custom_id) for one in step])
    except BadLine:
        return job  # the planner says what is wrong
    if job.input_key != full:
        await store.files.delete(full.removeprefix("files/"), store.owner)
    return job


class Unpaid(NamedTuple):
    """The lines without a response, and how many have one and have none."""

    read: Read
    reused: int
    left: int


async def unpaid_lines(
    store: JobStore, index: ResponseIndex, read: Read, model: str | None
) -> Unpaid:
    """What a job of this input would send; nothing is written."""
    total = 0
    try:
        total = await _look_up(index, read, model)
    except BadLine:
        return Unpaid(read, 0, total)
    async for _ in _stored_responses(store, index, await index.wanted_jobs()):
        pass
    count = await index.count_found()
    return Unpaid(lambda: _rest(index, read, model), count, total - count)


async def _look_up(index: ResponseIndex, read: Read, model: str | None) -> int:
    """Look all lines up, and return their number; raises `BadLine` if two have the same name."""
    await index.begin()
    total = 0
    async for step in _requests(read(), model):
        total += len(step)
        if not await index.look_up([_lookup(one, index.checks) for one in step]):
            raise BadLine("duplicate_custom_id", "two lines have the same name")
    return total


async def _rest(index: ResponseIndex, read: Read, model: str | None) -> AsyncIterator[bytes]:
    """The lines without a response; they keep their numbers."""
    last = 0
    async for step in _requests(read(), model):
        found = await index.found([one.number for one in step])
        for one in step:
            yield b"\n" * (one.number - last - 1)
            last = one.number
            yield (b"" if one.number in found else one.data) + b"\n"


async def _reuse(store: JobStore, index: ResponseIndex, job: Job, read: Read) -> Job:
    """The job without the lines to which an earlier job has a response."""
    total = await _look_up(index, read, job.model)
    jobs = await index.wanted_jobs()
    files, blobs = store.files, store.files.blobs
    reused = f"jobs/{job.id}/reused.jsonl"
    responses = _stored_responses(store, index, jobs)
    if job.order == "input":
        await index.collect(responses)
        responses = index.collected()
    await blobs.write(reused, _whole(responses))
    count = await index.count_found()
    if not count:
        await blobs.delete(reused)
        return job
    key = files.new_key()
    await blobs.write(key, _rest(index, read, job.model))
    old = await files.find(job.input_file_id, None)
    new = await files.register(key, old.filename, "batch", store.owner)
    source = job.source
    if source is not None and source.kind is None:
        source = replace(source, key=f"{key}.table")
        await blobs.join([job.input_key], f"{key}.table")
    job = replace(job, input_file_id=new.id, input_key=key, source=source, reused=count)
    if count < total and job.order == "input":
        job = replace(job, names=names_key(key))
        await blobs.write(names_key(key), _names(read, job.model))
    if count < total:
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


async def _names(read: Read, model: str | None) -> AsyncIterator[bytes]:
    async for step in _requests(read(), model):
        yield b"".join([name_line(one.custom_id) for one in step])


async def _whole(responses: AsyncIterator[Responses]) -> AsyncIterator[bytes]:
    async for step in responses:
        yield b"".join([line for _, line in step])


async def _stored_responses(
    store: JobStore, index: ResponseIndex, jobs: Sequence[str]
) -> AsyncIterator[Responses]:
    """The responses of these jobs that are wanted, some at a time."""
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
    """A line of a job's input: its number, its bytes, its name, its request and the hash of it."""

    number: int
    data: bytes
    custom_id: str
    body: dict[str, Any]
    hash: bytes


def _lookup(one: _Request, checks: ReuseChecks) -> Lookup:
    unchecked = checks.unchecked(one.body)
    if unchecked is None:
        return Lookup(one.number, one.hash, one.custom_id)
    hashed = request_hash(unchecked.body)
    return Lookup(one.number, one.hash, one.custom_id, hashed, unchecked.schema)


async def _requests(
    chunks: AsyncIterator[bytes], model: str | None
) -> AsyncIterator[list[_Request]]:
    """The requests of a job's input, some at a time; raises `BadLine` for a wrong one."""
    step: list[_Request] = []
    async for number, _, _, data in iter_lines(chunks):
        if not data:
            continue
        read_head(data, number, model)
        line = parse_line(data, number, model)
        if line.parse_error is not None:
            raise BadLine("invalid_json_line", line.parse_error)
        hashed = request_hash(line.body)
        step.append(_Request(number, data, line.custom_id, line.body, hashed))
        if len(step) >= STEP:
            yield step
            step = []
    if step:
        yield step
