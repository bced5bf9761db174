"""
Bedrock's batch inference jobs, which read and write S3.

Sources: docs.aws.amazon.com/bedrock/latest/APIReference/API_CreateModelInvocationJob.html and the
user guide's "batch inference" (2026-11), and the service's model in botocore 1.44.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from ...errors import ErrorDetail, RequestError
from ...schema.request import ChatRequest
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..anthropic.provider import CODEC as ANTHROPIC
from ..anthropic.request import FIELDS, encode_body, write_body
from ..base import Codec, Target
from ..fields import UnsupportedFields
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
    object_of,
    ok_row,
    read_object,
    rejection_of,
    required_text,
    seconds_of,
    text_of,
    whole_number,
)
from .models import find_model, invokes_claude
from .pass_through import VERSION
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

JOBS, OBJECTS = "bedrock", "s3"
"""The services of the requests; models are called at `bedrock-runtime`."""

FOLDER, ROLE = "batch_uri", "batch_role"
"""Options of the deployment: a folder in S3, `s3://BUCKET/PREFIX`, and the role that uses it."""

PART = 16_000_000
"""Bytes of the output that are read at once: it has the input, too, and may be large."""

HOURS = 24
"""Until a job times out: the shortest time that there is, of up to 168 hours."""

QUOTAS = Limits(
    lines=50_000,
    bytes=1_000_000_000,
    drain=600.0,
    least=100,
    unwritten=frozenset({"cancelled", "failed"}),
    unrun=NOT_BEGUN | {"expired"},
)
"""
The usual quotas of a job and its file, which an account may have changed. AWS lists them in Service
Quotas, which was not read: the numbers are those that users report (November 2026). A job beyond
its account's quota is rejected when it is created. How long a stop takes is a guess. A job that is
stopped, fails or times out before its first record has no output. Only processed records are
billed: "You're charged for tokens that have already been processed". AWS does not say that each of
them is in the output of a job that was stopped
(docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-stop.html, 2026-11).
"""

STATUSES = {"ConflictException": 409, "ServiceQuotaExceededException": 429}
"""What a 400 means by its name: the job may exist, or too many jobs are open."""


class BedrockBatches(Struct, frozen=True):
    """
    A job of requests for one model, whose input and output are objects in S3.

    Claude is invoked with Anthropic's API, all others with Converse, whose jobs take no tools. A
    second creation with the same token is ignored.
    """

    target: Target
    limits: Limits = QUOTAS
    found_by: FoundBy = "token"

    @property
    def price_factor(self) -> float:
        """Half, for most models; cached tokens have no discount."""
        return 0.5

    def rejection(self, line: NativeLine) -> str | None:
        """Why the line cannot be sent."""
        if find_model(self.target).api != "converse":
            return "batches are for models with the Converse API"
        return rejection_of(line, self._checked_data, self.limits.bytes)

    def _checked_data(self, lines: Iterable[NativeLine]) -> bytes:
        data = self.data(lines)
        if TOOLS in data:
            raise RequestError("batches of this model take no tools")
        return data

    @property
    def _codec(self) -> Codec:
        return CLAUDE if invokes_claude(self.target) else PROVIDER.chat

    def data(self, lines: Iterable[NativeLine]) -> bytes:
        """The input object: one request a line."""
        return json_lines(
            {
                "recordId": line.id,
                "modelInput": encoded_body(self._codec, line.request, self.target),
            }
            for line in lines
        )

    def _folder(self) -> str:
        return self.target.options.get(FOLDER, "").rstrip("/")

    def upload(self, key: str, data: bytes, last: WireResponse | None) -> WireRequest | str:
        """The input object, whose address is the job's input."""
        address = f"{self._folder()}/{key}.jsonl"
        return address if last is not None else _object("PUT", address, data)

    def create(self, key: str, source: str) -> WireRequest:
        """A job; its results are beside its input, below the job's id."""
        body = {
            "jobName": key[:63],
            "clientRequestToken": key,
            "roleArn": self.target.options.get(ROLE, ""),
            "modelId": find_model(self.target).id,
            "modelInvocationType": "InvokeModel" if self._codec is CLAUDE else "Converse",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": source}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"{self._folder()}/"}},
            "timeoutDurationInHours": HOURS,
        }
        return WireRequest(ONE, json.encode(body), service=JOBS)

    def creation_status(self, response: WireResponse) -> int:
        """The status; that of a conflict and of an exceeded quota is 400."""
        return STATUSES.get(_error_name(response), response.status)

    def read(self, response: WireResponse) -> NativeBatch:
        """A job; the response to `create` has only its ARN."""
        return _job(read_object(response.body))

    def poll(self, batch_id: str) -> WireRequest:
        """The job of an ARN."""
        return WireRequest(f"{ONE}/{quote(batch_id, safe='')}", b"", "GET", service=JOBS)

    def list(self, key: str, cursor: str | None) -> WireRequest:
        """The jobs whose name contains the key."""
        more = f"&nextToken={quote(cursor, safe='')}" if cursor else ""
        path = f"{PATH}?nameContains={quote(key[:63], safe='')}{more}"
        return WireRequest(path, b"", "GET", service=JOBS)

    def read_page(self, response: WireResponse) -> Page:
        """The jobs of a page."""
        value = read_object(response.body)
        found = value.get("invocationJobSummaries")
        jobs = found if isinstance(found, list) else []
        batches = tuple(_job(one) for one in jobs if isinstance(one, dict))
        return Page(batches, text_of(value.get("nextToken")))

    def cancel(self, batch_id: str) -> WireRequest:
        """Processed records stay in S3, and only they are billed."""
        return WireRequest(f"{ONE}/{quote(batch_id, safe='')}/stop", b"", service=JOBS)

    def results(self, batch: NativeBatch) -> tuple[WireRequest, ...]:
        """The object with a row for each processed record."""
        part = {"range": f"bytes=0-{PART - 1}"}
        return tuple(replace(_object("GET", one), headers=part) for one in batch.outputs)

    def row(self, data: bytes) -> Row:
        """A record with its output or its error; it repeats the request."""
        value = read_object(data)
        row_id = required_text(value, "recordId", "row")
        if isinstance(output := value.get("modelOutput"), dict):
            return ok_row(row_id, output, self._codec, self.target)
        error = value.get("error")
        if not isinstance(error, dict):
            return Row(row_id, "not_run", error=ErrorDetail("the row has no output"))
        status = whole_number(error.get("errorCode")) or 502
        message = text_of(error.get("errorMessage")) or f"error {status}"
        return failed_row(row_id, status, ErrorDetail(message))


def _encode_claude(request: ChatRequest, target: Target, _stream: bool) -> WireRequest:  # noqa: FBT001
    """
    The body of InvokeModel for Claude; the caller adds its place.

    Source: docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages
    .html, 2026-11. Images and documents are data, not addresses.
    """
    unsupported = UnsupportedFields(target, "Bedrock")
    kind = find_model(target).kind
    body = encode_body(request, kind, unsupported, FIELDS - {"cache_control"})
    data = write_body({"anthropic_version": VERSION, **body}, unsupported)
    if any(source in data for source in BY_NAME):
        raise RequestError("batches take no URLs and no ids of files: send the data itself")
    return WireRequest("", data, dropped=unsupported.dropped)


TOOLS = b'"toolConfig":'
"""In the body of Converse; a job fails the records that have it."""

BY_NAME = (b'"source":{"type":"url"', b'"source":{"type":"file"')
"""In a body of InvokeModel. In texts, quotes are escaped, so no text has these bytes."""

CLAUDE = replace(ANTHROPIC, encode=_encode_claude)


def _object(method: str, address: str, data: bytes = b"") -> WireRequest:
    """The request for an object of S3, by its bucket's path."""
    path = quote(address.removeprefix("s3:/"), safe="/-_.~")
    return WireRequest(path, data, method, service=OBJECTS)


def _error_name(response: WireResponse) -> str:
    """AWS's name of an error, which may have an address after it."""
    return response.headers.get("x-amzn-errortype", "").partition(":")[0]


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
        outputs if state != "validating" and value.get("status") != "Expired" else (),
        Fault("batch_failed", message) if message and state == "failed" else None,
    )


def _uri(value: Mapping[str, Any], *path: str) -> str | None:
    inner: Any = value
    for name in path:
        inner = object_of(inner).get(name)
    return text_of(object_of(inner).get("s3Uri"))


def make_batches(target: Target) -> BedrockBatches | None:
    """The jobs of one model; `None` if the config names no bucket and no role for them."""
    is_complete = FOLDER in target.options and ROLE in target.options
    return BedrockBatches(target) if is_complete else None
