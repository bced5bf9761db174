"""Finds jobs by a part of their ids, lists and removes them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from ..bulk.local.prompt_jobs import forget_responses
from ..bulk.service.records import Job
from ..bulk.totals import Totals
from ..errors import DamagedRecord, NotFound, RequestError
from .batch_backend import BatchBackend
from .batch_progress import format_cost
from .printed_commands import list_command
from .printing import show
from .table import columns

HEADER = ("JOB", "FILE", "MODEL", "CREATED", "STATUS", "DONE", "FAILED", "COST")

PREFIX = "batch_"
SHORT = 6
"""Characters of a short id: the last ones, which are random."""

PAGE = 1_000
MAX_SHOWN = 5
"""Ids that a message names."""

STOPPED = "stopped"
"""The state of a job that no process runs; in the API it is `in_progress`."""


async def named_job(backend: BatchBackend, arguments: argparse.Namespace, given: str) -> Job:
    """The job with this id, or whose id begins or ends so; raises `NotFound`."""
    try:
        return await backend.jobs.find(given, None)
    except NotFound:
        found = [job for job in await _all_ids(backend) if _is_part(given, job)]
    if len(found) == 1:
        return await backend.jobs.find(found[0], None)
    listed = list_command(arguments)
    if not found:
        raise NotFound(f"there is no job `{given[:80]}`; `{listed}` lists them", "job")
    ids = ", ".join(f"`{one}`" for one in found[:MAX_SHOWN])
    more = ", …" if len(found) > MAX_SHOWN else ""
    raise RequestError(f"`{given}` may be {ids}{more}: give more of it", "job")


def _is_part(given: str, job_id: str) -> bool:
    rest = job_id.removeprefix(PREFIX)
    return bool(given) and (
        job_id.startswith(given) or rest.startswith(given) or rest.endswith(given)
    )


async def _all_ids(backend: BatchBackend) -> list[str]:
    found: list[str] = []
    last: str | None = None
    while rows := await backend.table.list("batch", after=last, limit=PAGE):
        found += [key for key, _ in rows]
        last = rows[-1][0]
    return found


async def show_jobs(backend: BatchBackend, jobs: Sequence[Job], totals: Sequence[Totals]) -> None:
    """Print a line for each job."""
    ids = short_ids(await _all_ids(backend))
    rows: list[tuple[str, ...]] = [HEADER]
    for job, total in zip(jobs, totals, strict=True):
        name = await _file_name(backend, job)
        head = (ids.get(job.id, job.id), name, model_of(job), short_time(job.created_at))
        lines = job.total + job.reused if job.total or job.is_over else "?"
        counts = (f"{total.done + job.reused}/{lines}", str(total.failed))
        rows.append((*head, state_of(job, total), *counts, format_cost(total)))
    show(columns(rows))


def short_time(at: float) -> str:
    """The time of day of a moment today, else the date."""
    day = time.strftime("%Y-%m-%d", time.localtime(at))
    is_today = day == time.strftime("%Y-%m-%d")
    return time.strftime("%H:%M", time.localtime(at)) if is_today else day


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """The shortest ends of the ids that are no other one's."""
    found: dict[str, str] = {}
    for length in (SHORT, 2 * SHORT):
        ends: dict[str, int] = {}
        for job_id in ids:
            ends[job_id[-length:]] = ends.get(job_id[-length:], 0) + 1
        for job_id in ids:
            if ends[job_id[-length:]] == 1:
                found.setdefault(job_id, job_id[-length:])
    return found


def state_of(job: Job, totals: Totals) -> str:
    """The job's status; `stopped` if no process runs it."""
    return STOPPED if totals.is_stopped and not job.is_over else job.status


def model_of(job: Job) -> str:
    """The job's model, or how many it has."""
    names = list(job.models) or ([job.model] if job.model else [])
    return names[0] if len(names) == 1 else f"{len(names)} models" if names else "-"


async def _file_name(backend: BatchBackend, job: Job) -> str:
    if job.source is not None:
        return job.source.name
    try:
        return (await backend.files.find(job.input_file_id, None)).filename
    except (NotFound, DamagedRecord):
        return "-"


async def remove_job(backend: BatchBackend, job: Job) -> None:
    """Delete a job that is over, or that no process runs; raises `RequestError` for another."""
    totals = await backend.jobs.totals(job)
    if not job.is_over and state_of(job, totals) != STOPPED:
        raise RequestError(f"the job `{job.id}` is {job.status}; cancel it first", "job")
    await backend.jobs.delete(job.id, None)
    await forget_responses(backend, job)
    show(f"{job.id}: removed")
