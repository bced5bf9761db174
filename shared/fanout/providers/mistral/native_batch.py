"""
Mistral's batch jobs.

Sources: docs.mistral.ai/capabilities/batch, Mistral's SDK for Python 3.7, and the captured
responses in github.com/OpenRouterTeam/docs, `docs/batch-research` (2026-09).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import Codec, Explain, Target
from ..native_batch import BatchState, Fault, FoundBy, Limits, NativeBatch, NativeLine, Page, Row
from ..native_batch_data import (
    encoded_body,
    json_lines,
    multipart,
    object_of,
    read_object,
    rejection_of,
    required_text,
    seconds_of,
    text_of,
)
from ..openai.native_batch import KEY, OpenAIBatches

STATES: Mapping[str, BatchState] = {
    "QUEUED": "validating",
    "RUNNING": "in_progress",
    "SUCCESS": "completed",
    "FAILED": "failed",
    "TIMEOUT_EXCEEDED": "expired",
    "CANCELLATION_REQUESTED": "cancelling",
    "CANCELLED": "cancelled",
}

PAGE = 100


class MistralBatches(Struct, frozen=True):
    """
    The model is the job's, not a line's. A list can be filtered by the key.

    Mistral does not say what it bills of a job that exceeds its time, so lines without a row may be
    billed. A cancelled job had a row for each line that was done, in captures.
    """

    chat: Codec
    explain: Explain
    target: Target
    limits: Limits = Limits(lines=1_000_000, bytes=512_000_000, drain=120.0)
    found_by: FoundBy = "key"

    @property
    def price_factor(self) -> float:
        """Half, for all models."""
        return 0.5

    def rejection(self, line: NativeLine) -> str | None:
        """Why the line cannot be sent: one that is invalid fails the whole upload."""
        return rejection_of(line, self.data, self.limits.bytes)

    def data(self, lines: Iterable[NativeLine]) -> bytes:
        """The input file; the API accepts the same id twice, so ids are checked before."""
        bodies = ((line.id, encoded_body(self.chat, line.request, self.target)) for line in lines)
        return json_lines(
            {"custom_id": name, "body": {k: v for k, v in body.items() if k != "model"}}
            for name, body in bodies
        )

    def upload(self, key: str, data: bytes, last: WireResponse | None) -> WireRequest | str:
        """One form; the response has the file's id."""
        if last is not None:
            return required_text(read_object(last.body), "id", "uploaded file")
        kind, body = multipart({"purpose": "batch"}, f"{key}.jsonl", data)
        return WireRequest("/files", body, headers={"content-type": kind})

    def create(self, key: str, source: str) -> WireRequest:
        """A job of one file and one model."""
        body = {
            "input_files": [source],
            "model": self.target.model,
            "endpoint": "/v1/chat/completions",
            "timeout_hours": 24,
            "metadata": {KEY: key},
        }
        return WireRequest("/batch/jobs", json.encode(body))

    def creation_status(self, response: WireResponse) -> int:
        return response.status

    def read(self, response: WireResponse) -> NativeBatch:
        return _job(read_object(response.body))

    def poll(self, batch_id: str) -> WireRequest:
        return WireRequest(f"/batch/jobs/{quote(batch_id, safe='')}", b"", "GET")

    def list(self, key: str, cursor: str | None) -> WireRequest:
        """The jobs with this key."""
        label = quote(json.encode({KEY: key}).decode(), safe="")
        page = quote(cursor or "0", safe="")
        path = f"/batch/jobs?metadata={label}&page={page}&page_size={PAGE}"
        return WireRequest(path, b"", "GET")

    def read_page(self, response: WireResponse) -> Page:
        """A page; all jobs with one key are on the first."""
        found = read_object(response.body).get("data")
        jobs = found if isinstance(found, list) else []
        return Page(tuple(_job(one) for one in jobs if isinstance(one, dict)))

    def cancel(self, batch_id: str) -> WireRequest:
        return WireRequest(f"/batch/jobs/{quote(batch_id, safe='')}/cancel", b"")

    def results(self, batch: NativeBatch) -> tuple[WireRequest, ...]:
        """The output file and the error file; a cancelled job has them, too."""
        return tuple(
            WireRequest(f"/files/{quote(name, safe='')}/content", b"", "GET")
            for name in batch.outputs
        )

    def row(self, data: bytes) -> Row:
        """A row as OpenAI's; in the error file, the body is JSON in a text."""
        return OpenAIBatches(self.chat, self.explain, self.target, self.limits).row(data)


def _job(value: Mapping[str, Any]) -> NativeBatch:
    inputs = value.get("input_files")
    outputs = (text_of(value.get("output_file")), text_of(value.get("error_file")))
    return NativeBatch(
        required_text(value, "id", "job"),
        STATES.get(str(value.get("status")), "unknown"),
        text_of(object_of(value.get("metadata")).get(KEY)),
        text_of(inputs[0]) if isinstance(inputs, list) and inputs else None,
        seconds_of(value.get("created_at")),
        tuple(name for name in outputs if name),
        _fault(value),
    )


def _fault(value: Mapping[str, Any]) -> Fault | None:
    """The first error of a job that failed, without a code. Jobs that end well may have errors."""
    errors = value.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    if value.get("status") != "FAILED" or not isinstance(first, dict):
        return None
    return Fault("batch_failed", text_of(first.get("message")) or "")
