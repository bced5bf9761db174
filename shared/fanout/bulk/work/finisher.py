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
from ..input.planner import Shard, each_line
from ..store import Blobs, JobProgress, Parts, ResultStore
from ..totals import Totals, count_failure
from .stored_results import count_stored


class Unrun(Struct, frozen=True):
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
    unrun: Unrun | None = None
    extra: tuple[str, ...] = ()


class Finished(Struct, frozen=True):
    """The sizes of the two files, and what the job came to."""

    output: int
    errors: int
    tally: Totals


async def finish(
    job: Finishing,
    shards: AsyncIterable[Shard],
    blobs: Blobs,
    shelves: ResultStore,
    ledger: JobProgress,
    cost: Callable[[object], float],
) -> Finished:
    """Join everything; may be done again after a crash, with the same result."""
    total = Totals()
    answers, failures = list(job.extra), list[str]()
    async for shard in shards:
        parts = await shelves.parts(shard.index)
        tally = await ledger.completed(shard.index)
        if tally is None:
            tally, more = await _incomplete(job, shard, blobs, shelves, cost)
            parts = await shelves.parts(shard.index)
            parts = Parts(parts.answers, [*parts.failures, *more])
        total.add(tally)
        answers += parts.answers
        failures += parts.failures
    output = await blobs.join(answers, job.output_key) if answers else 0
    errors = await blobs.join(failures, job.errors_key) if failures else 0
    return Finished(output, errors, total)


async def _incomplete(
    job: Finishing,
    shard: Shard,
    blobs: Blobs,
    shelves: ResultStore,
    cost: Callable[[object], float],
) -> tuple[Totals, list[str]]:
    """What a shard came to, and the key of the error lines for those that never ran."""
    shelf = await shelves.open(shard.index)
    names, tally = await count_stored(shelf, cost)
    await shelf.close()
    if tally.lines >= shard.lines or job.unrun is None:
        return tally, []
    key = f"{job.scratch}/unrun/{shard.index:06d}.jsonl"
    await blobs.write(key, _unrun(job, job.unrun, shard, blobs, names, tally))
    return tally, [key]


async def _unrun(
    job: Finishing, unrun: Unrun, shard: Shard, blobs: Blobs, names: set[str], tally: Totals
) -> AsyncIterator[bytes]:
    """The error lines of those that never ran, each counted in the tally."""
    source = blobs.read(job.input_key, shard.start, shard.end)
    async for number, _, _, data in each_line(source, shard.start, shard.first):
        if not data:
            continue
        name = lines.read_line(data, number, job.default_model).custom_id
        if name not in names:
            tally.add(count_failure(unrun.code, name, number, unrun.message))
            request_id = f"req_{random.getrandbits(64):016x}"
            yield lines.not_run(name, request_id, unrun.code, unrun.message)
