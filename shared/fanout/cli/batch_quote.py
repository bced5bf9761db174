"""`fanout batch quote`: estimates the cost and time of a file of prompts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ..bulk.input.line_checks import check_model
from ..bulk.input.quote import METHOD, NO_BATCHES, Quote, quote
from ..bulk.lanes import CacheChoice
from ..bulk.local.job_store import JobStore
from ..bulk.local.prompt_files import PromptFile
from ..bulk.local.response_reuse import unpaid_lines
from ..bulk.native.quoted_batches import QuotedBatches, QuotedJob
from ..bulk.pacing.prompt_caches import expects_cache
from ..bulk.service.records import Job
from ..config.catalog import Catalog, ClientKey
from ..config.model import ANONYMOUS
from ..errors import RequestError
from ..gateway.gateway import prepare
from ..telemetry.prices import FLEX
from .batch_progress import error_lines
from .printing import dollars, show, show_json
from .table import columns

if TYPE_CHECKING:
    from .batch_backend import BatchBackend
    from .batch_sample import Sample, SampleQuote

LANES_HEADER = ("LANE", "LINES", "COST", "RESPONSES TAKE")
HEADER = ("MODEL", "LINES", "TOKENS IN", "CACHED", "TOKENS OUT", "COST", "MINUTES")


USER = ClientKey(ANONYMOUS, None)
"""Who uses this command, with all rights."""

MAX_SAMPLE = 1_000
"""Lines that a quote sends at most."""


def check_sample(count: int) -> None:
    """Raise `RequestError` for a number of lines that is not sent."""
    if not 1 <= count <= MAX_SAMPLE:
        raise RequestError(f"--sample must be between 1 and {MAX_SAMPLE}", "sample")


def _batches(catalog: Catalog, job: QuotedJob) -> QuotedBatches:
    return QuotedBatches(catalog, partial(prepare, catalog), USER, job, time.time())


async def print_quote(  # noqa: PLR0913 -- what was given, each once
    catalog: Catalog,
    prompts: PromptFile,
    model: str | None,
    job: QuotedJob,
    *,
    as_json: bool,
    store: JobStore | None = None,
    cache: CacheChoice | None = None,
    sample: int | None = None,
) -> int:
    """
    Print the quote of a job; returns 1 if the file has errors, else 0.

    With a `store`, lines are left out to which its jobs have responses. If it is a backend, a
    `sample` of so many lines can be sent, which has the job's cost cap.
    """

    async def read() -> AsyncIterator[bytes]:
        for piece in prompts.chunks():
            yield piece
            await asyncio.sleep(0)

    has_batches = store is None or store.jobs.has_batches  # an older stack has none
    options: dict[str, Any] = {
        "default_model": model,
        "catalog": catalog,
        "check": lambda name: check_model(catalog, USER, name),
        "lane": job.lane,
        "native": job.native,
        "batches": _batches(catalog, job) if has_batches else NO_BATCHES,
        "has_cache": partial(expects_cache, catalog, cache or "order"),
    }
    if sample is not None:
        backend = cast("BatchBackend", store)
        from .batch_sample import Sample

        drawn = Sample(sample, job.max_cost)
        return await _print_sampled(backend, prompts, read, drawn, options, as_json=as_json)
    reused = 0
    if store is not None and store.index is not None and not await store.index.is_empty():
        read, reused, left = await unpaid_lines(store, store.index, read, model)
        if reused and not left:
            return _print_none(_counted(reused, prompts), reused, as_json=as_json)
    found = await quote(read, **options)
    if as_json:
        show_json(found.to_dict() | {"reused_lines": reused})
    else:
        _print(found)
        if reused:
            more = _counted(reused, prompts, " more")
            have = "has a response" if reused == 1 else "have responses"
            show(f"{more} {have} of an earlier run, which cost{'s' if reused == 1 else ''} nothing")
    return int(bool(found.errors))


async def _print_sampled(
    backend: BatchBackend,
    prompts: PromptFile,
    read: Callable[[], AsyncIterator[bytes]],
    sample: Sample,
    options: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    """Send a sample, and print the quote of the lines without a response."""
    from .batch_sample import sample_quote, sample_to_dict
    from .batch_view import follow

    model, index = options["default_model"], backend.index
    reused = 0

    async def rest() -> Callable[[], AsyncIterator[bytes]]:
        nonlocal reused
        if index is None:
            return read
        left, reused, _ = await unpaid_lines(backend, index, read, model)
        return left

    found, sampled = await sample_quote(
        backend,
        read,
        rest,
        prompts.name,
        sample,
        partial(follow, backend, as_json=False),
        options,
    )
    if as_json:
        show_json(found.to_dict() | {"reused_lines": reused, "sample": sample_to_dict(sampled)})
        return int(bool(found.errors))
    _print(found)
    if not found.errors:
        _show_sample(sampled, _counted(sampled.lines, prompts), _counted(found.lines, prompts))
    return int(bool(found.errors))


def _show_sample(found: SampleQuote, sent: str, left: str) -> None:
    paid = f"\nsample: {sent} for {dollars(found.cost_usd)}, which are not paid again"
    failed = f"; {found.failed} failed" if found.failed else ""
    show(f"{paid}{failed}")
    if found.cost is None or found.cost_low is None or found.cost_high is None:
        show("no estimate: a price is unknown, or no line of a model has a response")
        return
    within = f"{dollars(found.cost_low)} to {dollars(found.cost_high)}"
    show(
        f"the other {left}: {dollars(found.cost)}, with {found.confidence} % confidence {within}; "
        f"{found.tokens_in:,} tokens in, {found.tokens_out:,} out"
    )


def _counted(number: int, prompts: PromptFile, more: str = "") -> str:
    unit = "row" if prompts.is_table else "line"
    return f"{number:,}{more} {unit}{'' if number == 1 else 's'}"


async def print_finished(
    store: JobStore, job: Job, prompts: PromptFile, retry: str, *, as_json: bool
) -> int:
    """
    Print the quote of a file whose job is over: its failed lines are not sent again.

    `retry` is the command that sends them.
    """
    totals = await store.jobs.totals(job)
    if as_json:
        nothing = Quote(cost_low=0.0, cost_high=0.0, minutes=0.0)
        show_json(nothing.to_dict() | {"reused_lines": totals.done + job.reused})
        return 0
    show(f"the job {job.id} of this file is {job.status} already; nothing would be sent")
    if totals.failed:
        failed = _counted(totals.failed, prompts)
        show(f"{failed} failed; to send them again: {retry}")
    return 0


def _print_none(counted: str, reused: int, *, as_json: bool) -> int:
    """Print the quote of a file whose lines all have responses."""
    if as_json:
        nothing = Quote(cost_low=0.0, cost_high=0.0, minutes=0.0)
        show_json(nothing.to_dict() | {"reused_lines": reused})
    else:
        have = "has a response" if reused == 1 else "have responses"
        which = counted if reused == 1 else f"all {counted}"
        show(f"{which} {have} of an earlier run; nothing would be sent")
    return 0


def _print(found: Quote) -> None:
    rows = [HEADER]
    for name, part in found.models.items():
        out = f"{part.tokens_out_low:,} to {part.tokens_out_high:,}"
        cells = (
            f"{part.lines:,}",
            _range(part.tokens_in, part.tokens_in_high),
            f"{part.tokens_cached:,}",
            out,
        )
        rows.append((name, *cells, _dollars(part.cost_low, part.cost_high), _minutes(part.minutes)))
    show(columns(rows))
    total = _dollars(found.cost_low, found.cost_high)
    minutes = _minutes(found.minutes)
    show(f"\n{found.lines:,} lines, {total}, minutes at the known rate limits: {minutes}")
    calls = sum(part.calls for part in found.models.values())
    most = sum(part.calls_high for part in found.models.values())
    if most > calls:
        show(f"{_range(calls, most)} calls: the most is every attempt of every model")
    if len(found.lanes) > 1:
        _print_lanes(found)
    show(f"({METHOD})")
    for line in error_lines(found.errors):
        show(line)


def _print_lanes(found: Quote) -> None:
    rows = [LANES_HEADER]
    for name, lane in found.lanes.items():
        cost = _dollars(lane.cost_low, lane.cost_high)
        rows.append((name, f"{lane.lines:,}", cost, lane.latency))
    native = "" if found.native == "never" else f" --native {found.native}"
    counted = "1 line goes" if found.native_lines == 1 else f"{found.native_lines:,} lines go"
    batches = f"{counted} by native batches; " if native else ""
    show(f"\n--lane {found.lane}{native}; {batches}the costs of the whole file by lane:\n")
    show(columns(rows))
    if FLEX in found.lanes:
        show("\nA line for which the flex tier has no room costs the price in real time.")


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _dollars(low: float | None, high: float | None) -> str:
    return "price unknown" if low is None or high is None else f"{dollars(low)} to {dollars(high)}"


def _minutes(minutes: float | None) -> str:
    return "unknown" if minutes is None else f"{minutes:g}"
