"""What becomes of a batch that failed as a whole: one wrong line fails all others with it."""

from __future__ import annotations

from msgspec.structs import replace

from .job import NativeJob
from .ledger import NativeRow
from .numbers import pack
from .planned import batch_key

FULL_QUEUES = frozenset({"token_limit_exceeded"})
"""Codes of a batch for which the provider had no room: it is created again later."""

PAUSE = 600.0
"""Seconds until a batch is created again that the provider had no room for."""

MAX_ATTEMPTS = 2
"""Batches that a line is part of, if the first one failed as a whole."""

SECOND_ATTEMPT = 500_000
"""What is added to a row's number for that of its lines' second batch."""


async def split(job: NativeJob, row: NativeRow) -> NativeRow:
    """
    Send the wrong line in real time, and the others in one more batch.

    If no line is named, or it was the second batch, all are sent in real time.
    """
    fault, now = row.fault, job.now()
    if fault is not None and fault.code in FULL_QUEUES:
        key = batch_key(job.id, row.number, row.lines, salt=f"{row.key}/{now}")
        again = NativeRow(
            row.number,
            key,
            row.deployment,
            row.model,
            row.lines,
            row.count,
            row.estimate,
            next_at=now + PAUSE,
            attempt=row.attempt,
            fault=fault,
            expires_at=row.expires_at,
        )
        return await job.ledger.write(again)
    numbers = row.numbers
    wrong = None if fault is None else fault.line
    is_named = wrong is not None and 0 < wrong <= len(numbers) and len(numbers) > 1
    if wrong is None or not is_named or row.attempt >= MAX_ATTEMPTS:
        return await job.give_back(row)
    rest = pack(numbers[: wrong - 1] + numbers[wrong:])
    number = row.number + SECOND_ATTEMPT
    await job.ledger.add(
        NativeRow(
            number,
            batch_key(job.id, number, rest),
            row.deployment,
            row.model,
            rest,
            row.count - 1,
            row.estimate,
            next_at=now,
            attempt=row.attempt + 1,
            expires_at=row.expires_at,
        )
    )
    only = replace(row, lines=str(numbers[wrong - 1]), count=1, estimate=0)
    return await job.give_back(only)
