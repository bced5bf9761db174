"""The result files of a native batch as they arrive, so that none is in memory as a whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from msgspec import Struct
from msgspec.structs import replace

from ...errors import FanoutError
from ...providers.base import BadWire
from ...providers.native_batch import NativeBatch, Row
from ...providers.native_batch_data import is_cut
from ...transport.engine import Incoming
from ...wire import json
from ...wire.http import WireRequest
from .eligibility import Route
from .job import NativeJob

NO_FILE, NO_RANGE, PART = 404, 416, 206

MOST_BREAKS = 50
"""Times that the rest of a file is asked for at once; then all of it is, later."""

UNREADABLE = (BadWire, FanoutError, *json.NOT_JSON)


class NotFetched(Exception):
    """A result file cannot be fetched now, or is cut."""


class _NoFile(NotFetched):
    """The provider has no such file."""


class StoredFiles(Struct):
    """The keys of a batch's files as far as they have arrived, and whether some are not whole."""

    keys: list[str]
    is_cut: bool = False


async def store_files(job: NativeJob, route: Route, batch: NativeBatch, folder: str) -> StoredFiles:
    """
    Store the files of a batch that is over as they are, below a folder.

    A file that its vendor has never written is not stored. Of a file that does not arrive as a
    whole, the longest part stays of all times that it was asked for.
    """
    is_unwritten = batch.state in route.batches.limits.unwritten
    found = StoredFiles([])
    for number, request in enumerate(route.batches.results(batch)):
        key = f"{folder}/raw-{number}.jsonl"
        longest = f"{folder}/longest-{number}.jsonl"
        await _keep_longer(job, key, longest)
        try:
            found.is_cut |= await _store_file(job, route, request, key)
        except _NoFile:
            if is_unwritten:
                continue
            found.is_cut = True
        except NotFetched:
            found.is_cut = True
        sizes = {name: await job.blobs.size(name) for name in (key, longest)}
        arrived = {name: size for name, size in sizes.items() if size is not None}
        if arrived:
            found.keys.append(max(arrived, key=lambda name: arrived[name]))
    return found


async def _keep_longer(job: NativeJob, key: str, longest: str) -> None:
    """Copy what is stored of a file, before it is written again, if it is the longest so far."""
    size = await job.blobs.size(key)
    if size is not None and size > (await job.blobs.size(longest) or 0):
        await job.blobs.write(longest, job.blobs.read(key))


async def _store_file(job: NativeJob, route: Route, request: WireRequest, key: str) -> bool:
    """Store what arrives of a file; whether it is cut. Raises `NotFetched` if nothing arrives."""
    is_cut = False

    async def arriving(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        nonlocal is_cut
        has_some = False
        try:
            async for chunk in chunks:
                yield chunk
                has_some = True
        except NotFetched:
            if not has_some:
                raise
            is_cut = True

    async with aclosing(_download(job, route, request)) as chunks:
        await job.blobs.write(key, arriving(chunks))
    return is_cut


async def ids_of(job: NativeJob, route: Route, batch: NativeBatch) -> AsyncGenerator[str, None]:
    """The ids of the rows of a batch that is over, whose files are not stored."""
    for request in route.batches.results(batch):
        try:
            async with aclosing(_download(job, route, request)) as chunks:
                async for data in _lines(chunks):
                    if (row := read_row(route, data)) is not None:
                        yield row.id
        except _NoFile:
            if batch.state not in route.batches.limits.unwritten:
                raise NotFetched from None


async def stored_rows(job: NativeJob, route: Route, key: str) -> AsyncIterator[Row | None]:
    """
    Each row of a stored file; `None` for what is no row.

    Raises `NotFetched` after the last whole row if the file is cut in the next one.
    """
    async with aclosing(_lines(job.blobs.read(key))) as lines:
        async for data in lines:
            yield read_row(route, data)


def read_row(route: Route, data: bytes) -> Row | None:
    """A row; `None` if these bytes are none."""
    try:
        return route.batches.row(data)
    except UNREADABLE:
        return None


async def _download(
    job: NativeJob, route: Route, request: WireRequest
) -> AsyncGenerator[bytes, None]:
    """
    The bytes of a file. Raises `_NoFile` or `NotFetched`.

    The request may ask for a range: then the others follow. RFC 9110, 14. The rest of a response
    that breaks off is asked for, too; a provider without ranges sends the whole file again.
    """
    start = breaks = 0
    headers: Mapping[str, str] = {}
    while True:
        began = start
        try:
            async with job.open(route.deployment, request) as response:
                status, headers = response.status, response.headers
                if status == NO_FILE:
                    raise _NoFile
                if status == NO_RANGE and not start:
                    return
                if not 200 <= status < 300 or (start and not _begins_at(response, start)):  # noqa: PLR2004
                    raise NotFetched
                async for chunk in response.body:
                    start += len(chunk)
                    yield chunk
        except FanoutError:
            breaks += 1
            if start == began or breaks > MOST_BREAKS or "content-encoding" in headers:
                raise NotFetched from None
            request = replace(request, headers={**request.headers, "range": f"bytes={start}-"})
            continue
        total = headers.get("content-range", "").rpartition("/")[2]
        if status != PART or not total.isdecimal() or start >= int(total):
            return
        if start == began:
            raise NotFetched
        more = f"bytes={start}-{2 * start - began - 1}"
        request = replace(request, headers={**request.headers, "range": more})


def _begins_at(response: Incoming, start: int) -> bool:
    """Whether a response is the part of a file from this byte on."""
    part = response.headers.get("content-range", "")
    return response.status == PART and part.startswith(f"bytes {start}-")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The lines of a result file, but for blank ones. Raises `NotFetched` if the last is cut."""
    rest: list[bytes] = []
    async for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for part in whole:
            line = b"".join([*rest, part])
            rest = []
            if line.strip():
                yield line
        rest.append(last)
    if (line := b"".join(rest)).strip():
        if is_cut(line):
            raise NotFetched
        yield line
