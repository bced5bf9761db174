"""The first step: check a job's input and divide it into shards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from ..input.line_checks import check_model
from ..input.lines import BadLine
from ..input.order_writer import OrderWriter
from ..input.planner import Plan, Shard
from ..input.planner import plan as plan_lines
from ..service.deletion import delete_own_input
from ..service.records import Job
from ..work.manifest import has_manifest, stream_of, write_manifest
from . import transitions
from .host import JobHost


class ModelsMissing(Exception):
    """A job of another config names models that this one does not have."""


async def plan(host: JobHost, job: Job) -> Job:
    """
    Check the job's input and cut it into shards.

    If a job of another config lacks models here, that is no failure but raises `ModelsMissing`.
    """
    await host.clear(job)
    catalog = host.gateway.catalog
    needs_prices = job.max_cost is not None
    if job.account is None:
        client = catalog.client(job.owner)
    else:
        client = await host.account.client(job)
        needs_prices |= await host.account.has_budget(job)
    check = partial(check_model, catalog, client)

    def checked(name: str, *, has_output: bool = True) -> None:
        check(name)
        unpriced = host.costs.unpriced(name, has_output=has_output) if needs_prices else None
        if unpriced is not None:
            what = "`max_cost_usd`" if job.max_cost is not None else "the key's budget"
            message = (
                f"{what} needs prices, and the price of `{unpriced}` is unknown: set "
                "its `input_cost_per_token` and `output_cost_per_token` in the config."
            )
            raise BadLine("price_not_found", message, "max_cost_usd")

    result = await _write_manifest(host, job, checked, partial(checked, has_output=False))
    prices = host.costs.to_record(result.names, has_batches=host.uses_batches(job))
    planned = await host.jobs.change(
        job.id, lambda found: transitions.planned(found, result, prices, int(host.now()))
    )
    if planned.is_invalid:
        await delete_own_input(host.files, host.jobs, planned)
    return planned


async def repair(host: JobHost, job: Job) -> Job:
    """
    Write a damaged manifest again: the same input has the same shards.

    If the input is damaged, too, or gone, the job fails.
    """
    if not job.total or await has_manifest(host.blobs, job.manifest_key, job.total):
        return job
    result = await _write_manifest(host, job, lambda _: None, None)
    if result.total == job.total and not result.errors:
        return job
    await host.blobs.delete(job.manifest_key)
    return await host.fail_unreadable(job)


async def _write_manifest(
    host: JobHost,
    job: Job,
    check: Callable[[str], None],
    check_embedding: Callable[[str], None] | None,
) -> Plan:
    orders = host.options.orders_all and job.cache != "off"
    with OrderWriter() as order:
        async with write_manifest(host.blobs, job.manifest_key) as write:
            result = await _plan_lines(
                host, job, check, check_embedding, write, order if orders else None
            )
            if not host.is_own(job) and any(
                error.code == "model_not_found" for error in result.errors
            ):
                raise ModelsMissing
        if orders and not result.errors and await asyncio.to_thread(order.finish):
            await host.blobs.write(job.order_key, stream_of(order.chunks()))
    return result


async def _plan_lines(
    host: JobHost,
    job: Job,
    check: Callable[[str], None],
    check_embedding: Callable[[str], None] | None,
    write: Callable[[Shard], object],
    order: OrderWriter | None,
) -> Plan:
    result = Plan()
    try:
        return await plan_lines(
            partial(host.blobs.read, job.input_key),
            write,
            default_model=job.model,
            check=check,
            check_embedding=check_embedding,
            size=host.options.shard_size,
            order=order,
        )
    except FileNotFoundError:
        result.add_error("file_not_found", "The input file has been deleted.", None, None)
    return result
