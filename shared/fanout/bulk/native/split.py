"""
The batches that follow one: with the lines that it has not answered, or of one that failed.

They are a tree of up to three levels below a row of the plan, so no line is in more than three
batches, and a step that is made again adds the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from .eligibility import Route
from .job import NativeJob
from .ledger import BatchEntry
from .numbers import pack
from .planned import LEAST_SAVING, batch_key

FULL_QUEUES = frozenset({"token_limit_exceeded"})
"""Codes of a batch for which the provider had no room: it is created again later."""

PAUSE = 600.0
"""Seconds until a batch is created again that the provider had no room for."""

LEVEL = 100_000
"""A row's number is that of the plan's row, and so many for each place in the tree above it."""

LAST = 7
"""Places of a tree: a row, the two that may follow it, and the four that may follow these."""


def _following(number: int) -> tuple[int, int] | None:
    """The numbers of the two rows that may follow one; `None` after the last level."""
    place, base = number // LEVEL + 1, number % LEVEL
    if 2 * place + 1 > LAST:
        return None
    return (2 * place - 1) * LEVEL + base, 2 * place * LEVEL + base


def may_follow(row: BatchEntry, route: Route | None, count: int) -> bool:
    """Whether so many of the row's lines may be in a further batch, if there is time."""
    if route is None or row.hedged or _following(row.number) is None:
        return False
    saving = row.estimate * count / row.count * (1 - route.batches.price_factor)
    return count >= route.batches.limits.least and saving >= LEAST_SAVING


async def send_again(
    job: NativeJob, row: BatchEntry, rows: Sequence[BatchEntry], numbers: Sequence[int]
) -> bool:
    """
    Plan a batch of lines that the row's batch has not answered, as the `stored` row says.

    Returns whether it is worth it; `rows` are all of the ledger. The row is written after that, so
    none of the lines is free in between.
    """
    route = job.route(row)
    if route is None or not may_follow(row, route, len(numbers)):
        return False
    following = _followers(job, row, [numbers])
    others = [one for one in rows if one.number != row.number]
    deadline = job.deadlines([*others, row, *following])(following[0])
    if not deadline.leaves_time(job.now(), route.batches.limits):
        return False
    await job.ledger.add(following[0])
    return True


async def split(job: NativeJob, row: BatchEntry, route: Route) -> BatchEntry:
    """
    What becomes of a batch that failed as a whole: one wrong line fails all others with it.

    If a line is named, it is sent in real time, and the others are in one more batch. Else each
    half is in one; if the provider takes no batches that are so small, all are in one more. What
    fails again after that is sent in real time.
    """
    fault, now = row.fault, job.now()
    if fault is not None and fault.code in FULL_QUEUES and not row.hedged:
        key = batch_key(job.id, row.number, row.lines, salt=f"{row.key}/{now}")
        again = BatchEntry(
            row.number,
            key,
            row.deployment,
            row.model,
            row.lines,
            row.count,
            row.estimate,
            row.backlog,
            next_at=now + PAUSE,
            attempt=row.attempt,
            fault=fault,
            expires_at=row.expires_at,
        )
        return await job.ledger.write(again)
    numbers, least = row.numbers, route.batches.limits.least
    if _following(row.number) is None or row.hedged:  # hedged lines are sent in real time
        return await job.give_back(row)
    wrong = None if fault is None else fault.line
    if wrong is None or not 0 < wrong <= len(numbers):
        middle = len(numbers) // 2
        if middle < least and (least == 1 or row.attempt > 1):
            return await job.give_back(row)
        parts = [numbers] if middle < least else [numbers[:middle], numbers[middle:]]
        await _follow(job, row, parts)
        return await job.ledger.write(replace(row, state="stored"))
    rest = numbers[: wrong - 1] + numbers[wrong:]
    if len(rest) < least:
        return await job.give_back(row)
    await _follow(job, row, [rest])
    lines, backlog = str(numbers[wrong - 1]), row.backlog.scaled(1 / row.count)
    only = replace(row, lines=lines, count=1, estimate=0, backlog=backlog)
    return await job.give_back(only)


async def _follow(job: NativeJob, row: BatchEntry, parts: Sequence[Sequence[int]]) -> None:
    """Add the rows that follow, one for each part of the lines."""
    for one in _followers(job, row, parts):
        await job.ledger.add(one)


def _followers(job: NativeJob, row: BatchEntry, parts: Sequence[Sequence[int]]) -> list[BatchEntry]:
    found: list[BatchEntry] = []
    for number, part in zip(_following(row.number) or (), parts, strict=False):
        lines = pack(part)
        found.append(
            BatchEntry(
                number,
                batch_key(job.id, number, lines),
                row.deployment,
                row.model,
                lines,
                len(part),
                row.estimate * len(part) // row.count,
                row.backlog.scaled(len(part) / row.count),
                next_at=job.now(),
                attempt=row.attempt + 1,
                expires_at=row.expires_at,
            )
        )
    return found
