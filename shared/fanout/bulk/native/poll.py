"""Looks at a batch that runs, and ends it in time."""

from __future__ import annotations

from msgspec.structs import replace

from ...providers.native_batch import NativeBatch
from .deadline import Deadline
from .eligibility import Route
from .job import NativeJob, is_good, retry_after
from .ledger import BatchEntry
from .split import may_follow
from .submit import read_batch

SOON, LATER = 60.0, 300.0
"""Seconds between two looks in the first `NEW` seconds of a batch, and after that."""

NEW = 600.0

NEAR_THE_END = 1800.0
"""Seconds before a batch is given up from which it is looked at every `SOON` seconds again."""

CANCELLING = 15.0
"""Seconds between two looks at a batch that is to end, in its first `NEW` seconds of that."""

SETTLING = 3600.0
"""Seconds after its cancellation from which a batch is not expected to end soon."""


async def poll(
    job: NativeJob, row: BatchEntry, deadline: Deadline, *, is_ending: bool
) -> BatchEntry:
    """
    Look at the row's batch, and cancel it if it is given up, or if the job `is_ending`.

    No response, a 404 or an unknown state says nothing: the batch runs on.
    """
    route = job.route(row)
    if route is None:
        return await job.ledger.write(replace(row, next_at=job.now() + SOON))
    response = await job.ask(route, route.batches.poll(row.id or ""))
    batch = read_batch(route, response) if response and is_good(response) else None
    if batch is not None and batch.is_over:
        return await job.ledger.write(_ended(row, batch, job.now()))
    now, limits = job.now(), route.batches.limits
    has_time = may_follow(row, route, row.count)
    give_up_at = deadline.end_at(row.opened_at or now, limits, may_follow=has_time)
    if (is_ending or now >= give_up_at) and row.cancelled_at is None:
        row = await _cancel(job, row, route)
    asked_for = 0.0 if response is None else retry_after(response)
    if row.state == "cancelling":
        give_up_at = max(give_up_at, deadline.hedge_at)
    pause = _pause(row, now, give_up_at, asked_for)
    if not row.hedged and now < deadline.hedge_at:
        pause = min(pause, max(1.0, deadline.hedge_at - now))
    row = replace(row, next_at=now + pause, give_up_at=give_up_at)
    return await job.ledger.write(row)


def _ended(row: BatchEntry, batch: NativeBatch, now: float) -> BatchEntry:
    return replace(
        row,
        state="ended",
        ended_as=batch.state,
        ended_at=now,
        outputs=batch.outputs,
        fault=batch.fault,
        next_at=now,
    )


async def _cancel(job: NativeJob, row: BatchEntry, route: Route) -> BatchEntry:
    """The row after its batch was asked to end; it is asked again if there was no response."""
    response = await job.ask(route, route.batches.cancel(row.id or ""))
    is_asked = response is not None and response.status < 500 and response.status != 429  # noqa: PLR2004
    return replace(row, state="cancelling", cancelled_at=job.now() if is_asked else None)


def _pause(row: BatchEntry, now: float, give_up_at: float, asked_for: float) -> float:
    """Seconds until the next look; `asked_for` are those that the provider asks for."""
    left, settling = give_up_at - now, now - (row.cancelled_at or now)
    if row.state == "cancelling" and (settling < SETTLING or left < NEAR_THE_END):
        return max(CANCELLING if settling < NEW else SOON, asked_for)
    is_new = now - (row.opened_at or now) < NEW
    pause = max(SOON if is_new or left < NEAR_THE_END else LATER, asked_for)
    return max(1.0, min(pause, left)) if left > 0 else SOON
