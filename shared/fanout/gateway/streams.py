"""
Streamed responses, in any mode.

Imported with the first stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import TypeVar

from ..concurrency import Deadline, failure_of, merge_streams, prepend, with_deadline
from ..errors import AllFailed
from ..schema.chat import ChatChunk, has_content
from .client_chunks import chunks_of, winner_chunks, with_model_name
from .conversation import CellRace
from .interleave import Interleave
from .report import (
    Dropped,
    Report,
    all_dropped,
    dropped_by,
    is_undecided,
    make_report,
    mode_of,
    reported_mode,
    winners_dropped,
)
from .run import GridCell, ResponseStream, Run, random_id

T = TypeVar("T")


def stream(run: Run) -> AbstractAsyncContextManager[ResponseStream]:
    """The response as a stream; the block starts when its first content is there."""
    return _stream_all(run) if run.request.combined else _stream_one(run)


@asynccontextmanager
async def _stream_one(run: Run) -> AsyncIterator[ResponseStream]:
    request, cell = run.request, run.grid()[0]
    if request.mode == "merge" and request.check is None:
        async with _merged_stream(run, cell) as merged:
            yield merged
        return
    if request.is_whole:
        yield await _whole_stream(run, cell)
        return
    started = perf_counter()
    async with _race_cell(run, cell) as (result, leg, chunks):
        mode = mode_of(request.mode, leg)

        def report() -> Report | None:
            if mode == "one":
                return None
            return make_report(mode, cell.legs, result.outcomes, started, perf_counter())

        model = leg.responding_model
        own = {"id": random_id(), "created": run.created, "model": model}
        client_chunks = winner_chunks(chunks, own, request, report)
        dropped = all_dropped([leg])
        yield ResponseStream(client_chunks, mode, model, dropped, not dropped.translated)


async def _whole_stream(run: Run, cell: GridCell) -> ResponseStream:
    """The stream of a response that is checked or decided on: it begins when that is done."""
    completion = await run.chat(cell)
    model, mode = completion["model"], reported_mode(completion, run.request.mode)
    own = {"id": random_id(), "created": run.created, "model": model}
    chunks = winner_chunks(chunks_of(completion), own, run.request, lambda: completion["fanout"])
    winner = None if is_undecided(completion) else model
    dropped = winners_dropped((*cell.legs, *cell.further), completion)
    return ResponseStream(chunks, mode, winner, dropped)


@asynccontextmanager
async def _merged_stream(run: Run, cell: GridCell) -> AsyncIterator[ResponseStream]:
    """The stream of a response that a judge makes of several."""
    late, request = run.late(), run.request
    opening = run.host.runner.merged_stream(request, cell)
    async with _opened_in_time(opening, run.deadline, late) as merged:
        own = {"id": random_id(), "created": run.created, "model": merged.model}
        timed = with_deadline(merged.chunks, run.deadline, late)
        chunks = winner_chunks(timed, own, request, merged.report)
        chosen = merged.chosen
        dropped = winners_dropped(cell.legs, chosen) if chosen else all_dropped(cell.legs)
        yield ResponseStream(chunks, request.mode, merged.model, dropped)


@asynccontextmanager
async def _stream_all(run: Run) -> AsyncIterator[ResponseStream]:
    grid = run.grid()
    openers = [partial(_stream_cell, run, cell) for cell in grid]
    models = [cell.models for cell in grid]

    def cost(index: int) -> float | None:
        return grid[index].cost

    def report(index: int) -> Report | None:
        return grid[index].report

    interleave = Interleave(
        models, run.request, random_id(), run.created, perf_counter, cost, report
    )
    async with merge_streams(openers, limit=run.limit) as items:
        chunks = interleave.chunks(items)
        head: list[ChatChunk] = []
        async for chunk in chunks:
            head.append(chunk)
            if has_content(chunk) and "error" not in chunk["choices"][0]:
                break
        if len(interleave.causes) == len(grid):
            raise AllFailed(interleave.causes)
        known_later = partial(
            all_dropped, [leg for cell in grid for leg in (*cell.legs, *cell.further)]
        )
        known = known_later()
        dropped = dropped_by([known, *_dropped_uncalled(run, grid)])
        yield ResponseStream(
            prepend(head, chunks), run.request.mode, dropped=dropped, known_later=known_later
        )


def _dropped_uncalled(run: Run, grid: Sequence[GridCell]) -> Iterator[Dropped]:
    """What the models that wait for their turn will not get, or will get in another form."""
    for cell in grid:
        if any(leg.deployment is not None for leg in cell.legs):
            continue
        is_race = run.request.stagger is not None
        for leg in cell.legs if is_race else cell.legs[:1]:
            for wire in run.host.runner.stream_requests(leg, cell.request):
                yield Dropped(wire.dropped, not wire.original)


@asynccontextmanager
async def _stream_cell(
    run: Run, cell: GridCell
) -> AsyncIterator[AsyncIterator[tuple[str, ChatChunk]]]:
    """One cell's chunks, each with its model's name; its report is kept."""
    if run.request.is_whole:
        completion = await run.chat(cell)
        cell.reports += (completion["fanout"],)
        yield with_model_name(completion["model"], chunks_of(completion))
        return
    started = perf_counter()
    async with _race_cell(run, cell) as (result, leg, chunks):
        outcomes = [*result.outcomes]
        try:
            yield with_model_name(leg.responding_model, chunks)
        except Exception as error:
            failed = failure_of(error, started)
            found = zip(cell.legs, outcomes, strict=True)
            outcomes = [failed if one is leg else outcome for one, outcome in found]
            raise
        finally:
            mode = mode_of(run.request.mode, leg)
            if mode not in {"one", "all"}:
                report = make_report(mode, cell.legs, outcomes, started, perf_counter())
                cell.reports += (report,)


@asynccontextmanager
async def _race_cell(run: Run, cell: GridCell) -> AsyncIterator[CellRace]:
    """One cell's race and chunks; raises `DeadlineExceeded` after the deadline."""
    late = run.late()
    opening = run.host.runner.stream(run.request, cell)
    async with _opened_in_time(opening, run.deadline, late) as (result, leg, chunks):
        yield result, leg, with_deadline(chunks, run.deadline, late)


@asynccontextmanager
async def _opened_in_time(
    opening: AbstractAsyncContextManager[T], deadline: float, late: Exception
) -> AsyncIterator[T]:
    """What `opening` opens; raises `late` if that takes until the deadline."""
    async with AsyncExitStack() as stack:
        try:
            with Deadline(deadline):
                opened = await stack.enter_async_context(opening)
        except TimeoutError:
            raise late from None
        yield opened
