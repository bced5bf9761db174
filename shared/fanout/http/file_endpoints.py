"""`/v1/files` and `/v1/uploads`, with OpenAI's requests and responses."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct

from ..bulk.service.files import MAX_PART, MAX_UPLOAD
from ..bulk.service.new_job import parse_lifetime
from ..bulk.service.records import Job
from ..bulk.work.partial_results import responses_so_far
from ..errors import Busy, NotFound, RequestError
from ..schema.validation import convert
from ..wire import json
from .asgi import raw_headers
from .endpoints import parse_body
from .exchange import BatchService, Exchange
from .list_pages import limit_of, list_body, query_of
from .multipart_form import read_form

MAX_PARTS = 10_000
"""Parts of one upload."""

MAX_FILES = 10_000
"""The most files of one page."""

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


def batch_service_of(exchange: Exchange) -> BatchService:
    """The files and batches of this gateway; raises `NotFound` if it has none."""
    if exchange.batch_service is None:
        raise NotFound("this gateway has no files or batches")
    return exchange.batch_service.service


async def body_of(exchange: Exchange) -> object:
    """The request's JSON; an empty body is an empty object."""
    return await exchange.parsed(lambda body: parse_body(body) if body else {})


async def create_file(exchange: Exchange) -> None:
    """`POST /v1/files`: upload a file of batch lines."""
    files = batch_service_of(exchange).files
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
    query = query_of(exchange)
    if (order := query.get("order", "desc")) not in {"asc", "desc"}:
        raise RequestError("`order` must be `asc` or `desc`", "order")
    page = await batch_service_of(exchange).files.page(
        exchange.client.name,
        after=query.get("after"),
        limit=limit_of(query, MAX_FILES, MAX_FILES),
        newest_first=order == "desc",
        purpose=query.get("purpose"),
    )
    await exchange.json(list_body([record.to_dict() for record in page.records], page.has_more))


async def read_file(exchange: Exchange) -> None:
    """`GET /v1/files/{id}`: a file's record; `…/content`: its bytes."""
    files = batch_service_of(exchange).files
    file_id, _, what = exchange.tail.partition("/")
    if what not in {"", "content"}:
        raise NotFound("no such path")
    try:
        record = await files.find(file_id, exchange.client.name)
    except NotFound:
        if job := await batch_service_of(exchange).jobs.writer_of(file_id, exchange.client.name):
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
    service = batch_service_of(exchange)
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
    await batch_service_of(exchange).files.delete(exchange.tail, exchange.client.name)
    await exchange.json({"id": exchange.tail, "object": "file", "deleted": True})


async def create_upload(exchange: Exchange) -> None:
    """`POST /v1/uploads`: start an upload in parts."""
    files = batch_service_of(exchange).files
    upload = convert(await body_of(exchange), NewUpload)
    _check_file(upload.filename, upload.purpose)
    lifetime = parse_lifetime(upload.expires_after, "expires_after")
    record = await files.begin_upload(
        upload.filename, upload.purpose, upload.bytes, exchange.client.name, lifetime
    )
    await exchange.json(record.to_dict(None))


async def continue_upload(exchange: Exchange) -> None:
    """`POST /v1/uploads/{id}/parts`: add a part; `…/complete`: make it a file; `…/cancel`."""
    files, owner = batch_service_of(exchange).files, exchange.client.name
    upload_id, _, what = exchange.tail.partition("/")
    if what == "parts":
        await _add_part(exchange, upload_id)
    elif what == "complete":
        completion = convert(await body_of(exchange), Completion)
        done, file = await files.complete_upload(
            upload_id, owner, completion.part_ids, completion.md5
        )
        await exchange.json(done.to_dict(file))
    elif what == "cancel":
        await exchange.json((await files.cancel_upload(upload_id, owner)).to_dict(None))
    else:
        raise NotFound("no such path")


async def _add_part(exchange: Exchange, upload_id: str) -> None:
    files, part_ids = batch_service_of(exchange).files, list[str]()

    async def keep(pieces: AsyncIterator[bytes]) -> None:
        part_ids.append(await files.add_part(upload_id, exchange.client.name, pieces))

    limit = MAX_PART + FORM_OVERHEAD
    await read_form(exchange.receive, exchange.headers, "data", keep, limit)
    if not part_ids:
        raise RequestError("`data` is missing", "data", "missing_required_parameter")
    created = int(part_ids[0].removeprefix("part_")[:14], 16) // 1_000_000
    result = {"id": part_ids[0], "object": "upload.part", "upload_id": upload_id}
    await exchange.json({**result, "created_at": created})
