"""
Anthropic's Message Batches.

Sources: platform.claude.com/docs/en/build-with-claude/batch-processing, Anthropic's SDK for Python
2.14, and the captured responses in github.com/OpenRouterTeam/docs, `docs/batch-research` (2026-09).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from ...errors import ErrorDetail
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import BadWire, Target
from ..native_batch import BatchState, FoundBy, Limits, NativeBatch, NativeLine, Page, Row
from ..native_batch_data import (
    encoded_body,
    failed_row,
    object_of,
    ok_row,
    read_object,
    rejection_of,
    required_text,
    seconds_of,
    text_of,
)
from .errors import STATUSES
from .provider import CODEC, PROVIDER

PATH = "/v1/messages/batches"

STATES: dict[str, BatchState] = {"in_progress": "in_progress", "canceling": "cancelling"}
"""All but `ended`, which says nothing about the results: each row has its own."""

_IDS = re.compile(r"[a-zA-Z0-9_-]{1,64}")

NEVER_RUN = {"canceled": "batch_cancelled", "expired": "batch_expired"}
"""
The types of rows without a response. Of these, and of `errored` ones, the guide says that they are
not billed; each line of a batch has a row. platform.claude.com/docs/en/build-with-claude/
batch-processing, "result types" (2026-09).
"""


class AnthropicBatches(Struct, frozen=True):
    """
    All lines are in the request that creates the batch, which has no label.

    So two batches with the same lines differ only by the ids in their results. A batch belongs to
    the workspace of its key, and ends 24 hours after its creation.
    """

    target: Target
    limits: Limits = Limits(lines=100_000, bytes=256_000_000, drain=120.0, window=3 * 3600.0)
    found_by: FoundBy = "none"

    @property
    def price_factor(self) -> float:
        """Half, for all models; the discount of cached tokens is on top of it."""
        return 0.5

    def rejection(self, line: NativeLine) -> str | None:
        """Why the line cannot be sent. A bad id rejects the batch; a bad body only its row."""
        if not _IDS.fullmatch(line.id):
            return "an id has up to 64 letters, digits, `_` and `-`"
        return rejection_of(line, self.data, self.limits.bytes)

    def data(self, lines: Iterable[NativeLine]) -> bytes:
        """The body that creates the batch."""
        requests = [{"custom_id": line.id, "params": self._params(line)} for line in lines]
        return json.encode({"requests": requests})

    def _params(self, line: NativeLine) -> dict[str, Any]:
        body = encoded_body(CODEC, line.request, self.target)
        return {name: value for name, value in body.items() if name != "stream"}

    def upload(self, _key: str, data: bytes, _last: WireResponse | None) -> str:
        """Nothing: the data is sent by `create`."""
        return data.decode()

    def create(self, _key: str, source: str) -> WireRequest:
        """The request with all lines."""
        return WireRequest(PATH, source.encode())

    def creation_status(self, response: WireResponse) -> int:
        return response.status

    def read(self, response: WireResponse) -> NativeBatch:
        """A batch. One that has ended is complete, also if it was cancelled or has expired."""
        return _batch(read_object(response.body))

    def poll(self, batch_id: str) -> WireRequest:
        """The batch's state. There may be a 404 for some minutes after its creation."""
        return WireRequest(f"{PATH}/{quote(batch_id, safe='')}", b"", "GET")

    def list(self, _key: str, cursor: str | None) -> WireRequest:
        """A page of the workspace's batches, newest first."""
        after = f"&after_id={quote(cursor, safe='')}" if cursor else ""
        return WireRequest(f"{PATH}?limit=1000{after}", b"", "GET")

    def read_page(self, response: WireResponse) -> Page:
        """The batches, and the last one's id if there are more."""
        value = read_object(response.body)
        data = value.get("data")
        if not isinstance(data, list):
            raise BadWire("the list of batches has no `data`")
        batches = tuple(_batch(one) for one in data if isinstance(one, dict))
        return Page(batches, text_of(value.get("last_id")) if value.get("has_more") else None)

    def cancel(self, batch_id: str) -> WireRequest:
        """What is finished stays; calls in flight may still end well."""
        return WireRequest(f"{PATH}/{quote(batch_id, safe='')}/cancel", b"")

    def results(self, batch: NativeBatch) -> tuple[WireRequest, ...]:
        """All rows, in any order; a 404 before the batch has ended."""
        if not batch.is_over:
            return ()
        return (WireRequest(f"{PATH}/{quote(batch.id, safe='')}/results", b"", "GET"),)

    def row(self, data: bytes) -> Row:
        """A row: succeeded, errored, canceled or expired."""
        value = read_object(data)
        row_id, result = required_text(value, "custom_id", "row"), value.get("result")
        if not isinstance(result, dict):
            raise BadWire("the row has no `result`")
        kind = str(result.get("type"))
        if kind == "succeeded":
            return ok_row(row_id, result.get("message"), CODEC, self.target)
        if kind != "errored":
            code = NEVER_RUN.get(kind)
            return Row(row_id, "not_run", error=ErrorDetail(f"the request was {kind}", code=code))
        outer = result.get("error")
        named = object_of(object_of(outer).get("error")) or object_of(outer)
        status = STATUSES.get(str(named.get("type")), 502)
        return failed_row(row_id, status, PROVIDER.explain(status, json.encode(outer)))


def _batch(value: dict[str, Any]) -> NativeBatch:
    found = required_text(value, "id", "batch")
    status = str(value.get("processing_status"))
    state: BatchState = "completed" if status == "ended" else STATES.get(status, "unknown")
    return NativeBatch(found, state, created_at=seconds_of(value.get("created_at")))


def make_batches(target: Target) -> AnthropicBatches:
    """The batches of one model; lines of several might be mixed, but are not."""
    return AnthropicBatches(target)
