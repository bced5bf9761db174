"""
Turns a native batch that is over into result lines of the job, whatever state it ended in.

Its files are stored as they came before anything is made of them. Each line has at most one result:
a response, or an error that would come again. What has none goes by another batch if there is time,
else by another lane.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ...errors import ErrorDetail, Rejected
from ...providers.native_batch import NativeBatch, Row
from ...telemetry.prices import BATCH
from ..input.estimates import models_of
from ..work.result_lines import error_line, response_line
from .deadline import Deadline
from .eligibility import Route
from .job import RETRY, NativeJob
from .ledger import BatchEntry
from .numbers import pack
from .reconcile import is_twice
from .result_parts import ResultParts, folder_of
from .results import NotFetched, store_files, stored_rows
from .split import send_again, split

FETCH_TIME = 3600.0
"""Seconds for which the files of a batch are asked for; then its lines are sent again."""

FETCHES = 2
"""Times that the files of a batch that ended well are fetched again because lines are missing."""

PASSING = frozenset({408, 429})
"""Statuses below 500 of failures that pass. Others are of the key or the model."""

NOT_FOUND = 404
"""A status that may be the batch API's own: it does not have each model that calls have."""


class _Line(Struct, frozen=True):
    """What a line's result needs of it."""

    custom_id: str
    model: str
    shard: int


class _Found(Struct):
    """
    What the files say: the numbers of lines that have a row, and of those the ones without a
    result, with whether another batch may answer them.

    `repeated` counts the rows of a line after the first, `orphans` what is no row of a line. A file
    that `is_cut` ends in the middle of a row. The batch `is_twice` at the provider, if a creation
    without a response was seen too late.
    """

    has_files: bool
    lines: dict[int, _Line]
    seen: set[int] = field(default_factory=set)
    open: dict[int, bool] = field(default_factory=dict)
    succeeded: int = 0
    failed: int = 0
    repeated: int = 0
    orphans: int = 0
    is_cut: bool = False
    is_twice: bool = False


async def collect(
    job: NativeJob,
    row: BatchEntry,
    rows: Sequence[BatchEntry],
    deadline: Deadline,
    *,
    is_ending: bool = False,
) -> BatchEntry:
    """
    Fetch the rows of a batch that has ended, and store what they say of its lines.

    `rows` are all of the ledger, `deadline` is this one's.
    A file that stays cut gives its whole rows. Unless the job `is_ending`, what they do not answer
    may go by another batch.
    """
    route = job.route(row)
    if route is None:
        return await _unfetched(job, row, rows, deadline, is_ending=is_ending)
    parts = ResultParts(job.blobs, job.folder, row.number)
    try:
        folder = folder_of(job.folder, row.number)
        files = await store_files(job, route, _batch(row), folder)
        found = await _read(job, row, route, files, parts)
    except NotFetched:
        return await _unfetched(job, row, rows, deadline, is_ending=is_ending)
    may_retry = _may_retry(job, row, deadline)
    if found.is_cut and may_retry:
        return await job.later(row, None)
    # a file may be cut between two rows
    is_short = row.ended_as == "completed" and len(found.seen) < row.count
    if is_short and not found.is_cut and row.fetches < FETCHES:
        again = replace(row, fetches=row.fetches + 1, next_at=job.now() + RETRY)
        return await job.ledger.write(again)
    job.release(row.estimate)
    if row.ended_as == "failed" and not found.seen and not is_ending:
        return await split(job, row, route)
    found.is_twice = await is_twice(job, row, route)
    return await _store(job, row, rows, route, found, parts, is_ending=is_ending)


def _batch(row: BatchEntry) -> NativeBatch:
    return NativeBatch(
        row.id or "", row.ended_as or "unknown", outputs=row.outputs, fault=row.fault
    )


def _may_retry(job: NativeJob, row: BatchEntry, deadline: Deadline) -> bool:
    """Whether there is time to fetch the files again."""
    now = job.now()
    return now - (row.ended_at or now) <= FETCH_TIME and now < deadline.hedge_at


async def _unfetched(
    job: NativeJob,
    row: BatchEntry,
    rows: Sequence[BatchEntry],
    deadline: Deadline,
    *,
    is_ending: bool,
) -> BatchEntry:
    """Ask again later; at the end, send lines again that may be billed already."""
    if _may_retry(job, row, deadline):
        return await job.later(row, None)
    job.release(row.estimate)
    stored = replace(row, state="stored", unclear=row.lines)
    if not is_ending:
        await send_again(job, stored, rows, row.numbers)
    return await job.ledger.write(replace(stored, hedged=True, missing=row.count))


async def _read(
    job: NativeJob, row: BatchEntry, route: Route, files: Sequence[str], parts: ResultParts
) -> _Found:
    """Read the stored files, and write the lines' results."""
    found = _Found(bool(files), await _lines_of(job, row))
    for key in files:
        try:
            async for one in stored_rows(job, route, key):
                await _take(job, row, route, found, one, parts)
        except NotFetched:
            found.is_cut = True
    await parts.flush()
    return found


async def _take(
    job: NativeJob,
    row: BatchEntry,
    route: Route,
    found: _Found,
    one: Row | None,
    parts: ResultParts,
) -> None:
    """Count a row of the files, and write the result of its line."""
    number = None if one is None else job.number_of(one.id)
    line = None if number is None else found.lines.get(number)
    if one is None or number is None or line is None:
        found.orphans += 1
    elif number in found.seen:
        found.repeated += 1
    else:
        found.seen.add(number)
        data = _result_line(job, row, route, line, one)
        if data is None:
            found.open[number] = _is_passing(one)
            return
        found.succeeded += one.kind == "ok"
        found.failed += one.kind != "ok"
        await parts.add(line.shard, data)


async def _lines_of(job: NativeJob, row: BatchEntry) -> dict[int, _Line]:
    return {
        one.number: _Line(one.line.custom_id, models_of(one.line)[0], one.shard)
        async for one in job.lines.read(row.numbers)
    }


async def _store(
    job: NativeJob,
    row: BatchEntry,
    rows: Sequence[BatchEntry],
    route: Route,
    found: _Found,
    parts: ResultParts,
    *,
    is_ending: bool,
) -> BatchEntry:
    """Plan another batch of what has no result, and write the row."""
    without = [number for number in found.lines if number not in found.seen]
    again = sorted([*without, *(number for number, passes in found.open.items() if passes)])
    missing = len(without) + len(found.open)
    stored = replace(
        row,
        state="stored",
        shards=tuple(sorted(parts.counts)),
        parts={shard: count for shard, count in parts.counts.items() if count > 1},
        succeeded=found.succeeded,
        failed=found.failed,
        missing=missing - len(again),
        unclear=_unclear(row, route, found, without),
        repeated=found.repeated,
        orphans=found.orphans,
    )
    if is_ending or not await send_again(job, stored, rows, again):
        stored = replace(stored, missing=missing)
    return await job.ledger.write(stored)


def _unclear(row: BatchEntry, route: Route, found: _Found, without: Sequence[int]) -> str:
    """The lines that may be paid twice: another batch has them, too, or they may have run."""
    if found.is_twice:
        return row.lines
    return pack(without) if _may_be_billed(row, route, found) else ""


def _may_be_billed(row: BatchEntry, route: Route, found: _Found) -> bool:
    """Whether lines without a row may have run, so that sending them again may pay them twice."""
    limits = route.batches.limits
    return found.is_cut or row.ended_as not in (
        limits.whole if found.has_files else limits.whole | limits.unrun
    )


def _result_line(
    job: NativeJob, row: BatchEntry, route: Route, line: _Line, result: Row
) -> bytes | None:
    """The result line of a row; `None` if the line is to be sent again."""
    digest = hashlib.sha256(f"{row.id}/{result.id}".encode()).hexdigest()[:16]
    request_id = f"req_{digest}"
    if result.kind == "ok" and result.completion is not None:
        body: dict[str, Any] = {**result.completion}
        body["id"] = body.get("id") or f"chatcmpl-{digest}"
        body["created"] = body.get("created") or int(job.now())
        body |= {"object": "chat.completion", "model": line.model, "service_tier": BATCH}
        return response_line(line.custom_id, request_id, body)
    if result.kind != "failed" or result.may_succeed or result.status == NOT_FOUND:
        return None
    detail = result.error or ErrorDetail(f"HTTP {result.status}")
    error = Rejected(route.deployment, detail, upstream=result.status)
    return error_line(line.custom_id, request_id, error)[0]


def _is_passing(result: Row) -> bool:
    """Whether another batch may answer a line to which this row is no answer."""
    if result.kind != "failed":
        return True
    return result.may_succeed and (result.status in PASSING or result.status >= 500)  # noqa: PLR2004
