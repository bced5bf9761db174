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

from .anthropic_double import message
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

CONFLICT, QUOTA = "ConflictException", "ServiceQuotaExceededException"
"""MODEL: the status of both is 400."""

JOB_NAME = re.compile(r"[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\+\-\.]){0,63}")
"""MODEL: `ModelInvocationJobName`, which has at most 63 characters."""


class BedrockDouble(Double):
    """
    The jobs of one account and region. `objects` are the objects of S3, by their address.

    Jobs have at least `least_lines` records, by DOC a quota of 100. A job whose script is over the
    limit is not created at first.
    """

    vendor = "bedrock"
    row_id = "recordId"
    least_lines = 100
    strange_state = "Resting"
    most_of_object = 20_000
    """Bytes of a range at most, so that small results are in several; S3 has no such limit."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.objects: dict[str, bytes] = {}
        self._had_no_room: set[str] = set()

    def routes(self) -> Sequence[Route]:
        one = "/model-invocation-job/(?P<id>[^/]+)"
        return (
            ("POST", "/model-invocation-job", self.create),
            ("GET", "/model-invocation-jobs", self.list),
            ("GET", one, self.poll),
            ("POST", f"{one}/stop", self.stop),
            ("POST", "/model/(?P<model>[^/]+)/converse", self.realtime),
            ("PUT", "/(?P<bucket>[^/]+)/(?P<key>.+)", self.put),
            ("GET", "/(?P<bucket>[^/]+)/(?P<key>.+)", self.get),
        )

    def error(self, status: int, message: str, code: str | None = None) -> WireResponse:
        name = code or ERRORS.get(status, "InternalServerException")
        return reply({"message": message}, status, x_amzn_errortype=name)

    # ---- S3 ----

    def put(self, request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """Store an object."""
        self.objects[f"s3://{names['bucket']}/{unquote(names['key'])}"] = request.body
        return WireResponse(200, {}, b"")

    def get(self, request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """
        An object; the results of a job are there when it is over.

        Results that are gone may not be read: S3 itself loses no object.
        """
        uri = f"s3://{names['bucket']}/{unquote(names['key'])}"
        for job in self.batches.values():
            if uri.startswith(self._folder(job)) and job.is_over(self.clock()):
                found = self.result(job, uri) or _s3_error(404, "NoSuchKey")
                return self._part(found, request.headers.get("range"))
        data = self.objects.get(uri)
        return _s3_error(404, "NoSuchKey") if data is None else WireResponse(200, {}, data)

    def _part(self, whole: WireResponse, asked: str | None) -> WireResponse:
        """The range that is asked for, of at most `most_of_object` bytes."""
        if asked is None or whole.status != 200:
            return whole
        first, _, last = asked.removeprefix("bytes=").partition("-")
        size, start = len(whole.body), int(first)
        end = min(int(last) + 1, start + self.most_of_object, size)
        if start >= size:
            return _s3_error(416, "InvalidRange")
        return WireResponse(
            206, {"content-range": f"bytes {start}-{end - 1}/{size}"}, whole.body[start:end]
        )

    def _folder(self, job: Batch) -> str:
        return f"{job.facts['folder'].rstrip('/')}/{job.facts['short']}/"

    def output_of(self, job: Batch) -> str:
        """The address of a job's rows (DOC)."""
        return f"{self._folder(job)}{job.facts['source'].rpartition('/')[2]}.out"

    def result(self, job: Batch, uri: str) -> WireResponse | None:
        """The rows of the processed records, or the manifest (DOC)."""
        done = [r for r in job.results() if r.kind in {"ok", "failed"}]
        if not job.executed(job.ended_at):
            return None
        if uri == f"{self._folder(job)}manifest.json.out":
            return reply(self._manifest(done))
        if uri != self.output_of(job):
            return None
        if job.script.gone:
            return _s3_error(403, "AccessDenied")
        rows: Rows = [self._row(result, job) for result in done]
        return self.download(job, json_rows(self.disturbed(job, rows)), "")

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
        """
        A repeated token is ignored, and the first job is the response (MODEL: idempotent).

        GUESS: another job of the same name is a conflict.
        """
        self.refuse_create()
        body = json.loads(request.body)
        token = body.get("clientRequestToken")
        for job in self.batches.values():
            if token and job.key == token:
                return reply({"jobArn": job.id})
        if any(job.facts["name"] == body.get("jobName") for job in self.batches.values()):
            raise self.reject(400, "there is a job of this name", CONFLICT)
        if self.script(len(self.batches)).over_limit and token not in self._had_no_room:
            self._had_no_room.add(token)
            raise self.reject(400, "too many jobs of this model are open", QUOTA)
        hours, name = body.get("timeoutDurationInHours", 24), body.get("jobName", "")
        if not 24 <= hours <= 168 or len(name) > 63 or not JOB_NAME.fullmatch(name):
            raise self.reject(400, "`timeoutDurationInHours` or `jobName` is invalid")
        if not body.get("roleArn") or not body.get("modelId"):
            raise self.reject(400, "`roleArn` and `modelId` are required")
        source = body["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
        folder = body["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
        kind = body.get("modelInvocationType", "InvokeModel")
        lines, failure = self._checked(source, kind)
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
            kind=kind,
        )
        return self.created(job, reply({"jobArn": job.id}))

    def _checked(self, source: str, kind: str) -> tuple[list[Line], Failure | None]:
        """The records; what is in `modelInput` is not compared with the model (DOC)."""
        lines = []
        for number, row in read_rows(self.objects.get(source, b"")):
            if not isinstance(row, dict) or "modelInput" not in row:
                return [], Failure("", f"record {number} is malformed", line=number)
            body = row["modelInput"]
            lines.append(self._line(row.get("recordId"), body, kind))
        if len(lines) < self.least_lines:
            text = f"the input has {len(lines)} records; at least {self.least_lines}"
            return [], Failure("", text)
        return lines, None

    def _line(self, record: str | None, body: dict[str, Any], kind: str) -> Line:
        if "toolConfig" in body:  # DOC: Converse jobs fail such records
            return Line(record, "", body, 400, "tools are not supported in batches")
        if (kind == "InvokeModel") != {"anthropic_version", "max_tokens"}.issubset(body):
            return Line(record, "", body, 400, "the record is not in the form of the job")
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
            raise self.reject(400, "the job is over", CONFLICT)  # MODEL
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
            model = job.facts["model"]
            is_invoked = job.facts["kind"] == "InvokeModel"
            found = message(line.text, model) if is_invoked else converse(line.text)
            return {**head, "modelOutput": found}
        error = {"errorCode": line.status, "errorMessage": line.message or "failed"}
        return {**head, "error": error}

    def answer(self, text: str, lane: Lane, model: str) -> dict[str, Any]:
        """A response in real time, whose model is not in it."""
        tier = {"serviceTier": {"type": "flex"}} if lane == "flex" else {}
        return {**converse(text), **tier}


def converse(text: str) -> dict[str, Any]:
    """A response of Converse that repeats its prompt."""
    sent = tokens_of(text)
    usage = {"inputTokens": sent, "outputTokens": RECEIVED, "totalTokens": sent + RECEIVED}
    found = {"role": "assistant", "content": [{"text": f"echo: {text}"}]}
    return {"output": {"message": found}, "stopReason": "end_turn", "usage": usage}


def _s3_error(status: int, code: str) -> WireResponse:
    """S3's error, which is XML."""
    return WireResponse(status, {}, f"<Error><Code>{code}</Code></Error>".encode())
