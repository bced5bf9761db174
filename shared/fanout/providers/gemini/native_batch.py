"""
Batches of the Gemini API, whose input is an uploaded file.

Sources: ai.google.dev/gemini-api/docs/batch-api (2026-08), Google's SDK for Python 3.6, and the
captured responses in github.com/OpenRouterTeam/docs, `docs/batch-research` (2026-09).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from ...errors import ErrorDetail
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import Target
from ..native_batch import BatchState, Fault, FoundBy, Limits, NativeBatch, NativeLine, Page, Row
from ..native_batch_data import (
    encoded_body,
    failed_row,
    json_lines,
    object_of,
    ok_row,
    read_object,
    rejection_of,
    required_text,
    seconds_of,
    text_of,
    whole_number,
)
from . import wire
from .errors import explain_fault
from .provider import PROVIDER

STATES: Mapping[str, BatchState] = {
    "PENDING": "validating",
    "RUNNING": "in_progress",
    "SUCCEEDED": "completed",
    "FAILED": "failed",
    "EXPIRED": "expired",
    "CANCELLED": "cancelled",
}
"""
Behind `BATCH_STATE_`, as the API writes it, or `JOB_STATE_`, as the SDK does.

A cancelled batch may end as SUCCEEDED with rows of code 1, or as CANCELLED with or without rows.
"""

CANCELLED = 1
"""gRPC's code of a cancelled call: google/rpc/code.proto."""

STATUS_OF = {
    3: (400, "INVALID_ARGUMENT"),
    4: (504, "DEADLINE_EXCEEDED"),
    5: (404, "NOT_FOUND"),
    7: (403, "PERMISSION_DENIED"),
    8: (429, "RESOURCE_EXHAUSTED"),
    13: (500, "INTERNAL"),
    14: (503, "UNAVAILABLE"),
    16: (401, "UNAUTHENTICATED"),
}
"""The HTTP statuses and the names of gRPC's other codes."""

UPLOAD = "/upload/v1beta/files"


class GeminiBatches(Struct, frozen=True):
    """
    The model is in the path. A batch is found by its `displayName`.

    One that has not ended after 48 hours expires and has no rows at all, so it has to be cancelled
    before. Google does not say whether it bills what such a batch has done, so its lines may be
    billed. Rows with an error are not: ai.google.dev/gemini-api/docs/billing (2026-08). A cancelled
    batch without a file has never started, as captures show. Cached tokens cost what they do in
    real time.
    """

    target: Target
    limits: Limits = Limits(lines=200_000, bytes=2_000_000_000, drain=120.0)
    found_by: FoundBy = "key"

    @property
    def price_factor(self) -> float:
        """Half, for all models."""
        return 0.5

    def rejection(self, line: NativeLine) -> str | None:
        """Why the line cannot be sent: a malformed row rejects the whole batch."""
        return rejection_of(line, self.data, self.limits.bytes)

    def data(self, lines: Iterable[NativeLine]) -> bytes:
        """The input file: one request a line."""
        return json_lines(
            {"key": line.id, "request": encoded_body(PROVIDER.chat, line.request, self.target)}
            for line in lines
        )

    def upload(self, key: str, data: bytes, last: WireResponse | None) -> WireRequest | str:
        """Two requests: the first one's response names the address of the second."""
        if last is None:
            headers = {
                "x-goog-upload-protocol": "resumable",
                "x-goog-upload-command": "start",
                "x-goog-upload-header-content-length": str(len(data)),
                "x-goog-upload-header-content-type": "application/jsonl",
            }
            body = json.encode({"file": {"display_name": key}})
            return WireRequest(UPLOAD, body, headers=headers)
        if address := last.headers.get("x-goog-upload-url"):
            headers = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
            return WireRequest(_path_of(address), data, headers=headers)
        file = object_of(read_object(last.body).get("file"))
        return required_text(file, "name", "uploaded file")

    def create(self, key: str, source: str) -> WireRequest:
        """Not idempotent: a second call creates a second batch."""
        name = quote(f"models/{self.target.model}")
        batch = {"displayName": key, "inputConfig": {"fileName": source}}
        body = json.encode({"batch": batch})
        return WireRequest(f"/v1beta/{name}:batchGenerateContent", body)

    def creation_status(self, response: WireResponse) -> int:
        return response.status

    def read(self, response: WireResponse) -> NativeBatch:
        return _batch(read_object(response.body))

    def poll(self, batch_id: str) -> WireRequest:
        """The long-running operation, whose name begins with `batches/`."""
        return WireRequest(f"/v1beta/{quote(batch_id)}", b"", "GET")

    def list(self, _key: str, cursor: str | None) -> WireRequest:
        """A page of the project's batches."""
        more = f"&pageToken={quote(cursor, safe='')}" if cursor else ""
        return WireRequest(f"/v1beta/batches?pageSize=100{more}", b"", "GET")

    def read_page(self, response: WireResponse) -> Page:
        """The batches; an empty page has no `operations`."""
        value = read_object(response.body)
        found = value.get("operations")
        operations = found if isinstance(found, list) else []
        batches = tuple(_batch(one) for one in operations if isinstance(one, dict))
        return Page(batches, text_of(value.get("nextPageToken")))

    def cancel(self, batch_id: str) -> WireRequest:
        """The response is empty; DELETE would remove the rows and stop nothing."""
        return WireRequest(f"/v1beta/{quote(batch_id)}:cancel", b"")

    def results(self, batch: NativeBatch) -> tuple[WireRequest, ...]:
        """The file of responses, if there is one."""
        return tuple(
            WireRequest(f"/download/v1beta/{quote(name)}:download?alt=media", b"", "GET")
            for name in batch.outputs
        )

    def row(self, data: bytes) -> Row:
        """A row of the file, or an item of inline responses; both have the id, at other places."""
        value = read_object(data)
        outer = value if text_of(value.get("key")) else object_of(value.get("metadata"))
        row_id = required_text(outer, "key", "row")
        if isinstance(response := value.get("response"), dict):
            return ok_row(row_id, response, PROVIDER.chat, self.target)
        error = object_of(value.get("error"))
        code, message = whole_number(error.get("code")), text_of(error.get("message"))
        if code is None or code == CANCELLED:
            detail = ErrorDetail(message or "the row has no response", code="batch_cancelled")
            return Row(row_id, "not_run", error=detail)
        status, name = STATUS_OF.get(code, (502, ""))
        fault = wire.Fault(message or f"Google's code {code}", status, name)
        return failed_row(row_id, status, explain_fault(fault))


def _path_of(address: str) -> str:
    """The path and the query of the address that an upload is sent to; the host is the API's."""
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _batch(value: Mapping[str, Any]) -> NativeBatch:
    metadata = object_of(value.get("metadata"))
    outputs = {
        file
        for place in (value.get("response"), metadata.get("output"))
        if (file := text_of(object_of(place).get("responsesFile")))
    }
    message = text_of(object_of(value.get("error")).get("message"))
    return NativeBatch(
        required_text(value, "name", "operation"),
        STATES.get(str(metadata.get("state")).rpartition("STATE_")[2], "unknown"),
        text_of(metadata.get("displayName")),
        text_of(object_of(metadata.get("inputConfig")).get("fileName")),
        seconds_of(metadata.get("createTime")),
        tuple(sorted(outputs)),
        Fault("batch_failed", message) if message else None,
    )


def make_batches(target: Target) -> GeminiBatches:
    """The batches of one model."""
    return GeminiBatches(target)
