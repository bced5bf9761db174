"""
Finds the batch of a creation without a response, so that none is created twice.

A batch is found by its label or by its input. Where the creation is known by a token, it may be
repeated if that finds nothing. Where a list shows neither, every batch may be it
that was created since and belongs to no row; then its results' ids tell, once it has ended. Batches
that may belong to somebody else are never cancelled.
"""

from __future__ import annotations

from contextlib import aclosing

from msgspec.structs import replace

from ...providers.base import BadWire
from ...providers.native_batch import NativeBatch, Page
from ...wire import json
from .eligibility import Route
from .job import NativeJob, is_good
from .ledger import BatchEntry
from .results import NotFetched, ids_of
from .submit import opened, read_batch

SEARCHES = 2
"""Times that a batch is looked for and not found before it is created again."""

BETWEEN_SEARCHES = 60.0

MAX_PAGES = 50

CLOCK_ERROR = 600.0
"""Seconds by which a provider's clock may be behind ours."""

PARKED = 300.0
"""Seconds between two looks at the batches of which one may be the row's."""


async def search(job: NativeJob, row: BatchEntry, known: frozenset[str]) -> BatchEntry:
    """Look for the batch of a lost row; `known` are the ids that belong to rows."""
    now, route = job.now(), job.route(row)
    found = None if route is None else await _listed(job, row, route)
    is_repeatable = route is not None and route.batches.found_by == "token"
    if route is None or (found is None and not is_repeatable):
        return await job.later(row, None)
    others = [one for one in found or () if one.id not in known and one.id not in row.foreign]
    if route.batches.found_by == "none":
        ids = tuple(one.id for one in others)
        next_row = replace(row, state="parked", candidates=ids, next_at=now + PARKED)
        is_found = bool(ids)
    else:
        own = next((one for one in others if _is_its(row, one)), None)
        next_row = row if own is None else opened(row, own, now)
        is_found = own is not None
    if not is_found:  # a second creation with the same token is ignored
        next_row = _planned_again(job, row) if is_repeatable else _not_found(job, row)
    return await job.ledger.write(next_row)


def _not_found(job: NativeJob, row: BatchEntry) -> BatchEntry:
    """The row after a list without its batch: it is created again after the second one."""
    searches = row.searches + 1
    if searches < SEARCHES:
        return replace(row, searches=searches, next_at=job.now() + BETWEEN_SEARCHES)
    return _planned_again(job, row)


def _planned_again(job: NativeJob, row: BatchEntry) -> BatchEntry:
    """The row before another creation, which reserves what the batch may cost again."""
    job.release(row.estimate)
    first = row.first_sent_at or row.sent_at
    return replace(
        row, state="planned", searches=0, sent_at=None, next_at=job.now(), first_sent_at=first
    )


async def is_twice(job: NativeJob, row: BatchEntry, route: Route) -> bool:
    """
    Whether a batch that was created twice is in the list twice, so that both are billed.

    Where a list does not tell, so does one that no row has and that has lines of the row. One that
    still runs may have them.
    """
    if row.first_sent_at is None:
        return False
    found = await _listed(job, replace(row, sent_at=row.first_sent_at), route)
    others = [one for one in found or () if one.id != row.id]
    if route.batches.found_by != "none":
        return any(_is_its(row, one) for one in others)
    known = {*await job.ledger.known_ids(), *row.foreign}
    for one in others:
        if one.id not in known and await _may_have_lines_of(job, row, route, one):
            return True
    return False


async def _may_have_lines_of(
    job: NativeJob, row: BatchEntry, route: Route, batch: NativeBatch
) -> bool:
    try:
        return not batch.is_over or await _has_lines_of(job, row, route, batch)
    except NotFetched:
        return True


def _is_its(row: BatchEntry, batch: NativeBatch) -> bool:
    has_key = batch.key is not None and batch.key == row.key
    return has_key or (row.source is not None and batch.input == row.source)


async def _listed(job: NativeJob, row: BatchEntry, route: Route) -> list[NativeBatch] | None:
    """The account's batches since the creation was sent; `None` if they cannot be listed."""
    since = (row.sent_at or 0.0) - CLOCK_ERROR
    found: list[NativeBatch] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        response = await job.ask(route, route.batches.list(row.key, cursor))
        if response is None or not is_good(response):
            return None
        try:
            page: Page = route.batches.read_page(response)
        except (BadWire, *json.NOT_JSON):
            return None
        found += [one for one in page.batches if one.created_at is None or one.created_at >= since]
        times = [one.created_at for one in page.batches if one.created_at is not None]
        cursor = page.more
        if cursor is None or (times and max(times) < since):
            return found
    return found


async def look_at_candidates(job: NativeJob, row: BatchEntry) -> BatchEntry:
    """Look at the batches of which one may be the row's: it is the one that has its lines."""
    route, now = job.route(row), job.now()
    if route is None:
        return await job.later(row, None)
    left: list[str] = []
    for candidate in row.candidates:
        response = await job.ask(route, route.batches.poll(candidate))
        batch = read_batch(route, response) if response and is_good(response) else None
        if batch is None or not batch.is_over:
            left.append(candidate)
            continue
        try:
            is_own = await _has_lines_of(job, row, route, batch)
        except NotFetched:
            left.append(candidate)
            continue
        if is_own:
            return await job.ledger.write(replace(opened(row, batch, now), next_at=now))
    others = tuple(one for one in row.candidates if one not in left)
    row = replace(row, candidates=tuple(left), foreign=(*row.foreign, *others))
    if left:
        return await job.ledger.write(replace(row, next_at=now + PARKED))
    # the list that they are from may have been read before the row's own batch was in it
    return await job.ledger.write(replace(row, state="lost", searches=0, next_at=now))


async def _has_lines_of(job: NativeJob, row: BatchEntry, route: Route, batch: NativeBatch) -> bool:
    """Whether a batch that is over has lines of the row; the first row of a file tells."""
    numbers = frozenset(row.numbers)
    async with aclosing(ids_of(job, route, batch)) as ids:
        async for one in ids:
            if job.number_of(one) in numbers:
                return True
    return False
