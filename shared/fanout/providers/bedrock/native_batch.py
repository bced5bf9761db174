"""
Bedrock's batch inference jobs, which read and write S3.

Sources: docs.aws.amazon.com/bedrock/latest/APIReference/API_CreateModelInvocationJob.html and the
user guide's "batch inference" (2026), and the service's model in botocore 1.44.
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
from ..native_batch import (
    Adoption,
    BatchState,
    Fault,
    Limits,
    NativeBatch,
    NativeLine,
    Page,
    Row,
    Stored,
)
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
from .models import find_model
from .provider import PROVIDER

STATES: Mapping[str, BatchState] = {
    "Submitted": "validating",
    "Validating": "validating",
    "Scheduled": "in_progress",
    "InProgress": "in_progress",
    "Completed": "completed",
    "PartiallyCompleted": "expired",  # out of time, with rows
    "Expired": "expired",  # never started
    "Failed": "failed",
    "Stopping": "cancelling",
    "Stopped": "cancelled",
}

PATH, ONE = "/model-invocation-jobs", "/model-invocation-job"

BUCKET, ROLE = "batch_uri", "batch_role"
"""Options of the deployment: a folder in S3, `s3://BUCKET/PREFIX`, and the role that uses it."""


class BedrockBatches(Struct, frozen=True):
    """
    A job of Converse requests for one model; the caller stores its input, and reads its output.

    These calls go to the service `bedrock`, not to `bedrock-runtime`. A second creation with the
    same token is ignored. `least` is the usual quota, which accounts may have changed.
    """

    target: Target
    limits: Limits = Limits(lines=50_000, bytes=1_000_000_000, drain=600.0, least=100)
    adoption: Adoption = "token"

    @property
    def price_factor(self) -> float:
        """Half, for most models; cached tokens have no discount."""
        return 0.5

    def rejection(self, line: NativeLine) -> str | None:
        """Why the line cannot be sent: Converse jobs take no tools, and only Converse's models."""
        if find_model(self.target).api != "converse":
            return "batches are for models with the Converse API"
        if line.request.tools or line.request.functions:
            return "batches take no tools"
        return rejection_of(line, self.data, self.limits.bytes)

    def data(self, lines: Iterable[NativeLine]) -> bytes:
        """The input object: one request a line."""
        return json_lines(
            {
                "recordId": line.id,
                "modelInput": encoded_body(PROVIDER.chat, line.request, self.target),
            }
            for line in lines
        )

    def _folder(self) -> str:
        return self.target.options.get(BUCKET, "").rstrip("/")

    def upload(self, key: str, _data: bytes, _last: WireResponse | None) -> Stored:
        """Where the input is to be stored."""
        return Stored(f"{self._folder()}/{key}.jsonl")

    def create(self, key: str, source: str) -> WireRequest:
        """A job; its results are beside its input, below the job's id."""
        body = {
            "jobName": key[:63],
            "clientRequestToken": key,
            "roleArn": self.target.options.get(ROLE, ""),
            "modelId": self.target.model,
            "modelInvocationType": "Converse",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": source}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"{self._folder()}/"}},
            "timeoutDurationInHours": 24,
        }
        return WireRequest(ONE, json.encode(body))

    def read(self, response: WireResponse) -> NativeBatch:
        """A job; the response to `create` has only its ARN."""
        return _job(read_object(response.body))

    def poll(self, batch_id: str) -> WireRequest:
        """The job of an ARN."""
        return WireRequest(f"{ONE}/{quote(batch_id, safe='')}", b"", "GET")

    def list(self, key: str, cursor: str | None) -> WireRequest:
        """The jobs whose name contains the key."""
        more = f"&nextToken={quote(cursor, safe='')}" if cursor else ""
        return WireRequest(f"{PATH}?nameContains={quote(key[:63], safe='')}{more}", b"", "GET")

    def read_page(self, response: WireResponse) -> Page:
        """The jobs of a page."""
        value = read_object(response.body)
        found = value.get("invocationJobSummaries")
        jobs = found if isinstance(found, list) else []
        batches = tuple(_job(one) for one in jobs if isinstance(one, dict))
        return Page(batches, text_of(value.get("nextToken")))

    def cancel(self, batch_id: str) -> WireRequest:
        """Processed records stay in S3, and only they are billed."""
        return WireRequest(f"{ONE}/{quote(batch_id, safe='')}/stop", b"")

    def results(self, batch: NativeBatch) -> tuple[Stored, ...]:
        """The object with a row for each processed record."""
        return tuple(Stored(uri) for uri in batch.outputs)

    def row(self, data: bytes) -> Row:
        """A record with its output or its error; it repeats the request."""
        value = read_object(data)
        row_id = required_text(value, "recordId", "row")
        if isinstance(output := value.get("modelOutput"), dict):
            return ok_row(row_id, output, PROVIDER.chat, self.target)
        error = value.get("error")
        if not isinstance(error, dict):
            return Row(row_id, "not_run", error=ErrorDetail("the row has no output"))
        status = whole_number(error.get("errorCode")) or 502
        message = text_of(error.get("errorMessage")) or f"error {status}"
        return failed_row(row_id, status, ErrorDetail(message))


def _job(value: Mapping[str, Any]) -> NativeBatch:
    arn = required_text(value, "jobArn", "job")
    source = _uri(value, "inputDataConfig", "s3InputDataConfig")
    folder = _uri(value, "outputDataConfig", "s3OutputDataConfig")
    outputs: tuple[str, ...] = ()
    if source and folder:
        name, job = source.rpartition("/")[2], arn.rpartition("/")[2]
        outputs = (f"{folder.rstrip('/')}/{job}/{name}.out",)
    message = text_of(value.get("message"))
    state = STATES.get(str(value.get("status")), "unknown") if "status" in value else "validating"
    return NativeBatch(
        arn,
        state,
        text_of(value.get("clientRequestToken")) or text_of(value.get("jobName")),
        source,
        seconds_of(value.get("submitTime")),
        outputs if state != "validating" else (),
        Fault("batch_failed", message) if message and state == "failed" else None,
    )


def _uri(value: Mapping[str, Any], *path: str) -> str | None:
    inner: Any = value
    for name in path:
        inner = object_of(inner).get(name)
    return text_of(object_of(inner).get("s3Uri"))


def make_batches(target: Target) -> BedrockBatches:
    """The jobs of one model."""
    return BedrockBatches(target)
