"""
The finisher: every shard's results to one output file and one error file, with exact counts.

Shards that are complete are joined unread. Of the others it reads what is stored, and writes an
error line for each line that never ran.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterable, AsyncIterator, Callable

from msgspec import Struct

from ..input import lines
from ..input.planner import Shard, iter_lines
from ..store import BlobStore, JobProgress, ResultKeys, ResultStore
from ..totals import Totals, count_failure
from .stored_results import count_stored


class SkipReason(Struct, frozen=True):
    """What is said of a line that never ran: `batch_expired` or `batch_cancelled`, and why."""

    code: str
    message: str


class Finishing(Struct, frozen=True):
    """What the finisher works on; `extra` are keys whose bytes go before the output."""

    input_key: str
    output_key: str
    errors_key: str
    scratch: str
    default_model: str | None = None
    unrun: SkipReason | None = None
    extra: tuple[str, ...] = ()


class Finished(Struct, frozen=True):
    """The sizes of the two files, and what the job came to."""

    output: int
    errors: int
    totals: Totals


async def finish(
    job: Finishing,
    shards: AsyncIterable[Shard],
    blobs: BlobStore,
    shelves: ResultStore,
    ledger: JobProgress,
    cost: Callable[[object], float],
) -> Finished:
    """Join everything; may be done again after a crash, with the same result."""
    total = Totals()
    answers, failures = list(job.extra), list[str]()
    async for shard in shards:
        parts = await shelves.keys(shard.index)
        totals = await ledger.completed_totals(shard.index)
        if totals is None:
            totals, more = await _incomplete(job, shard, blobs, shelves, cost)
            parts = await shelves.keys(shard.index)
            parts = ResultKeys(parts.answers, [*parts.failures, *more])
        total.add(totals)
        answers += parts.answers
        failures += parts.failures
    output = await blobs.join(answers, job.output_key) if answers else 0
    errors = await blobs.join(failures, job.errors_key) if failures else 0
    return Finished(output, errors, total)


async def _incomplete(
    job: Finishing,
    shard: Shard,
    blobs: BlobStore,
    shelves: ResultStore,
    cost: Callable[[object], float],
) -> tuple[Totals, list[str]]:
    """What a shard came to, and the key of the error lines for those that never ran."""
    shelf = await shelves.open(shard.index)
    names, totals = await count_stored(shelf, cost)
    await shelf.close()
    if totals.lines >= shard.lines or job.unrun is None:
        return totals, []
    key = f"{job.scratch}/unrun/{shard.index:06d}.jsonl"
    await blobs.write(key, _unrun(job, job.unrun, shard, blobs, names, totals))
    return totals, [key]


async def _unrun(
    job: Finishing,
    unrun: SkipReason,
    shard: Shard,
    blobs: BlobStore,
    names: set[str],
    totals: Totals,
) -> AsyncIterator[bytes]:
    """The error lines of those that never ran, each counted in the totals."""
    source = blobs.read(job.input_key, shard.start, shard.end)
    async for number, _, _, data in iter_lines(source, shard.start, shard.first):
        if not data:
            continue
        name = lines.read_line(data, number, job.default_model).custom_id
        if name not in names:
            totals.add(count_failure(unrun.code, name, number, unrun.message))
            request_id = f"req_{random.getrandbits(64):016x}"
            yield lines.not_run(name, request_id, unrun.code, unrun.message)
