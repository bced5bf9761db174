"""
Turns a native batch that is over into result lines of the job, whatever state it ended in.

Its files are stored as they came before anything is made of them. Each line has at most one result:
a response, or an error that would come again. What has none is sent by another lane.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec.structs import replace

from ...errors import ErrorDetail, Rejected
from ...providers.native_batch import NativeBatch, Row
from ...telemetry.prices import BATCH
from ..input.estimates import models_of
from ..work.result_lines import error_line, response_line
from .eligibility import Route
from .input_lines import InputLine
from .job import RETRY, NativeJob
from .ledger import NativeRow
from .numbers import pack
from .results import Rows, fetch
from .split import split

FETCH_TIME = 3600.0
"""Seconds for which the files of a batch are asked for; then its lines are sent in real time."""

FETCHES = 2
"""Times that the files of a batch that ended well are fetched again because lines are missing."""

NOT_FOUND = 404
"""A status that may be the batch API's own: it does not have each model that calls have."""


def piece_key(job_folder: str, row: int, shard: int) -> str:
    """The key of a batch's result lines for one shard."""
    return f"{job_folder}/native/{row:06d}/{shard:06d}.jsonl"


async def harvest(job: NativeJob, row: NativeRow) -> NativeRow:
    """Fetch the rows of a batch that has ended, and store what they say of its lines."""
    route, batch = job.route(row), _batch(row)
    rows = None if route is None else await fetch(job, route, batch)
    if route is None or rows is None:
        return await _unfetched(job, row)
    if _lacks_lines(job, row, rows) and row.fetches < FETCHES:
        again = replace(row, fetches=row.fetches + 1, next_at=job.now() + RETRY)
        return await job.ledger.write(again)
    for number, data in enumerate(rows.files):
        key = f"{job.folder}/native/{row.number:06d}/raw-{number}.jsonl"
        await job.blobs.write(key, _chunks([data]))
    job.release(row.estimate)
    if batch.state == "failed" and not rows.by_id:
        return await split(job, row)
    return await _store(job, row, route, rows)


def _lacks_lines(job: NativeJob, row: NativeRow, rows: Rows) -> bool:
    """Whether a batch that ended well has no row for a line; a file may be cut between two rows."""
    return row.ended_as == "completed" and any(
        job.line_id(number) not in rows.by_id for number in row.numbers
    )


def _batch(row: NativeRow) -> NativeBatch:
    return NativeBatch(
        row.id or "", row.ended_as or "unknown", outputs=row.outputs, fault=row.fault
    )


async def _unfetched(job: NativeJob, row: NativeRow) -> NativeRow:
    """Ask again later; at the end, send lines in real time that may be billed already."""
    now = job.now()
    is_late = now - (row.ended_at or now) > FETCH_TIME or now >= job.deadline([row]).hedge_at
    if not is_late:
        return await job.later(row, None)
    job.release(row.estimate)
    return await job.ledger.write(
        replace(row, state="stored", hedged=True, missing=row.count, unclear=row.lines)
    )


async def _store(job: NativeJob, row: NativeRow, route: Route, rows: Rows) -> NativeRow:
    pieces: dict[int, list[bytes]] = {}
    found = dict(rows.by_id)
    succeeded = failed = missing = 0
    unclear: list[int] = []
    may_be_billed = rows.files and row.ended_as not in route.batches.limits.whole
    async for one in job.lines.read(row.numbers):
        result = found.pop(job.line_id(one.number), None)
        line = None if result is None else _result_line(job, row, route, one, result)
        if line is None or result is None:
            missing += 1
            if result is None and may_be_billed:  # without a file, no line has run
                unclear.append(one.number)
            continue
        succeeded += result.kind == "ok"
        failed += result.kind != "ok"
        pieces.setdefault(one.shard, []).append(line)
    for shard, lines in pieces.items():
        await job.blobs.write(piece_key(job.folder, row.number, shard), _chunks(lines))
    return await job.ledger.write(
        replace(
            row,
            state="stored",
            shards=tuple(sorted(pieces)),
            succeeded=succeeded,
            failed=failed,
            missing=missing,
            unclear=pack(unclear),
            repeated=rows.repeated,
            orphans=len(found) + rows.unreadable,
        )
    )


def _result_line(
    job: NativeJob, row: NativeRow, route: Route, one: InputLine, result: Row
) -> bytes | None:
    """The result line of a row; `None` if the line is to be sent in real time."""
    digest = hashlib.sha256(f"{row.id}/{result.id}".encode()).hexdigest()[:16]
    request_id = f"req_{digest}"
    if result.kind == "ok" and result.completion is not None:
        body: dict[str, Any] = {**result.completion}
        body["id"] = body.get("id") or f"chatcmpl-{digest}"
        body["created"] = body.get("created") or int(job.now())
        model = models_of(one.line)[0]
        body |= {"object": "chat.completion", "model": model, "service_tier": BATCH}
        return response_line(one.line.custom_id, request_id, body)
    if result.kind != "failed" or result.may_succeed or result.status == NOT_FOUND:
        return None
    detail = result.error or ErrorDetail(f"HTTP {result.status}")
    error = Rejected(route.deployment, detail, upstream=result.status)
    return error_line(one.line.custom_id, request_id, error)[0]


async def _chunks(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
