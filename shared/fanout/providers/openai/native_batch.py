"""
OpenAI's Batch API, and those of vendors with the same API, which are rows.

Sources: platform.openai.com/docs/guides/batch and its reference (2026-09); learn.microsoft.com's
"Azure OpenAI batch" (2026); Groq's SDK for Python 1.7; docs.together.ai/docs/inference/batch and
the captured responses in github.com/OpenRouterTeam/docs, `docs/batch-research` (2026-09).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from ...errors import ErrorDetail
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import BadWire, Codec, Explain, Target
from ..native_batch import (
    NOT_BEGUN,
    BatchState,
    Fault,
    FoundBy,
    Limits,
    NativeBatch,
    NativeLine,
    Page,
    Row,
)
from ..native_batch_data import (
    encoded_body,
    failed_row,
    json_lines,
    multipart,
    object_of,
    ok_row,
    read_object,
    rejection_of,
    required_text,
    seconds_of,
    text_of,
    whole_number,
)
from .responses.models import has_only_responses

RESPONSES = "/v1/responses"
"""The endpoint of a batch for models that have no chat completions."""

STATES: Mapping[str, BatchState] = {
    "validating": "validating",
    "in_progress": "in_progress",
    "finalizing": "finalizing",
    "completed": "completed",
    "failed": "failed",
    "expired": "expired",
    "cancelling": "cancelling",
    "canceling": "cancelling",  # Together's, in capitals and not in its reference
    "cancelled": "cancelled",
}

KEY = "fanout_key"
"""The field of a batch's `metadata` that has its key."""

NOT_RUN = frozenset({"batch_cancelled", "batch_expired"})
"""The codes of rows that were not executed."""

UNRUN: frozenset[BatchState] = NOT_BEGUN | frozenset({"expired"})
"""
Ends of batches without a file that have run no line. Of an expired one, "any already completed work
is returned", and that is charged: help.openai.com/en/articles/9197833-batch-api-faq (2026-11). Each
other line has a row. A finished line was seen to have none after a cancel.
"""


class OpenAIBatches(Struct, frozen=True):
    """
    The codec of one vendor; `chat` translates its lines.

    `discounted` are the models with a lower price, by the beginning of their names; `None` if all
    have it. With `bare`, lines have no `method` and `url`, and a batch no `metadata`. `prefix` is
    what the paths begin with, `endpoint` what the lines are
    for.
    """

    chat: Codec
    explain: Explain
    target: Target
    limits: Limits
    factor: float = 0.5
    discounted: tuple[str, ...] | None = None
    found_by: FoundBy = "key"
    prefix: str = ""
    upload_path: str = "/files"
    purpose: str = "batch"
    bare: bool = False
    endpoint: str = "/v1/chat/completions"

    @property
    def price_factor(self) -> float:
        """Half, for the models that the vendor discounts."""
        has_discount = self.discounted is None or self.target.model.startswith(self.discounted)
        return self.factor if has_discount else 1.0

    def rejection(self, line: NativeLine) -> str | None:
        """Why the line cannot be sent; one bad line fails all of an OpenAI batch."""
        most = self.limits.line_bytes or self.limits.bytes
        return rejection_of(line, self.data, most)

    def data(self, lines: Iterable[NativeLine]) -> bytes:
        """The input file: one request a line."""
        return json_lines(self._line(line) for line in lines)

    def _line(self, line: NativeLine) -> dict[str, Any]:
        body = encoded_body(self.chat, line.request, self.target)
        body = {"model": self.target.model, **body}
        if self.bare:
            return {"custom_id": line.id, "body": body}
        return {
            "custom_id": line.id,
            "method": "POST",
            "url": self.endpoint,
            "body": body,
        }

    def upload(self, key: str, data: bytes, last: WireResponse | None) -> WireRequest | str:
        """One form; the response has the file's id."""
        if last is not None:
            return required_text(read_object(last.body), "id", "response")
        name = f"{key}.jsonl"
        fields = {"purpose": self.purpose}
        if self.bare:
            fields["file_name"] = name
        kind, body = multipart(fields, name, data)
        return WireRequest(f"{self.prefix}{self.upload_path}", body, headers={"content-type": kind})

    def create(self, key: str, source: str) -> WireRequest:
        """The batch of an uploaded file."""
        body: dict[str, Any] = {
            "input_file_id": source,
            "endpoint": self.endpoint,
            "completion_window": "24h",
        }
        if not self.bare:
            body["metadata"] = {KEY: key}
        return WireRequest(f"{self.prefix}/batches", json.encode(body))

    def creation_status(self, response: WireResponse) -> int:
        return response.status

    def read(self, response: WireResponse) -> NativeBatch:
        """A batch object; Together's response to `create` has it in `job`."""
        value = read_object(response.body)
        inner = value.get("job")
        return _batch(inner if isinstance(inner, dict) else value)

    def poll(self, batch_id: str) -> WireRequest:
        return WireRequest(f"{self.prefix}/batches/{quote(batch_id, safe='')}", b"", "GET")

    def list(self, _key: str, cursor: str | None) -> WireRequest:
        """A page of the newest batches: the API has no filter by metadata."""
        query = "?limit=100" + (f"&after={quote(cursor, safe='')}" if cursor else "")
        return WireRequest(f"{self.prefix}/batches{'' if self.bare else query}", b"", "GET")

    def read_page(self, response: WireResponse) -> Page:
        """OpenAI's list, or Together's bare array."""
        value: Any = json.decode_or_none(response.body)
        found = value.get("data") if isinstance(value, dict) else value
        if not isinstance(found, list):
            raise BadWire("the list of batches has no `data`")
        batches = tuple(_batch(one) for one in found if isinstance(one, dict))
        has_more = isinstance(value, dict) and value.get("has_more") is True and batches
        return Page(batches, batches[-1].id if has_more else None)

    def cancel(self, batch_id: str) -> WireRequest:
        return WireRequest(f"{self.prefix}/batches/{quote(batch_id, safe='')}/cancel", b"")

    def results(self, batch: NativeBatch) -> tuple[WireRequest, ...]:
        """The output file and the error file, as far as they exist."""
        return tuple(
            WireRequest(f"{self.prefix}/files/{quote(name, safe='')}/content", b"", "GET")
            for name in batch.outputs
        )

    def row(self, data: bytes) -> Row:
        """A row of either file. A status of 0, seen in completed batches, is not a response."""
        value = read_object(data)
        row_id = required_text(value, "custom_id", "row")
        if isinstance(response := value.get("response"), dict):
            return self._responded(row_id, response)
        error = object_of(value.get("error"))
        code, message = text_of(error.get("code")), text_of(error.get("message"))
        detail = ErrorDetail(message or "the row has no response", code=code)
        if code in NOT_RUN or code is None:
            return Row(row_id, "not_run", error=detail)
        status = 400 if code == "batch_client_error" else 502
        return failed_row(row_id, status, detail)

    def _responded(self, row_id: str, response: Mapping[str, Any]) -> Row:
        status, body = whole_number(response.get("status_code")) or 0, response.get("body")
        if isinstance(body, str):  # Mistral's error files
            body = json.decode_or_none(body.encode()) or {"message": body}
        if 200 <= status < 300:  # noqa: PLR2004
            return ok_row(row_id, body, self.chat, self.target)
        if status == 0:
            return Row(row_id, "not_run", error=ErrorDetail("the row has no status"))
        return failed_row(row_id, status, self.explain(status, json.encode(body)))


def _batch(value: Mapping[str, Any]) -> NativeBatch:
    outputs = (text_of(value.get("output_file_id")), text_of(value.get("error_file_id")))
    return NativeBatch(
        required_text(value, "id", "response"),
        STATES.get(str(value.get("status")).lower(), "unknown"),
        text_of(object_of(value.get("metadata")).get(KEY)),
        text_of(value.get("input_file_id")),
        seconds_of(value.get("created_at")),
        tuple(name for name in outputs if name),
        _fault(value),
    )


def _fault(value: Mapping[str, Any]) -> Fault | None:
    """The first error of a batch that failed as a whole; Together has one text."""
    if message := text_of(value.get("error")):
        return Fault("batch_failed", message)
    listed = object_of(value.get("errors")).get("data")
    first = listed[0] if isinstance(listed, list) and listed else None
    if not isinstance(first, dict):
        return None
    code, message = text_of(first.get("code")), text_of(first.get("message"))
    return Fault(code or "batch_failed", message or "", whole_number(first.get("line")))


def make_batches(target: Target) -> OpenAIBatches:
    """OpenAI's own batches. A batch ends 24 hours after its creation, with what is finished."""
    from .provider import PROVIDER

    limits = Limits(lines=50_000, bytes=200_000_000, drain=600.0, unrun=UNRUN)
    batches = OpenAIBatches(PROVIDER.chat, PROVIDER.explain, target, limits)
    return replace(batches, endpoint=RESPONSES) if has_only_responses(target.model) else batches
