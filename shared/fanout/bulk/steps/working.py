"""The second step: send every line that has no stored result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from msgspec.structs import replace

from ...config.catalog import ClientKey
from ..activity import ActivityTracker
from ..costs import Costs
from ..input.estimates import estimate_cost, estimate_for_key
from ..input.line_order import open_order
from ..input.line_parser import Line
from ..input.planner import LineError, Shard
from ..pacing.prompt_caches import cache_rules
from ..service.records import Job
from ..store import JobProgress
from ..work.line_requests import make_line_sender
from ..work.spec import WorkerResources, WorkResult, flex_lane, line_cost
from ..work.worker import work as work_shards
from . import transitions
from .host import JobHost


async def work(host: JobHost, job: Job, activity: ActivityTracker) -> Job:
    """Send every line that has no stored result."""
    try:
        shards = host.shards(job)
        progress: JobProgress = host.progress(job)
        client: Callable[[], ClientKey] | None = None
        if job.account is not None:
            progress = charged = await host.account.charged(job, progress)
            client = charged.current_client
        result = await _pass(host, job, activity, progress, shards, client=client, is_whole=True)
    except FileNotFoundError:
        return await host.fail_unreadable(job)
    return await _after_work(host, job, result)


async def work_with_batches(
    host: JobHost,
    job: Job,
    activity: ActivityTracker,
    in_slot: Callable[[], AbstractAsyncContextManager[object]],
) -> Job:
    """Send lines by their providers' batches, and all others as always, in a slot each time."""
    from ..native.setup import Preparation  # few jobs have batches

    progress = host.progress(job)

    async def one_pass(shards: Sequence[Shard], is_held: Callable[[int], bool]) -> WorkResult:
        is_whole = sum(shard.lines for shard in shards) == job.total
        async with in_slot():
            return await _pass(
                host, job, activity, progress, _each(shards), is_held, is_whole=is_whole
            )

    try:
        runner = await Preparation(host.native_host(), job, progress).runner(one_pass, activity)
        if isinstance(runner, LineError):
            return await host.fail(job, runner)
        if job.status != "in_progress":
            await runner.settle()
            return job
        return await _after_work(host, job, await runner.run())
    except FileNotFoundError:
        return await host.fail_unreadable(job)


async def _after_work(host: JobHost, job: Job, result: WorkResult) -> Job:
    if result.stop is None and result.remaining:
        return await host.fail_unreadable(job, result.remaining)
    return await host.jobs.change(
        job.id, lambda found: transitions.worked(found, result, int(host.now()))
    )


async def _pass(  # noqa: PLR0913 -- its parts, each once
    host: JobHost,
    job: Job,
    activity: ActivityTracker,
    progress: JobProgress,
    shards: AsyncIterator[Shard],
    is_held: Callable[[int], bool] = lambda _: False,
    *,
    client: Callable[[], ClientKey] | None = None,
    is_whole: bool,
) -> WorkResult:
    """
    Send the lines of these shards that have no result and are not held.

    Those of a virtual key have the rights that its `client` has. If they are the whole job, all its
    lines are ordered, else those of each shard.
    """
    spec, order = host.options.work_spec(job), None
    if host.options.orders_all and job.cache != "off":
        order = await open_order(host.blobs, job.order_key, job.total)
        if order is None:  # no lines begin alike
            spec = replace(spec, cache="off")
    catalog = host.gateway.catalog
    send = make_line_sender(
        host.gateway,
        job.owner,
        host.observer,
        host.limiter,
        activity,
        job.id,
        job.expires_at,
        client=client,
    )
    return await work_shards(
        spec,
        shards,
        WorkerResources(
            send,
            host.blobs,
            host.results(job),
            progress,
            line_cost(job, host.costs),
            line_estimate(job, host.costs),
            activity,
            flex=flex_lane(job, catalog, host.now),
            is_held=is_held,
            cache_rules=partial(cache_rules, catalog),
            order=order if is_whole else None,
        ),
    )


def line_estimate(job: Job, costs: Costs) -> Callable[[Line, int], int]:
    """What a line may cost: a virtual key reserves as much as for a request."""
    if job.account is not None:
        return partial(estimate_for_key, costs)
    if job.max_cost is not None:
        return partial(estimate_cost, costs)
    return lambda _line, _size: 0


async def _each(shards: Sequence[Shard]) -> AsyncIterator[Shard]:
    for shard in shards:
        yield shard
