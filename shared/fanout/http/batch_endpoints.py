"""`/v1/files`, `/v1/uploads` and `/v1/batches`, with OpenAI's requests and responses."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qs

from msgspec import Meta, Struct

from ..bulk.input.line_checks import check_model
from ..bulk.input.lines import Line
from ..bulk.input.quote import quote
from ..bulk.lanes import NATIVE
from ..bulk.pacing.prompt_caches import expects_cache
from ..bulk.service.files import MAX_PART, MAX_UPLOAD
from ..bulk.service.new_job import BatchOptions, NewJob, check_endpoint, parse_lifetime
from ..bulk.service.records import Job
from ..bulk.service.webhooks import NewWebhook, check_webhook, rules_of
from ..bulk.work.partial_results import responses_so_far
from ..config.catalog import Catalog
from ..errors import Busy, Forbidden, NotFound, RequestError
from ..schema.validation import convert, reject_unknown
from ..wire import json
from .asgi import raw_headers
from .endpoints import parse_body
from .exchange import BatchService, Exchange
from .multipart_form import read_form

MAX_PARTS = 10_000
"""Parts of one upload."""

MAX_FILES, MAX_BATCHES, DEFAULT_BATCHES = 10_000, 100, 20
FORM_OVERHEAD = 1 << 20
"""Bytes of a form beside its file."""


class NewUpload(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/uploads`."""

    filename: str
    purpose: str
    bytes: int
    mime_type: str
    expires_after: dict[str, str | int] | None = None


class Completion(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/uploads/{id}/complete`."""

    part_ids: Annotated[list[str], Meta(max_length=MAX_PARTS)]
    md5: str | None = None


def _batch_service(exchange: Exchange) -> BatchService:
    if exchange.batch_service is None:
        raise NotFound("this gateway has no files or batches")
    return exchange.batch_service.service


async def _body(exchange: Exchange) -> object:
    return await exchange.parsed(lambda body: parse_body(body) if body else {})


# ---- files ----


async def create_file(exchange: Exchange) -> None:
    """`POST /v1/files`: upload a file of batch lines."""
    files = _batch_service(exchange).files
    key, digest = files.new_key(), hashlib.sha256()

    async def keep(pieces: AsyncIterator[bytes]) -> None:
        await files.blobs.write(key, hashed(pieces, digest) if exchange.single else pieces)

    limit = MAX_UPLOAD + FORM_OVERHEAD
    form = await read_form(exchange.receive, exchange.headers, "file", keep, limit)
    purpose = form.fields.get("purpose", "")
    try:
        if exchange.single:
            await exchange.single.begin(digest.digest(), json.encode([form.filename, form.fields]))
        filename = _check_file(form.filename, purpose)
        lifetime = parse_lifetime(_expiry(form.fields), "expires_after")
    except Exception:
        await files.blobs.delete(key)
        raise
    record = await files.register(key, filename, purpose, exchange.client.name, lifetime)
    await exchange.json(record.to_dict())


def _check_file(filename: str | None, purpose: str) -> str:
    if filename is None:
        raise RequestError("`file` is missing", "file", "missing_required_parameter")
    if purpose != "batch":
        raise RequestError("`purpose` must be `batch`", "purpose")
    if not filename.endswith(".jsonl"):
        raise RequestError("Invalid file format for Batch API. Must be .jsonl", "file")
    return filename


def _expiry(fields: dict[str, str]) -> dict[str, str | int] | None:
    start = "expires_after["
    given = {k[len(start) : -1]: v for k, v in fields.items() if k.startswith(start)}
    return {**given} if given else None


async def list_files(exchange: Exchange) -> None:
    """`GET /v1/files`: list the client's files."""
    query = _query(exchange)
    if (order := query.get("order", "desc")) not in {"asc", "desc"}:
        raise RequestError("`order` must be `asc` or `desc`", "order")
    page = await _batch_service(exchange).files.page(
        exchange.client.name,
        after=query.get("after"),
        limit=_limit(query, MAX_FILES, MAX_FILES),
        newest_first=order == "desc",
        purpose=query.get("purpose"),
    )
    await exchange.json(_list_body([record.to_dict() for record in page.records], page.has_more))


async def read_file(exchange: Exchange) -> None:
    """`GET /v1/files/{id}`: a file's record; `…/content`: its bytes."""
    files = _batch_service(exchange).files
    file_id, _, what = exchange.tail.partition("/")
    if what not in {"", "content"}:
        raise NotFound("no such path")
    try:
        record = await files.find(file_id, exchange.client.name)
    except NotFound:
        if job := await _batch_service(exchange).jobs.writer_of(file_id, exchange.client.name):
            await _send_partial(exchange, job, what)
            return
        record = await files.find(file_id, exchange.client.name)  # the job may have just ended
    if not what:
        await exchange.json(record.to_dict())
        return
    if link := files.link(record):
        await exchange.redirect(link)
        return
    await _send_pieces(exchange, files.content(record), record.bytes)


async def _send_partial(exchange: Exchange, job: Job, what: str) -> None:
    """Send the output of a job that is not over: its record, or the lines so far."""
    if not what:
        await exchange.json(job.partial_output().to_dict())
        return
    await _send_pieces(exchange, _whole(exchange, job))


async def _whole(exchange: Exchange, job: Job) -> AsyncIterator[bytes]:
    """The responses so far; the connection breaks if some are missing because the job has ended."""
    service = _batch_service(exchange)
    ended = Busy("the job has ended meanwhile: read its output again")
    try:
        async for piece in responses_so_far(job, service.files, service.results):
            yield piece
    except FileNotFoundError:
        raise ended from None
    if (await service.jobs.find(job.id, None)).is_over:
        raise ended


async def hashed(pieces: AsyncIterator[bytes], digest: hashlib._Hash) -> AsyncIterator[bytes]:
    """The pieces, of which `digest` gets each."""
    async for piece in pieces:
        digest.update(piece)
        yield piece


async def _send_pieces(
    exchange: Exchange, pieces: AsyncIterator[bytes], size: int | None = None
) -> None:
    """Send the bytes; without their `size`, their end is that of the response."""
    first = await anext(pieces, b"")  # an error before the status is sent
    exchange.status = 200
    length = {} if size is None else {"content-length": str(size)}
    headers = raw_headers(
        {"content-type": "application/octet-stream", **length, **exchange.response_headers}
    )
    await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
    await exchange.send({"type": "http.response.body", "body": first, "more_body": True})
    async for piece in pieces:
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
    await exchange.send({"type": "http.response.body", "body": b""})


async def delete_file(exchange: Exchange) -> None:
    """`DELETE /v1/files/{id}`: delete a file."""
    await _batch_service(exchange).files.delete(exchange.tail, exchange.client.name)
    await exchange.json({"id": exchange.tail, "object": "file", "deleted": True})


# ---- uploads ----


async def create_upload(exchange: Exchange) -> None:
    """`POST /v1/uploads`: start an upload in parts."""
    files = _batch_service(exchange).files
    upload = convert(await _body(exchange), NewUpload)
    _check_file(upload.filename, upload.purpose)
    lifetime = parse_lifetime(upload.expires_after, "expires_after")
    record = await files.begin_upload(
        upload.filename, upload.purpose, upload.bytes, exchange.client.name, lifetime
    )
    await exchange.json(record.to_dict(None))


async def continue_upload(exchange: Exchange) -> None:
    """`POST /v1/uploads/{id}/parts`: add a part; `…/complete`: make it a file; `…/cancel`."""
    files, owner = _batch_service(exchange).files, exchange.client.name
    upload_id, _, what = exchange.tail.partition("/")
    if what == "parts":
        await _add_part(exchange, upload_id)
    elif what == "complete":
        completion = convert(await _body(exchange), Completion)
        done, file = await files.complete_upload(
            upload_id, owner, completion.part_ids, completion.md5
        )
        await exchange.json(done.to_dict(file))
    elif what == "cancel":
        await exchange.json((await files.cancel_upload(upload_id, owner)).to_dict(None))
    else:
        raise NotFound("no such path")


async def _add_part(exchange: Exchange, upload_id: str) -> None:
    files, part_ids = _batch_service(exchange).files, list[str]()

    async def keep(pieces: AsyncIterator[bytes]) -> None:
        part_ids.append(await files.add_part(upload_id, exchange.client.name, pieces))

    limit = MAX_PART + FORM_OVERHEAD
    await read_form(exchange.receive, exchange.headers, "data", keep, limit)
    if not part_ids:
        raise RequestError("`data` is missing", "data", "missing_required_parameter")
    created = int(part_ids[0].removeprefix("part_")[:14], 16) // 1_000_000
    result = {"id": part_ids[0], "object": "upload.part", "upload_id": upload_id}
    await exchange.json({**result, "created_at": created})


# ---- batches ----


async def create_batch(exchange: Exchange) -> None:
    """`POST /v1/batches`: start a job, or with `dry_run` only estimate its cost."""
    _check_account(exchange)
    body = await _body(exchange)
    if isinstance(body, dict):
        options = body.get("fanout")
        reject_unknown(options, BatchOptions.__struct_fields__, "fanout")
        if isinstance(options, dict):
            fields = NewWebhook.__struct_fields__
            reject_unknown(options.get("webhook"), fields, "fanout.webhook")
    new_job = convert(body, NewJob)
    given = new_job.fanout.webhook if new_job.fanout else None
    webhook = check_webhook(given, rules_of(exchange.gateway.catalog)) if given else None
    if new_job.dry_run:
        await _quote(exchange, new_job)
        return
    jobs, client = _batch_service(exchange).jobs, exchange.client
    payer = None if client.account is None else client.account.item["id"]
    job = await jobs.create(new_job, client.name, webhook, payer)
    await exchange.json(await _job_body(exchange, job))


async def _quote(exchange: Exchange, new_job: NewJob) -> None:
    """Respond with what the job would cost; creates nothing and calls no provider."""
    check_endpoint(new_job)
    native = _batch_service(exchange).jobs.native(new_job)
    lane = NATIVE if native == "require" else new_job.lane
    files, client, catalog = (
        _batch_service(exchange).files,
        exchange.client,
        exchange.gateway.catalog,
    )
    file = await files.find(new_job.input_file_id, client.name)
    result = await quote(
        lambda: files.content(file),
        default_model=new_job.model,
        catalog=catalog,
        check=lambda name: check_model(catalog, client, name),
        lane=lane,
        goes_native=_goes_native(exchange, catalog),
        has_cache=partial(expects_cache, catalog, new_job.cache),
        must_go_native=native == "require",
    )
    await exchange.json(result.to_dict())


def _goes_native(exchange: Exchange, catalog: Catalog) -> Callable[[Line], bool]:
    """Whether a line may go by its provider's own batches, on a host that uses them."""
    is_virtual = exchange.client.account is not None
    if is_virtual or not _batch_service(exchange).jobs.has_batches:
        return lambda _: False
    from ..bulk.native.eligibility import may_go_native  # only quotes of such a host need it

    return may_go_native(catalog)


async def list_batches(exchange: Exchange) -> None:
    """`GET /v1/batches`: list the client's jobs."""
    query = _query(exchange)
    limit = _limit(query, DEFAULT_BATCHES, MAX_BATCHES)
    jobs = _batch_service(exchange).jobs
    page = await jobs.page(exchange.client.name, after=query.get("after"), limit=limit)
    shown = [await _job_body(exchange, job) for job in page.records]
    await exchange.json(_list_body(shown, page.has_more))


async def read_batch(exchange: Exchange) -> None:
    """`GET /v1/batches/{id}`: a job's state."""
    job = await _batch_service(exchange).jobs.find(exchange.tail, exchange.client.name)
    await exchange.json(await _job_body(exchange, job))


async def delete_batch(exchange: Exchange) -> None:
    """`DELETE /v1/batches/{id}`: delete a job that does not run, and its responses."""
    await _batch_service(exchange).jobs.delete(exchange.tail, exchange.client.name)
    await exchange.json({"id": exchange.tail, "object": "batch", "deleted": True})


async def continue_batch(exchange: Exchange) -> None:
    """`POST /v1/batches/{id}/cancel`: cancel a job; `…/retry`: run its failed lines again."""
    jobs, owner = _batch_service(exchange).jobs, exchange.client.name
    job_id, _, what = exchange.tail.partition("/")
    await _body(exchange)
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
    return job.to_dict(await _batch_service(exchange).jobs.totals(job))


# ---- pages ----


def _query(exchange: Exchange) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(exchange.query).items()}


def _limit(query: dict[str, str], default: int, most: int) -> int:
    text = query.get("limit", str(default))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004
    if not 1 <= limit <= most:
        raise RequestError(f"`limit` must be between 1 and {most}", "limit")
    return limit


def _list_body(data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:  # noqa: FBT001
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
