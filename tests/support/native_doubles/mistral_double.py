"""
Mistral's batch jobs.

Source tags: see `double.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fanout.wire.http import WireRequest, WireResponse

from .bill import Lane
from .double import Double, Route
from .timeline import Batch
from .wire import Rows, completion, json_rows, kinds, read_form, read_rows, reply

ENDPOINT = "/v1/chat/completions"

STATES = {
    "validating": "QUEUED",
    "in_progress": "RUNNING",
    "finalizing": "RUNNING",
    "completed": "SUCCESS",
    "failed": "FAILED",
    "expired": "TIMEOUT_EXCEEDED",
    "cancelling": "CANCELLATION_REQUESTED",
    "cancelled": "CANCELLED",
}
"""OR:mistral section 4."""


class MistralDouble(Double):
    """
    The jobs of one workspace.

    GUESS: a job that is out of time has the rows of what was finished.
    """

    vendor = "mistral"
    most_bytes = 512_000_000
    strange_state = "RESTING"

    def routes(self) -> Sequence[Route]:
        one = "(?:/v1)?/batch/jobs/(?P<id>[^/]+)"
        return (
            ("POST", "(?:/v1)?/files", self.upload),
            ("GET", "(?:/v1)?/files/(?P<id>[^/]+)/content", self.content),
            ("POST", "(?:/v1)?/batch/jobs", self.create),
            ("GET", "(?:/v1)?/batch/jobs", self.list),
            ("GET", one, self.poll),
            ("POST", f"{one}/cancel", self.stop),
            ("POST", "(?:/v1)?/chat/completions", self.realtime),
        )

    def error(self, status: int, message: str, code: str | None = None) -> WireResponse:
        kind = {"type": "invalid_request_error", "param": None, "code": code}
        return reply({"object": "error", "message": message, **kind}, status)

    # ---- files ----

    def upload(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A wrong line rejects the whole file; ids are not checked (OR:mistral section 3)."""
        fields, content = read_form(request)
        if len(content) > self.most_bytes:
            raise self.reject(413, "the file is too large")  # GUESS: the status
        wrong = [number for number, value in read_rows(content) if not _is_valid(value)]
        if fields.get("purpose") == "batch" and wrong:
            found = {"loc": [wrong[0] - 1], "msg": "the line is invalid"}
            raise self.reject_as(422, {"detail": "Invalid file format.", "errors": [found]})
        name = f"in-{len(self.files) + 1}"
        self.files[name] = content
        lines = content.count(b"\n")
        return reply({"id": name, "object": "file", "num_lines": lines, "expires_at": None})

    def content(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        for batch in self.batches.values():
            for kind, name in self._outputs(batch).items():
                if name == names["id"]:
                    rows = json_rows(self.rows(batch, kind))
                    return self.download(batch, rows, "application/octet-stream")
        raise self.reject(404, "there is no such file")

    # ---- jobs ----

    def create(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """What is wrong with the job itself is a 422 or 404 (OR:mistral section 2)."""
        self.refuse_create()
        body = json.loads(request.body)
        hours, model = body.get("timeout_hours", 24), body.get("model")
        if not 1 <= hours <= 168 or body.get("endpoint") != ENDPOINT:
            raise self.reject_as(422, {"detail": [{"msg": "the endpoint, or `timeout_hours`"}]})
        if self.models is not None and model not in self.models:
            raise self.reject_as(422, {"detail": [{"msg": "this model has no batches"}]})
        sources = body["input_files"]
        if any(name not in self.files for name in sources):
            raise self.reject(404, "No file found")
        rows = [row for name in sources for _, row in read_rows(self.files[name])]
        lines = [
            self.line(row.get("custom_id"), self.prompt(row["body"]), row["body"]) for row in rows
        ]
        batch = self.open_batch(
            "job-",
            None,
            lines,
            hours * 3600.0,
            sources=sources,
            model=model,
            metadata=body.get("metadata") or {},
        )
        # OR:mistral section 10: the response to the creation has no counts yet
        return self.created(batch, reply({**self.shown(batch), "total_requests": 0}))

    def poll(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        batch, scripted = self.polled(names["id"])
        strange = {"status": self.strange_state} if scripted == "unknown" else {}
        return reply({**self.shown(batch), **strange})

    def list(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A page of the jobs with this metadata (SDK)."""
        query = parse_qs(urlsplit(request.path).query)
        wanted = json.loads(query.get("metadata", ["{}"])[0])
        page, size = int(query.get("page", ["0"])[0]), int(query.get("page_size", ["100"])[0])
        found = [
            self.shown(batch)
            for batch in self.listed()
            if wanted.items() <= batch.facts["metadata"].items()
        ]
        shown = found[page * size : (page + 1) * size]
        return reply({"data": shown, "object": "list", "total": len(found)})

    def stop(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """A job that has not started is cancelled at once (OR:mistral section 2)."""
        batch = self.found(names["id"])
        if batch.is_over(self.clock()):
            raise self.reject(409, "the job is over")  # GUESS
        self.cancel(batch)
        return reply(self.shown(batch))

    def state(self, batch: Batch) -> str:
        now, cancelled = self.clock(), batch.cancelled_at
        is_unstarted = cancelled is not None and cancelled < batch.starts_at
        if is_unstarted and batch.script.cancel in {"keeps", "loses"}:
            return "CANCELLED"
        state = batch.state(now)
        is_early = state == "in_progress" and now < batch.starts_at
        return "QUEUED" if is_early else STATES[state]

    def shown(self, batch: Batch) -> dict[str, Any]:
        """A job; `completed_requests` has the failed ones, too (OR:mistral section 4)."""
        total, good, bad = batch.counts(self.clock())
        text, files = "HTTP Error, status code: 400", self._outputs(batch)
        return {
            "id": batch.id,
            "object": "batch",
            "input_files": batch.facts["sources"],
            "model": batch.facts["model"],
            "endpoint": ENDPOINT,
            "metadata": batch.facts["metadata"],
            "status": self.state(batch),
            "errors": [{"message": text, "count": bad}] if bad else [],
            "output_file": files.get("output"),
            "error_file": files.get("error"),
            "created_at": int(batch.created_at),
            "total_requests": total,
            "completed_requests": good + bad,
            "succeeded_requests": good,
            "failed_requests": bad,
        }

    # ---- results ----

    def _outputs(self, batch: Batch) -> dict[str, str]:
        """The result files of a job that is over; lines that were not run have no rows (OR)."""
        if not batch.is_over(self.clock()):
            return {}
        results = batch.results()
        has = {"output": kinds(results, "ok"), "error": kinds(results, "failed")}
        return {kind: f"{kind}-{batch.id}" for kind, lines in has.items() if lines}

    def rows(self, batch: Batch, kind: str) -> Rows:
        """The rows of a file; in the error file, the body is JSON in a text (OR:mistral 5)."""
        wanted = "ok" if kind == "output" else "failed"
        rows: Rows = []
        for number, line in enumerate(kinds(batch.results(), wanted)):
            body: Any = self.answer(line.text, "native", batch.facts["model"])
            if kind == "error":
                body = self.error(line.status, "the line is wrong", "3310").body.decode()
            response = {"status_code": line.status, "body": body}
            row = {"id": f"batch-0-0-{number}", "custom_id": line.id, "response": response}
            rows.append({**row, "error": None})
        return self.disturbed(batch, rows)

    def answer(self, text: str, lane: Lane, model: str) -> dict[str, Any]:
        return completion(text, lane, model)


def _is_valid(value: Any) -> bool:
    """What the upload checks: OR:mistral section 3."""
    body = value.get("body") if isinstance(value, dict) else None
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return False
    temperature, tokens = body.get("temperature") or 0, body.get("max_tokens") or 0
    return 0 <= temperature <= 1.5 and tokens >= 0
