"""
Bedrock's batch inference jobs: the control plane, and the objects in S3.

Source tags: see `double.py`. MODEL: the service's model in botocore 1.44.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fanout.wire.http import WireRequest, WireResponse

from .bill import RECEIVED, Lane, tokens_of
from .double import Double, Route
from .timeline import Batch, Failure, Line, Result
from .wire import Rows, json_rows, read_rows, reply, rfc3339, text_of

STATES = {
    "validating": "Validating",
    "in_progress": "InProgress",
    "finalizing": "InProgress",
    "completed": "Completed",
    "failed": "Failed",
    "cancelling": "Stopping",
    "cancelled": "Stopped",
}
"""MODEL. A job that ran out of time is PartiallyCompleted, or Expired if it has no results."""

ERRORS = {400: "ValidationException", 404: "ResourceNotFoundException", 429: "ThrottlingException"}

JOB_NAME = re.compile(r"[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\+\-\.]){0,63}")
"""MODEL: `ModelInvocationJobName`, which has at most 63 characters."""


class BedrockDouble(Double):
    """
    The jobs of one account and region. `objects` are the objects of S3, by their address.

    Jobs have at least `least_lines` records, by DOC a quota of 100.
    """

    vendor = "bedrock"
    row_id = "recordId"
    least_lines = 100
    strange_state = "Resting"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.objects: dict[str, bytes] = {}

    def routes(self) -> Sequence[Route]:
        one = "/model-invocation-job/(?P<id>[^/]+)"
        return (
            ("POST", "/model-invocation-job", self.create),
            ("GET", "/model-invocation-jobs", self.list),
            ("GET", one, self.poll),
            ("POST", f"{one}/stop", self.stop),
            ("POST", "/model/(?P<model>[^/]+)/converse", self.realtime),
        )

    def error(self, status: int, message: str, code: str | None = None) -> WireResponse:
        name = code or ERRORS.get(status, "InternalServerException")
        return reply({"message": message}, status, x_amzn_errortype=name)

    # ---- S3 ----

    async def put(self, uri: str, data: bytes) -> None:
        """Store an object."""
        self.objects[uri] = data

    async def get(self, uri: str) -> bytes | None:
        """An object; the results of a job are there when it is over. `None` if there is none."""
        for job in self.batches.values():
            if uri.startswith(self._folder(job)) and job.is_over(self.clock()):
                return self._result(job, uri)
        return self.objects.get(uri)

    def _folder(self, job: Batch) -> str:
        return f"{job.facts['folder'].rstrip('/')}/{job.facts['short']}/"

    def _result(self, job: Batch, uri: str) -> bytes | None:
        """The rows of the processed records, or the manifest (DOC)."""
        done = [r for r in job.results() if r.kind in {"ok", "failed"}]
        name = job.facts["source"].rpartition("/")[2]
        if not done:
            return None
        if uri == f"{self._folder(job)}manifest.json.out":
            return json.dumps(self._manifest(done)).encode()
        if uri != f"{self._folder(job)}{name}.out":
            return None
        rows: Rows = [self._row(result, job) for result in done]
        content = json_rows(self.disturbed(job, rows))
        return None if job.script.gone else self.download(job, content, "").body

    def _manifest(self, done: list[Result]) -> dict[str, int]:
        good = [result.line for result in done if result.kind == "ok"]
        return {
            "totalRecordCount": len(done),
            "processedRecordCount": len(done),
            "successRecordCount": len(good),
            "errorRecordCount": len(done) - len(good),
            "inputTokenCount": sum(tokens_of(line.text) for line in good),
            "outputTokenCount": RECEIVED * len(good),
        }

    # ---- jobs ----

    def create(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A repeated token is ignored, and the first job is the response (MODEL: idempotent)."""
        self.refuse_create()
        body = json.loads(request.body)
        token = body.get("clientRequestToken")
        for job in self.batches.values():
            if token and job.key == token:
                return reply({"jobArn": job.id})
        hours, name = body.get("timeoutDurationInHours", 24), body.get("jobName", "")
        if not 24 <= hours <= 168 or len(name) > 63 or not JOB_NAME.fullmatch(name):
            raise self.reject(400, "`timeoutDurationInHours` or `jobName` is invalid")
        if not body.get("roleArn") or not body.get("modelId"):
            raise self.reject(400, "`roleArn` and `modelId` are required")
        source = body["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
        folder = body["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
        lines, failure = self._checked(source)
        short = f"j{len(self.batches) + 1}"
        job = self.open_batch(
            "arn:aws:bedrock:us-east-1:111122223333:model-invocation-job/j",
            token,
            lines,
            hours * 3600.0,
            failure,
            source=source,
            folder=folder,
            short=short,
            name=name,
            model=body["modelId"],
        )
        return self.created(job, reply({"jobArn": job.id}))

    def _checked(self, source: str) -> tuple[list[Line], Failure | None]:
        """The records; what is in `modelInput` is not compared with the model (DOC)."""
        lines = []
        for number, row in read_rows(self.objects.get(source, b"")):
            if not isinstance(row, dict) or "modelInput" not in row:
                return [], Failure("", f"record {number} is malformed", line=number)
            body = row["modelInput"]
            lines.append(self._line(row.get("recordId"), body))
        if len(lines) < self.least_lines:
            text = f"the input has {len(lines)} records; at least {self.least_lines}"
            return [], Failure("", text)
        return lines, None

    def _line(self, record: str | None, body: dict[str, Any]) -> Line:
        if "toolConfig" in body:  # DOC: Converse jobs fail such records
            return Line(record, "", body, 400, "tools are not supported in batches")
        return self.line(record, self.prompt(body), body)

    def prompt(self, body: Mapping[str, Any]) -> str:
        return text_of(body["messages"][-1]["content"])

    def lane(self, body: Mapping[str, Any]) -> Lane:
        return "flex" if (body.get("serviceTier") or {}).get("type") == "flex" else "realtime"

    def poll(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        job, scripted = self.polled(unquote(names["id"]))
        strange = {"status": self.strange_state} if scripted == "unknown" else {}
        return reply({**self.shown(job), **strange})

    def list(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A page of the jobs whose name contains a text (MODEL)."""
        query = parse_qs(urlsplit(request.path).query)
        part, start = query.get("nameContains", [""])[0], int(query.get("nextToken", ["0"])[0])
        size = int(query.get("maxResults", ["100"])[0])
        jobs = [job for job in self.listed() if part in job.facts["name"]]
        page = [self.shown(job) for job in jobs[start : start + size]]
        more = {"nextToken": str(start + size)} if start + size < len(jobs) else {}
        return reply({"invocationJobSummaries": page, **more})

    def stop(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        job = self.found(unquote(names["id"]))
        if job.is_over(self.clock()):
            raise self.reject(400, "the job is over", "ConflictException")  # MODEL
        self.cancel(job)
        return reply({})

    def state(self, job: Batch) -> str:
        """Bedrock's own word."""
        now, state = self.clock(), job.state(self.clock())
        if state == "expired":
            return "PartiallyCompleted" if job.executed(now) else "Expired"
        is_early = state == "in_progress" and now < job.starts_at
        return "Scheduled" if is_early else STATES[state]

    def shown(self, job: Batch) -> dict[str, Any]:
        """A job (MODEL)."""
        facts, now = job.facts, self.clock()
        failure = job.failure if job.is_over(now) else None
        total, good, bad = job.counts(now)
        return {
            "jobArn": job.id,
            "jobName": facts["name"],
            "modelId": facts["model"],
            "clientRequestToken": job.key,
            "status": self.state(job),
            "submitTime": rfc3339(job.created_at),
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": facts["source"]}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": facts["folder"]}},
            "totalRecordCount": total,
            "successRecordCount": good,
            "errorRecordCount": bad,
            **({"message": failure.message} if failure else {}),
        }

    # ---- results ----

    def _row(self, result: Result, job: Batch) -> dict[str, Any]:
        """A record with its output or its error; it repeats the input (DOC)."""
        line = result.line
        head = {"recordId": line.id, "modelInput": line.body}
        if result.kind == "ok":
            return {**head, "modelOutput": self.answer(line.text, "native", job.facts["model"])}
        error = {"errorCode": line.status, "errorMessage": line.message or "failed"}
        return {**head, "error": error}

    def answer(self, text: str, lane: Lane, model: str) -> dict[str, Any]:
        """A response of Converse."""
        sent = tokens_of(text)
        usage = {"inputTokens": sent, "outputTokens": RECEIVED, "totalTokens": sent + RECEIVED}
        tier = {"serviceTier": {"type": "flex"}} if lane == "flex" else {}
        message = {"role": "assistant", "content": [{"text": f"echo: {text}"}]}
        return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, **tier}
