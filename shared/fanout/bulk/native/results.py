"""The result files of a native batch as they arrive, so that none is in memory as a whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from msgspec.structs import replace

from ...errors import FanoutError
from ...providers.base import BadWire
from ...providers.native_batch import NativeBatch, Row
from ...providers.native_batch_data import is_cut
from ...wire import json
from ...wire.http import WireRequest
from .eligibility import Route
from .job import NativeJob

NO_FILE, NO_RANGE, PART = 404, 416, 206

UNREADABLE = (BadWire, FanoutError, *json.NOT_JSON)


class NotFetched(Exception):
    """A result file cannot be fetched now, or is cut."""


class _NoFile(Exception):
    """The provider has no such file."""


async def store_files(job: NativeJob, route: Route, batch: NativeBatch, folder: str) -> list[str]:
    """
    Store the files of a batch that is over as they are, below a folder; returns their keys.

    A file that its vendor has never written is not stored. Raises `NotFetched`.
    """
    is_unwritten = batch.state in route.batches.limits.unwritten
    keys: list[str] = []
    for number, request in enumerate(route.batches.results(batch)):
        key = f"{folder}/raw-{number}.jsonl"
        try:
            async with aclosing(_download(job, route, request)) as chunks:
                await job.blobs.write(key, chunks)
        except _NoFile:
            if not is_unwritten:
                raise NotFetched from None
        else:
            keys.append(key)
    return keys


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

    The request may ask for a range: then the others follow. RFC 9110, 14.
    """
    start = 0
    while True:
        began = start
        try:
            async with job.open(route.deployment, request) as response:
                status, headers = response.status, response.headers
                if status == NO_FILE:
                    raise _NoFile
                if status == NO_RANGE and not start:
                    return
                if not 200 <= status < 300:  # noqa: PLR2004
                    raise NotFetched
                async for chunk in response.body:
                    start += len(chunk)
                    yield chunk
        except FanoutError:
            raise NotFetched from None
        total = headers.get("content-range", "").rpartition("/")[2]
        if status != PART or not total.isdecimal() or start >= int(total):
            return
        if start == began:
            raise NotFetched
        more = f"bytes={start}-{2 * start - began - 1}"
        request = replace(request, headers={**request.headers, "range": more})


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
