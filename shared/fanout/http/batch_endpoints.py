"""`/v1/files`, `/v1/uploads` and `/v1/batches`: parse, ask the service, answer as OpenAI does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from msgspec import Struct

from ..bulk.input.quote import quote
from ..bulk.service.batches import NewJob, check_endpoint, parse_lifetime
from ..bulk.service.files import MAX_PART, MAX_UPLOAD
from ..bulk.service.records import Job
from ..bulk.work.line_requests import check_model
from ..errors import NotFound, RequestError
from ..schema.validation import convert
from .asgi import raw_headers
from .endpoints import parse_body
from .exchange import BatchService, Exchange
from .multipart_form import read_form

MAX_FILES, MAX_BATCHES, DEFAULT_BATCHES = 10_000, 100, 20
FORM = 1 << 20
"""Bytes of a form around its file."""


class NewUpload(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/uploads`."""

    filename: str
    purpose: str
    bytes: int
    mime_type: str
    expires_after: dict[str, str | int] | None = None


class Completion(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/uploads/{id}/complete`."""

    part_ids: list[str]
    md5: str | None = None


def _bulk(exchange: Exchange) -> BatchService:
    if exchange.door is None:
        raise NotFound("this gateway has no files and no batches")
    return exchange.door.bulk


async def _body(exchange: Exchange) -> object:
    body = await exchange.body()
    return parse_body(body) if body else {}


# ---- files ----


async def create_file(exchange: Exchange) -> None:
    """`POST /v1/files`."""
    files = _bulk(exchange).files
    key = files.new_key()

    async def keep(pieces: AsyncIterator[bytes]) -> None:
        await files.blobs.write(key, pieces)

    limit = MAX_UPLOAD + FORM
    form = await read_form(exchange.receive, exchange.headers, "file", keep, limit)
    exchange.unread = False
    purpose = form.fields.get("purpose", "")
    try:
        filename = _check_file(form.filename, purpose)
        lifetime = parse_lifetime(_expiry(form.fields), "expires_after")
    except RequestError:
        await files.blobs.delete(key)
        raise
    record = await files.register(key, filename, purpose, exchange.caller.name, lifetime)
    await exchange.json(record.shown)


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
    """`GET /v1/files`."""
    query = _query(exchange)
    if (order := query.get("order", "desc")) not in {"asc", "desc"}:
        raise RequestError("`order` must be `asc` or `desc`", "order")
    page = await _bulk(exchange).files.page(
        exchange.caller.name,
        after=query.get("after"),
        limit=_limit(query, MAX_FILES, MAX_FILES),
        newest_first=order == "desc",
        purpose=query.get("purpose"),
    )
    await exchange.json(_listed([record.shown for record in page.records], page.has_more))


async def read_file(exchange: Exchange) -> None:
    """`GET /v1/files/{id}` and `GET /v1/files/{id}/content`."""
    files = _bulk(exchange).files
    file_id, _, what = exchange.tail.partition("/")
    if what not in {"", "content"}:
        raise NotFound("there is nothing at this path")
    record = await files.find(file_id, exchange.caller.name)
    if not what:
        await exchange.json(record.shown)
        return
    if link := files.link(record):
        await exchange.redirect(link)
        return
    await _send_pieces(exchange, record.bytes, files.content(record))


async def _send_pieces(exchange: Exchange, size: int, pieces: AsyncIterator[bytes]) -> None:
    exchange.status = 200
    headers = raw_headers(
        {"content-type": "application/octet-stream", "content-length": str(size), **exchange.out}
    )
    await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
    async for piece in pieces:
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
    await exchange.send({"type": "http.response.body", "body": b""})


async def delete_file(exchange: Exchange) -> None:
    """`DELETE /v1/files/{id}`."""
    await _bulk(exchange).files.delete(exchange.tail, exchange.caller.name)
    await exchange.json({"id": exchange.tail, "object": "file", "deleted": True})


# ---- uploads ----


async def create_upload(exchange: Exchange) -> None:
    """`POST /v1/uploads`."""
    files = _bulk(exchange).files
    asked = convert(await _body(exchange), NewUpload)
    _check_file(asked.filename, asked.purpose)
    lifetime = parse_lifetime(asked.expires_after, "expires_after")
    record = await files.begin_upload(
        asked.filename, asked.purpose, asked.bytes, exchange.caller.name, lifetime
    )
    await exchange.json(record.shown(None))


async def continue_upload(exchange: Exchange) -> None:
    """`POST /v1/uploads/{id}/parts`, `…/complete` and `…/cancel`."""
    files, caller = _bulk(exchange).files, exchange.caller.name
    upload_id, _, what = exchange.tail.partition("/")
    if what == "parts":
        await _add_part(exchange, upload_id)
    elif what == "complete":
        asked = convert(await _body(exchange), Completion)
        done, file = await files.complete_upload(upload_id, caller, asked.part_ids, asked.md5)
        await exchange.json(done.shown(file))
    elif what == "cancel":
        await exchange.json((await files.cancel_upload(upload_id, caller)).shown(None))
    else:
        raise NotFound("there is nothing at this path")


async def _add_part(exchange: Exchange, upload_id: str) -> None:
    files, part_ids = _bulk(exchange).files, list[str]()

    async def keep(pieces: AsyncIterator[bytes]) -> None:
        part_ids.append(await files.add_part(upload_id, exchange.caller.name, pieces))

    limit = MAX_PART + FORM
    await read_form(exchange.receive, exchange.headers, "data", keep, limit)
    exchange.unread = False
    if not part_ids:
        raise RequestError("`data` is missing", "data", "missing_required_parameter")
    created = int(part_ids[0].removeprefix("part_")[:14], 16) // 1_000_000
    said = {"id": part_ids[0], "object": "upload.part", "upload_id": upload_id}
    await exchange.json({**said, "created_at": created})


# ---- batches ----


async def create_batch(exchange: Exchange) -> None:
    """`POST /v1/batches`."""
    asked = convert(await _body(exchange), NewJob)
    caller = exchange.caller
    if asked.dry_run:
        await _quote(exchange, asked)
        return
    job = await _bulk(exchange).jobs.create(asked, caller.name, caller.models)
    await exchange.json(await _shown(exchange, job))


async def _quote(exchange: Exchange, asked: NewJob) -> None:
    """What the job would take; nothing is created and nobody asked."""
    check_endpoint(asked)
    files, caller, catalog = _bulk(exchange).files, exchange.caller, exchange.gateway.catalog
    file = await files.find(asked.input_file_id, caller.name)
    said = await quote(
        lambda: files.content(file),
        default_model=asked.model,
        catalog=catalog,
        check=lambda name: check_model(catalog, caller.name, caller.models, name),
    )
    await exchange.json(said.shown)


async def list_batches(exchange: Exchange) -> None:
    """`GET /v1/batches`."""
    query = _query(exchange)
    limit = _limit(query, DEFAULT_BATCHES, MAX_BATCHES)
    jobs = _bulk(exchange).jobs
    page = await jobs.page(exchange.caller.name, after=query.get("after"), limit=limit)
    shown = [await _shown(exchange, job) for job in page.records]
    await exchange.json(_listed(shown, page.has_more))


async def read_batch(exchange: Exchange) -> None:
    """`GET /v1/batches/{id}`."""
    job = await _bulk(exchange).jobs.find(exchange.tail, exchange.caller.name)
    await exchange.json(await _shown(exchange, job))


async def continue_batch(exchange: Exchange) -> None:
    """`POST /v1/batches/{id}/cancel`, and `…/retry`, which is ours."""
    jobs, caller = _bulk(exchange).jobs, exchange.caller.name
    job_id, _, what = exchange.tail.partition("/")
    await _body(exchange)
    if what == "cancel":
        job = await jobs.cancel(job_id, caller)
    elif what == "retry":
        job = await jobs.retry(job_id, caller)
    else:
        raise NotFound("there is nothing at this path")
    await exchange.json(await _shown(exchange, job))


async def _shown(exchange: Exchange, job: Job) -> dict[str, Any]:
    return job.shown(await _bulk(exchange).jobs.totals(job))


# ---- pages ----


def _query(exchange: Exchange) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(exchange.query).items()}


def _limit(query: dict[str, str], default: int, most: int) -> int:
    text = query.get("limit", str(default))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004
    if not 1 <= limit <= most:
        raise RequestError(f"`limit` must be between 1 and {most}", "limit")
    return limit


def _listed(data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:  # noqa: FBT001
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
