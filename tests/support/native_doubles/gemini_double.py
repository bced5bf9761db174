"""
Batches of the Gemini API, with files and inline.

Source tags: see `double.py`. TEST: a public test file with operations of the live API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from fanout.wire.http import WireRequest, WireResponse

from .bill import RECEIVED, Lane, tokens_of
from .double import Double, Route
from .timeline import Batch, Line, Result
from .wire import Rows, json_rows, read_rows, reply, rfc3339, text_of

FIELDS = frozenset(
    [
        "cachedContent",
        "contents",
        "generationConfig",
        "safetySettings",
        "systemInstruction",
        "toolConfig",
        "tools",
    ]
)
"""What a request may have; settings for sampling have to be in `generationConfig` (DOC)."""

STATES = {
    "validating": "PENDING",
    "in_progress": "RUNNING",
    "finalizing": "RUNNING",
    "cancelling": "RUNNING",  # OR:google-ai-studio has no state for it
    "completed": "SUCCEEDED",
    "failed": "FAILED",
    "expired": "EXPIRED",
    "cancelled": "CANCELLED",
}

CODES = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14, 504: 4}
"""gRPC's codes by HTTP status: google/rpc/code.proto."""

NAMES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}


class GeminiDouble(Double):
    """
    The batches of one project.

    A batch that was cancelled after its start ends as `cancelled_as`: SUCCEEDED with rows of code 1
    for what was not run, or CANCELLED with the finished rows only. Both were seen (TEST).
    """

    vendor = "gemini"
    row_id = "key"
    window = 48 * 3600.0  # DOC: then it is EXPIRED, and has no results
    most_open = 100
    strange_state = "BATCH_STATE_RESTING"
    cancelled_as: Literal["SUCCEEDED", "CANCELLED"] = "SUCCEEDED"

    def routes(self) -> Sequence[Route]:
        model = "/v1beta/models/(?P<model>[^/:]+)"
        return (
            ("POST", "/upload/v1beta/files", self.upload),
            ("POST", f"{model}:batchGenerateContent", self.create),
            ("GET", "/v1beta/batches", self.list),
            ("GET", "/v1beta/(?P<id>batches/[^/:]+)", self.poll),
            ("POST", "/v1beta/(?P<id>batches/[^/:]+):cancel", self.stop),
            ("GET", "/download/v1beta/(?P<id>files/[^/:]+):download", self.content),
            ("POST", f"{model}:generateContent", self.realtime),
        )

    def error(self, status: int, message: str, code: str | None = None) -> WireResponse:
        error = {"code": status, "message": message, "status": NAMES.get(status, "UNAVAILABLE")}
        return reply({"error": error}, status)

    # ---- files ----

    def upload(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """Two calls: the first one's response has the address of the second (OR)."""
        query = parse_qs(urlsplit(request.path).query)
        command = request.headers.get("x-goog-upload-command")
        if command == "start" and "upload_id" not in query:
            name = f"files/in{len(self.files) + 1}"
            self.files[name] = b""
            host = "https://generativelanguage.googleapis.com"
            address = f"{host}/upload/v1beta/files?upload_id={name[6:]}"
            return WireResponse(200, {"x-goog-upload-url": address}, b"")
        if command != "upload, finalize" or "upload_id" not in query:
            raise self.reject(400, "the upload has not begun")
        name = f"files/{query['upload_id'][0]}"
        self.files[name] = request.body
        return reply({"file": {"name": name, "state": "ACTIVE"}})

    def content(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """The rows of a batch that is over."""
        for batch in self.batches.values():
            if self._output(batch) == names["id"]:
                rows = self.disturbed(batch, self._rows(batch, "key"))
                return self.download(batch, json_rows(rows), "application/jsonl")
        raise self.reject(404, "the file does not exist")

    # ---- batches ----

    def create(self, request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """Not idempotent (DOC); one malformed row rejects the whole batch (OR)."""
        self.refuse_create()
        if self.models is not None and names["model"] not in self.models:
            raise self.reject(404, f"models/{names['model']} is not found")
        now = self.clock()
        if sum(not one.is_over(now) for one in self.batches.values()) >= self.most_open:
            raise self.reject(429, "too many concurrent batches")  # DOC rate-limits
        batch = json.loads(request.body)["batch"]
        source = batch["inputConfig"].get("fileName")
        if source is not None:
            if source not in self.files:
                raise self.reject(404, f"{source} is not found")
            lines = self._lines_of_file(self.files[source])
        else:
            given = batch["inputConfig"]["requests"]["requests"]
            lines = [self._line(one["metadata"]["key"], one["request"]) for one in given]
        made = self.open_batch(
            "batches/b",
            batch.get("displayName"),
            lines,
            self.window,
            source=source,
            model=names["model"],
        )
        return self.created(made, reply(self.shown(made)))

    def _lines_of_file(self, content: bytes) -> list[Line]:
        lines = []
        for number, row in read_rows(content):
            if not isinstance(row, dict) or not row.get("key") or "request" not in row:
                raise self.reject(400, f"row {number} is malformed")
            lines.append(self._line(row["key"], row["request"]))
        if not lines:
            raise self.reject(400, "the file is empty")
        return lines

    def _line(self, key: str, request: dict[str, Any]) -> Line:
        if not request.get("contents") or set(request) - FIELDS:
            raise self.reject(400, f"the request {key} is malformed")
        return self.line(key, self.prompt(request), request)

    def prompt(self, body: Mapping[str, Any]) -> str:
        return text_of(body["contents"][-1]["parts"])

    def lane(self, body: Mapping[str, Any]) -> Lane:
        return "flex" if body.get("serviceTier") == "flex" else "realtime"

    def poll(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        batch, scripted = self.polled(names["id"])
        shown = self.shown(batch)
        if scripted == "unknown":
            shown["metadata"]["state"] = self.strange_state
        return reply(shown)

    def list(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A page; an empty one has no `operations` (SDK)."""
        query = parse_qs(urlsplit(request.path).query)
        size, token = int(query.get("pageSize", ["50"])[0]), query.get("pageToken", ["0"])[0]
        found, start = self.listed(), int(token)
        page = [self.shown(batch) for batch in found[start : start + size]]
        more = {"nextPageToken": str(start + size)} if start + size < len(found) else {}
        return reply({**({"operations": page} if page else {}), **more})

    def stop(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        self.cancel(self.found(names["id"]))
        return reply({})

    def state(self, batch: Batch) -> str:
        """The API's own word, without `BATCH_STATE_`."""
        state = batch.state(self.clock())
        if state == "cancelled" and self._has_started(batch):
            return self.cancelled_as
        return STATES[state]

    def _has_started(self, batch: Batch) -> bool:
        """Whether a line of a cancelled batch was run."""
        return batch.cancelled_at is not None and bool(batch.executed(batch.ended_at))

    def shown(self, batch: Batch) -> dict[str, Any]:
        """A long-running operation; numbers are texts, and `done` is absent until the end (OR)."""
        now, state = self.clock(), self.state(batch)
        total, good, bad = batch.counts(now)
        stats = {"requestCount": total, "successfulRequestCount": good, "failedRequestCount": bad}
        source = batch.facts["source"]
        metadata: dict[str, Any] = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "model": f"models/{batch.facts['model']}",
            "displayName": batch.key,
            "createTime": rfc3339(batch.created_at),
            "state": f"BATCH_STATE_{state}",
            "batchStats": {name: str(count) for name, count in stats.items() if count},
            **({"inputConfig": {"fileName": source}} if source else {}),
        }
        shown: dict[str, Any] = {"name": batch.id, "metadata": metadata}
        if not batch.is_over(now):
            return shown
        shown["done"] = True
        if output := self._output(batch):
            place = {"responsesFile": output} if source else self._inlined(batch)
            metadata["output"] = place
            shown["response"] = place
        elif state == "CANCELLED":
            shown["error"] = {"code": 13, "message": "The batch was cancelled."}  # OR
        return shown

    # ---- results ----

    def _output(self, batch: Batch) -> str | None:
        """The result file; expired batches have none (DOC), nor those that never started (OR)."""
        if not batch.is_over(self.clock()):
            return None
        state = self.state(batch)
        started = batch.cancelled_at is None or self._has_started(batch)
        has_rows = state in {"SUCCEEDED", "CANCELLED"} and started
        return f"files/batch-{batch.id[8:]}" if has_rows else None

    def _inlined(self, batch: Batch) -> dict[str, Any]:
        """Inline responses, which are nested twice (OR)."""
        rows = self.disturbed(batch, self._rows(batch, "metadata"))
        return {"inlinedResponses": {"inlinedResponses": rows}}

    def _rows(self, batch: Batch, place: Literal["key", "metadata"]) -> Rows:
        """The rows, each with its key where files or inline responses have it."""
        results = batch.results()
        if self.state(batch) == "CANCELLED":
            results = [result for result in results if result.kind in {"ok", "failed"}]
        return [self._row(result, place, batch) for result in results]

    def _row(self, result: Result, place: str, batch: Batch) -> dict[str, Any]:
        line = result.line
        named: dict[str, Any] = {place: line.id if place == "key" else {"key": line.id}}
        if result.kind == "ok":
            return {**named, "response": self.answer(line.text, "native", batch.facts["model"])}
        code = CODES.get(line.status, 13) if result.kind == "failed" else 1
        message = f"status {line.status}" if code != 1 else "Cancelled"
        return {**named, "error": {"code": code, "message": message}}

    def answer(self, text: str, lane: Lane, model: str) -> dict[str, Any]:
        """A response of generateContent."""
        sent = tokens_of(text)
        usage = {"promptTokenCount": sent, "candidatesTokenCount": RECEIVED}
        tier = {"serviceTier": "flex"} if lane == "flex" else {}
        content = {"parts": [{"text": f"echo: {text}"}], "role": "model"}
        return {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {**usage, "totalTokenCount": sent + RECEIVED, **tier},
            "modelVersion": model,
        }
