"""
Creates a native batch exactly once: the intent is in the ledger before the request is sent.

If no response says whether the batch exists, it is looked for in the provider's list
(`reconcile.py`) before another one may be created.
"""

from __future__ import annotations

from msgspec.structs import replace

from ...disk.threads import in_thread
from ...errors import FanoutError
from ...providers.base import BadWire
from ...providers.native_batch import NativeBatch, NativeLine
from ...wire.http import WireResponse
from .eligibility import Candidate, Route
from .job import NativeJob, is_good, retry_after
from .ledger import BatchEntry

FIRST_POLL = 60.0
"""Seconds after its creation when a batch is first looked at."""

FIRST_SEARCH = 30.0
"""Seconds after a creation without a response when the batch is first looked for."""

BUSY = 300.0
"""Seconds until a batch is created that the provider had no room for."""

MAX_SOURCE = 1_000
"""Characters of an input's name; longer ones are the data itself, which no row keeps."""

UNCLEAR = frozenset({408, 409, 425})
"""Statuses below 500 that do not say that nothing was created."""

TOO_MANY = 429

UPLOAD_STEPS = 10
"""Requests of one upload at most."""


async def submit(job: NativeJob, row: BatchEntry) -> BatchEntry:
    """Upload the lines of a planned row, and create its batch."""
    route = job.route(row)
    requests = None if route is None else await _requests(job, row, route)
    if route is None or requests is None:
        return await job.give_back(row)
    if (stop := job.reserve(row.estimate)) is not None:
        is_over_cap = stop in {"wait", "capped"}
        return await (job.give_back(row) if is_over_cap else job.later(row, None))
    try:
        source = await _upload(job, row, route, await in_thread(route.batches.data, requests))
    except BadWire:
        source = None
    if not isinstance(source, str):
        job.release(row.estimate)
        is_final = source is not None and _is_refusal(source.status)
        return await (job.give_back(row) if is_final else job.later(row, source))
    name = source if len(source) <= MAX_SOURCE else None
    row = replace(row, state="sent", sent_at=job.now(), source=name, searches=0)
    row = await job.ledger.write(row)
    response = await job.ask(route, route.batches.create(row.key, source))
    return await _created(job, row, route, response)


async def _requests(job: NativeJob, row: BatchEntry, route: Route) -> list[NativeLine] | None:
    """The row's lines as requests; `None` if a line may not go by this route any more."""
    found: list[NativeLine] = []
    async for one in job.lines.read(row.numbers):
        line_id = job.line_id(one.number)
        candidate = job.eligibility.check(one.line, line_id)
        if not isinstance(candidate, Candidate) or candidate.route is not route:
            return None
        found.append(NativeLine(line_id, candidate.request))
    return found if len(found) == row.count else None


async def _upload(
    job: NativeJob, row: BatchEntry, route: Route, data: bytes
) -> str | WireResponse | None:
    """The input for the creation, or the response that ended the upload, if there was one."""
    last: WireResponse | None = None
    for _ in range(UPLOAD_STEPS):
        step = route.batches.upload(row.key, data, last)
        if isinstance(step, str):
            return step
        last = await job.ask(route, step)
        if not is_good(last):
            return last
    raise BadWire("the upload does not end")


async def _created(
    job: NativeJob, row: BatchEntry, route: Route, response: WireResponse | None
) -> BatchEntry:
    """The row after the response to its creation."""
    now = job.now()
    status = 0 if response is None else route.batches.creation_status(response)
    if response is not None and is_good(response):
        if (batch := read_batch(route, response)) is not None:
            return await job.ledger.write(opened(row, batch, now))
    elif response is not None and status == TOO_MANY:
        job.release(row.estimate)
        pause = max(BUSY, retry_after(response))
        return await job.ledger.write(
            replace(row, state="planned", sent_at=None, next_at=now + pause)
        )
    elif _is_refusal(status):
        job.release(row.estimate)
        return await job.give_back(row)
    return await job.ledger.write(replace(row, state="lost", next_at=now + FIRST_SEARCH))


def opened(row: BatchEntry, batch: NativeBatch, now: float) -> BatchEntry:
    """The row of a batch that exists."""
    return replace(
        row,
        state="open",
        id=batch.id,
        opened_at=now,
        candidates=(),
        foreign=(),
        next_at=now + FIRST_POLL,
    )


def read_batch(route: Route, response: WireResponse) -> NativeBatch | None:
    """The batch in a response; `None` if it cannot be read."""
    try:
        return route.batches.read(response)
    except (BadWire, FanoutError):
        return None


def _is_refusal(status: int) -> bool:
    """Whether the same request would be refused again, and nothing was created."""
    return 400 <= status < 500 and status not in UNCLEAR and status != TOO_MANY  # noqa: PLR2004
