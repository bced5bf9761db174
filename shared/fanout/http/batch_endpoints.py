"""`/v1/batches`, with OpenAI's requests and responses."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from ..bulk.input.line_checks import check_model
from ..bulk.input.quote import NO_BATCHES, quote
from ..bulk.input.quote_groups import LineBatches
from ..bulk.lanes import NativeChoice
from ..bulk.pacing.prompt_caches import expects_cache
from ..bulk.service.new_job import BatchOptions, NewJob, check_endpoint, cost_cap, parse_window
from ..bulk.service.records import Job
from ..bulk.service.webhooks import NewWebhook, check_webhook, rules_of
from ..errors import Forbidden, NotFound, RequestError
from ..schema.validation import convert, reject_unknown
from .exchange import Exchange
from .file_endpoints import batch_service_of, body_of
from .list_pages import limit_of, list_body, query_of

MAX_BATCHES, DEFAULT_BATCHES = 100, 20
"""Batches of one page."""


async def create_batch(exchange: Exchange) -> None:
    """`POST /v1/batches`: start a job, or with `dry_run` only estimate its cost."""
    _check_account(exchange)
    body = await body_of(exchange)
    _check_fields(body)
    new_job = convert(body, NewJob)
    given = new_job.fanout.webhook if new_job.fanout else None
    webhook = check_webhook(given, rules_of(exchange.gateway.catalog)) if given else None
    if new_job.dry_run:
        await _quote(exchange, new_job)
        return
    jobs, client = batch_service_of(exchange).jobs, exchange.client
    payer = None if client.account is None else client.account.item["id"]
    job = await jobs.create(new_job, client.name, webhook, payer)
    await exchange.json(await _job_body(exchange, job))


def _check_fields(body: object) -> None:
    """Raise `RequestError` for a field that a batch does not have, at any depth."""
    if not isinstance(body, dict):
        return
    if misplaced := sorted(body.keys() & frozenset(BatchOptions.__struct_fields__)):
        name = misplaced[0]
        raise RequestError(f'`{name}` belongs in `fanout`: send `"fanout": {{"{name}": …}}`', name)
    reject_unknown(body, NewJob.__struct_fields__, None)
    options = body.get("fanout")
    reject_unknown(options, BatchOptions.__struct_fields__, "fanout")
    if isinstance(options, dict):
        reject_unknown(options.get("webhook"), NewWebhook.__struct_fields__, "fanout.webhook")


async def _quote(exchange: Exchange, new_job: NewJob) -> None:
    """Respond with what the job would cost; creates nothing and calls no provider."""
    check_endpoint(new_job)
    _ = new_job.order  # checks it
    native = batch_service_of(exchange).jobs.native(new_job)
    files, client, catalog = (
        batch_service_of(exchange).files,
        exchange.client,
        exchange.gateway.catalog,
    )
    file = await files.find(new_job.input_file_id, client.name)
    result = await quote(
        lambda: files.content(file),
        default_model=new_job.model,
        catalog=catalog,
        check=lambda name: check_model(catalog, client, name),
        lane=new_job.lane,
        native=native,
        batches=_batches(exchange, new_job, native),
        has_cache=partial(expects_cache, catalog, new_job.cache),
    )
    await exchange.json(result.to_dict())


def _batches(exchange: Exchange, new_job: NewJob, native: NativeChoice) -> LineBatches:
    """The native batches that the job would have, on a host that uses them."""
    is_virtual = exchange.client.account is not None
    if is_virtual or not batch_service_of(exchange).jobs.has_batches:
        return NO_BATCHES
    from ..bulk.native.quoted_batches import QuotedBatches, QuotedJob  # only such quotes need it

    gateway, window = exchange.gateway, parse_window(new_job.completion_window)
    job = QuotedJob(new_job.lane, native, window, cost_cap(new_job.max_cost_usd))
    return QuotedBatches(gateway.catalog, gateway.prepare, exchange.client, job, time.time())


async def list_batches(exchange: Exchange) -> None:
    """`GET /v1/batches`: list the client's jobs."""
    query = query_of(exchange)
    limit = limit_of(query, DEFAULT_BATCHES, MAX_BATCHES)
    jobs = batch_service_of(exchange).jobs
    page = await jobs.page(exchange.client.name, after=query.get("after"), limit=limit)
    shown = [await _job_body(exchange, job) for job in page.records]
    await exchange.json(list_body(shown, page.has_more))


async def read_batch(exchange: Exchange) -> None:
    """`GET /v1/batches/{id}`: a job's state."""
    job = await batch_service_of(exchange).jobs.find(exchange.tail, exchange.client.name)
    await exchange.json(await _job_body(exchange, job))


async def delete_batch(exchange: Exchange) -> None:
    """`DELETE /v1/batches/{id}`: delete a job that does not run, and its responses."""
    await batch_service_of(exchange).jobs.delete(exchange.tail, exchange.client.name)
    await exchange.json({"id": exchange.tail, "object": "batch", "deleted": True})


async def continue_batch(exchange: Exchange) -> None:
    """`POST /v1/batches/{id}/cancel`: cancel a job; `…/retry`: run its failed lines again."""
    jobs, owner = batch_service_of(exchange).jobs, exchange.client.name
    job_id, _, what = exchange.tail.partition("/")
    await body_of(exchange)
    if what == "cancel":
        job = await jobs.cancel(job_id, owner)
    elif what == "retry":
        _check_account(exchange)
        job = await jobs.retry(job_id, owner)
    else:
        raise NotFound("no such path")
    await exchange.json(await _job_body(exchange, job))


def _check_account(exchange: Exchange) -> None:
    """Raise `Forbidden` for a virtual key, unless jobs here count against its budget."""
    if exchange.client.account is None:
        return
    if exchange.batch_service is None or not exchange.batch_service.service.jobs.has_accounts:
        raise Forbidden(
            "a virtual key cannot run jobs here, where they do not count against its budget: use a"
            " key of `general_settings`",
            None,
            "batches_not_allowed",
        )


async def _job_body(exchange: Exchange, job: Job) -> dict[str, Any]:
    return job.to_dict(await batch_service_of(exchange).jobs.totals(job))
