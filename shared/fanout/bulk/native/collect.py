"""
Turns a native batch that is over into result lines of the job, whatever state it ended in.

Its files are stored as they came before anything is made of them. Each line has at most one result:
a response, or an error that would come again. What has none goes by another batch if there is time,
else by another lane.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import ceil
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
from .poll import NEAR_THE_END
from .reconcile import is_twice
from .result_parts import ResultParts, folder_of
from .results import NotFetched, StoredFiles, store_files, stored_rows
from .split import send_again, split

FETCH_TIME = 600.0
"""Seconds after its end for which the files of a batch are asked for if the job is over."""

BACK_OFF, MOST_PAUSE = 0.25, 1800.0
"""
The pause before files are asked for again: this part of the time since the batch's end, and no more
seconds than that.
"""

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

    `repeated` counts the rows of a line after the first, `orphans` what is no row of a line. If it
    `is_cut`, a file is missing, or what comes after a part of it. The batch `is_twice` at the
    provider, if a creation without a response was seen too late.
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

    `rows` are all of the ledger, `deadline` is this one's. The files are asked for until its lines
    have to be sent in real time. Then the whole rows of what has arrived count. Unless the job
    `is_ending`, what rows do not answer may go by another batch, but not if files are missing.
    """
    route, parts = job.route(row), ResultParts(job.blobs, job.folder, row.number)
    if route is None:
        found = _Found(has_files=False, lines=await _lines_of(job, row), is_cut=True)
    else:
        files = await store_files(job, route, _batch(row), folder_of(job.folder, row.number))
        found = await _read(job, row, route, files, parts)
    if found.is_cut and _may_retry(job, row, deadline, is_ending=is_ending):
        return await job.ledger.write(_later(row, deadline, job.now(), is_ending=is_ending))
    # a file may be cut between two rows
    is_short = row.ended_as == "completed" and len(found.seen) < row.count
    if is_short and not found.is_cut and row.fetches < FETCHES:
        again = replace(row, fetches=row.fetches + 1, next_at=job.now() + RETRY)
        return await job.ledger.write(again)
    if route is None:
        return await _store(job, row, rows, route, found, parts, is_ending=is_ending)
    if row.ended_as == "failed" and not found.seen and not found.is_cut and not is_ending:
        job.release(row.estimate)
        return await split(job, row, route)
    found.is_twice = await is_twice(job, row, route)
    return await _store(job, row, rows, route, found, parts, is_ending=is_ending)


def _batch(row: BatchEntry) -> NativeBatch:
    return NativeBatch(
        row.id or "", row.ended_as or "unknown", outputs=row.outputs, fault=row.fault
    )


def _may_retry(job: NativeJob, row: BatchEntry, deadline: Deadline, *, is_ending: bool) -> bool:
    """Whether there is time to fetch the files again."""
    now = job.now()
    if is_ending and now - (row.ended_at or now) > FETCH_TIME:
        return False
    return now < deadline.hedge_at


def _later(row: BatchEntry, deadline: Deadline, now: float, *, is_ending: bool) -> BatchEntry:
    """The row, whose files are asked for again, at the latest when its lines are needed."""
    left = deadline.hedge_at - now
    waited = now - (row.ended_at or now)
    is_urgent = is_ending or left < NEAR_THE_END
    pause = RETRY if is_urgent else min(max(RETRY, waited * BACK_OFF), MOST_PAUSE)
    return replace(row, next_at=now + max(1.0, min(pause, left)), give_up_at=deadline.hedge_at)


async def _read(
    job: NativeJob, row: BatchEntry, route: Route, files: StoredFiles, parts: ResultParts
) -> _Found:
    """Read the stored files, and write the lines' results."""
    found = _Found(bool(files.keys), await _lines_of(job, row), is_cut=files.is_cut)
    for key in files.keys:
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
    route: Route | None,
    found: _Found,
    parts: ResultParts,
    *,
    is_ending: bool,
) -> BatchEntry:
    """Plan another batch of what has no result, and write the row."""
    without = [number for number in found.lines if number not in found.seen]
    again = sorted([*without, *(number for number, passes in found.open.items() if passes)])
    if found.is_cut:
        again = []  # what another batch has could not be fetched either
    missing = len(without) + len(found.open)
    unclear = _unclear(row, route, found, without)
    stored = replace(
        row,
        state="stored",
        shards=tuple(sorted(parts.counts)),
        parts={shard: count for shard, count in parts.counts.items() if count > 1},
        succeeded=found.succeeded,
        failed=found.failed,
        missing=missing - len(again),
        unclear=pack(unclear),
        charged=_charged(row, route, len(unclear)),
        repeated=found.repeated,
        orphans=found.orphans,
    )
    job.release(row.estimate)
    job.charge(stored.charged)
    if is_ending or not again or not await send_again(job, stored, rows, again):
        stored = replace(stored, missing=missing)
    return await job.ledger.write(stored)


def _unclear(
    row: BatchEntry, route: Route | None, found: _Found, without: Sequence[int]
) -> Sequence[int]:
    """The lines that may be paid twice: another batch has them, too, or they may have run."""
    if found.is_twice:
        return row.numbers
    if found.is_cut or found.has_files or route is None:
        return without
    return () if row.ended_as in route.batches.limits.unrun else without


def _charged(row: BatchEntry, route: Route | None, lines: int) -> int:
    """What so many of the row's lines may have cost in its batch, in nanodollars."""
    factor = 1.0 if route is None else route.batches.price_factor
    return ceil(row.estimate * factor * lines / row.count)


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
