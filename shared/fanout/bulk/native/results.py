"""Fetches the result files of a native batch, and reads their rows: ids count, not counters."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from ...disk.threads import in_thread
from ...errors import FanoutError
from ...providers.base import BadWire
from ...providers.native_batch import NativeBatch, Row
from ...providers.native_batch_data import data_lines, is_cut
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from .eligibility import Route
from .job import NativeJob, is_good

NO_FILE, NO_RANGE, PART = 404, 416, 206

UNREADABLE = (BadWire, FanoutError, *json.NOT_JSON)


class Rows(Struct):
    """
    The rows of a batch by id, and its files' bytes.

    `repeated` counts the rows of an id after the first, `unreadable` what is no row.
    """

    files: list[bytes] = field(default_factory=list)
    by_id: dict[str, Row] = field(default_factory=dict)
    repeated: int = 0
    unreadable: int = 0

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self.by_id)


async def fetch(job: NativeJob, route: Route, batch: NativeBatch) -> Rows | None:
    """
    All rows of a batch that is over; `None` if a file cannot be fetched, or is cut.

    A file that its vendor has never written has no rows.
    """
    rows, is_unwritten = Rows(), batch.state in route.batches.limits.unwritten
    for request in route.batches.results(batch):
        response = await job.ask(route, request)
        if response is not None and response.status == NO_FILE and is_unwritten:
            continue
        data = await _whole(job, route, request, response)
        if data is None or not await in_thread(_read, route, data, rows):
            return None
    return rows


async def _whole(
    job: NativeJob, route: Route, request: WireRequest, response: WireResponse | None
) -> bytes | None:
    """The file, of which the request may ask for a range: then the others follow. RFC 9110, 14."""
    data = bytearray()
    while response is not None and is_good(response):
        data += response.body
        total = response.headers.get("content-range", "").rpartition("/")[2]
        if response.status != PART or not total.isdecimal() or len(data) >= int(total):
            return bytes(data)
        if not response.body:
            return None
        end = len(data) + len(response.body) - 1
        headers = {**request.headers, "range": f"bytes={len(data)}-{end}"}
        response = await job.ask(route, replace(request, headers=headers))
    is_empty = response is not None and response.status == NO_RANGE and not data
    return b"" if is_empty else None


def _read(route: Route, data: bytes, rows: Rows) -> bool:
    """Add the rows of a file; `False` if its last row is cut."""
    if is_cut(data):
        return False
    rows.files.append(data)
    for line in data_lines(data):
        try:
            row = route.batches.row(line)
        except UNREADABLE:
            rows.unreadable += 1
            continue
        if row.id in rows.by_id:
            rows.repeated += 1
        else:
            rows.by_id[row.id] = row
    return True
