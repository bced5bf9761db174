"""Fetches the result files of a native batch, and reads their rows: ids count, not counters."""

from __future__ import annotations

from msgspec import Struct, field

from ...disk.threads import in_thread
from ...errors import FanoutError
from ...providers.base import BadWire
from ...providers.native_batch import NativeBatch, Row, Stored
from ...providers.native_batch_data import data_lines, is_cut
from ...wire import json
from .eligibility import Route
from .job import NativeJob, is_good

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
    """All rows of a batch that is over; `None` if a file cannot be fetched, or is cut."""
    rows = Rows()
    for request in route.batches.results(batch):
        if isinstance(request, Stored):
            return None
        response = await job.ask(route, request)
        if response is None or not is_good(response):
            return None
        if not await in_thread(_read, route, response.body, rows):
            return None
    return rows


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
