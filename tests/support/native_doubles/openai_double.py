"""
OpenAI's batch API.

Source tags: see `double.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fanout.wire.http import WireRequest, WireResponse

from .bill import Lane
from .double import Double, Route
from .timeline import Batch, Failure, Line, Result
from .wire import Rows, completion, json_rows, kinds, read_form, read_rows, reply

URL = "/v1/chat/completions"

NOT_RUN = {
    "cancelled": "This request was not executed because the batch was cancelled.",
    "expired": "This request could not be executed before the completion window expired.",
}
"""The messages of rows that were not run: OR:openai section 5."""


class OpenAIDouble(Double):
    """
    OpenAI's. `queue_tokens` is how many tokens of prompts may be queued.

    With `empty_error_id`, the id of an error file that does not exist is `""` and not null, as
    ISSUE github.com/tobert/kaibo/pull/93 has seen it.
    """

    vendor = "openai"
    window = 86_400.0  # OR:openai section 7: `expires_at` is 24 hours after the creation
    most_lines = 50_000  # DOC guides/batch#rate-limits
    most_bytes = 200_000_000
    queue_tokens: float = inf
    empty_error_id = False

    def routes(self) -> Sequence[Route]:
        base = "(?:/openai)?(?:/v1)?"
        one = f"{base}/batches/(?P<id>[^/]+)"
        return (
            ("POST", f"{base}/files", self.upload),
            ("GET", f"{base}/files/(?P<id>[^/]+)/content", self.content),
            ("POST", f"{base}/batches", self.create),
            ("GET", f"{base}/batches", self.list),
            ("GET", one, self.poll),
            ("POST", f"{one}/cancel", self.stop),
            ("POST", f"{base}/chat/completions", self.realtime),
        )

    def error(self, status: int, message: str, code: str | None = None) -> WireResponse:
        kind = "invalid_request_error" if status < 429 else "server_error"
        error = {"message": message, "type": kind, "param": None, "code": code}
        return reply({"error": error}, status)

    # ---- files ----

    def upload(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A form with a purpose and a file."""
        fields, content = read_form(request)
        if len(content) > self.most_bytes:
            raise self.reject(413, "the file is too large")  # GUESS: the status
        name = f"file-in{len(self.files) + 1}"
        if fields.get("purpose") == "batch":
            self.files[name] = content
        else:  # OR:openai section 4: no batch may have it
            name = f"file-of-{fields.get('purpose')}"
        head = {"id": name, "object": "file", "bytes": len(content)}
        return reply({**head, "purpose": fields.get("purpose"), "status": "processed"})

    def content(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """A result file; those of a batch exist when it is over."""
        for batch in self.batches.values():
            for kind, name in self._outputs(batch).items():
                if name == names["id"]:
                    rows = self.rows(batch, kind)
                    return self.download(batch, json_rows(rows), "application/octet-stream")
        if names["id"] in self.files:
            return self.download(None, self.files[names["id"]], "application/octet-stream")
        raise self.reject(404, f"No such File object: {names['id']}")

    # ---- batches ----

    def create(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A batch; what is wrong with its file is seen later (OR:openai section 4)."""
        self.refuse_create()
        body = json.loads(request.body)
        if body.get("completion_window") != "24h":
            raise self.reject(400, "`completion_window` must be `24h`")
        source = str(body.get("input_file_id"))
        content = self.files.get(source)
        lines: list[Line] = []
        failure: Failure | None = Failure("invalid_request", f"no file {source}", "file_id")
        if content is not None:
            lines, failure = self.checked(content, body.get("endpoint"))
        metadata = body.get("metadata")
        batch = self.open_batch(
            "batch_", None, lines, self.window, failure, source=source, metadata=metadata
        )
        waiting = self.open_tokens()  # of this batch, too
        if batch.failure is None and (batch.script.over_limit or waiting > self.queue_tokens):
            text = (
                "Enqueued token limit reached"  # ISSUE github.com/openai/openai-python/issues/2084
            )
            batch.failure = Failure("token_limit_exceeded", text)
        return self.created(batch, reply(self.shown(batch)))

    def checked(self, content: bytes, endpoint: str | None) -> tuple[list[Line], Failure | None]:
        """The lines, or what is wrong with the first bad one (OR:openai section 4)."""
        lines: list[Line] = []
        ids: set[str] = set()
        model: str | None = None
        for number, value in read_rows(content):
            if failure := self._fault(value, number, endpoint, ids, model):
                return [], failure
            model = value["body"]["model"]
            ids.add(value["custom_id"])
            lines.append(self.line(value["custom_id"], self.prompt(value["body"]), value["body"]))
        if not 0 < len(lines) <= self.most_lines:
            return [], Failure("invalid_request", "the number of lines")  # GUESS: the code
        return lines, None

    def _fault(
        self, value: Any, number: int, endpoint: str | None, ids: set[str], model: str | None
    ) -> Failure | None:
        code, param = next(_faults(value, endpoint, ids, model), (None, None))
        if code is None and self.models is not None and value["body"]["model"] not in self.models:
            code, param = "model_not_found", "body.model"
        return None if code is None else Failure(code, code.replace("_", " "), param, number)

    def poll(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        batch, scripted = self.polled(names["id"])
        strange = {"status": self.strange_state} if scripted == "unknown" else {}
        return reply({**self.shown(batch), **strange})

    def list(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A page, newest first, after a batch; there is no filter by metadata (SDK)."""
        query = parse_qs(urlsplit(request.path).query)
        limit, after = int(query.get("limit", ["20"])[0]), query.get("after", [None])[0]
        found = [self.shown(batch) for batch in self.listed()]
        start = next((n + 1 for n, one in enumerate(found) if one["id"] == after), 0)
        page = found[start : start + limit]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        more = start + limit < len(found)
        return reply({"object": "list", "data": page, **ends, "has_more": more})

    def stop(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        batch = self.found(names["id"])
        if batch.is_over(self.clock()):
            raise self.reject(409, "the batch is over")  # GUESS: the status is Together's
        self.cancel(batch)
        return reply(self.shown(batch))

    def shown(self, batch: Batch) -> dict[str, Any]:
        """The batch object."""
        now = self.clock()
        total, good, bad = batch.counts(now)
        state = batch.state(now)
        if state == "validating":
            total = 0
        if state == "cancelled":
            good, bad = 0, 0  # OR:openai section 4: the counters went back
        failure = batch.failure if state == "failed" else None
        files = self._outputs(batch)
        empty = "" if self.empty_error_id and batch.is_over(now) else None
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": URL,
            "errors": failure and _errors(failure),
            "input_file_id": batch.facts["source"],
            "completion_window": "24h",
            "status": state,
            "output_file_id": files.get("output"),
            "error_file_id": files.get("error", empty),
            "created_at": int(batch.created_at),
            "expires_at": None if batch.expires_at == inf else int(batch.expires_at),
            "request_counts": {"total": total, "completed": good, "failed": bad},
            "metadata": batch.facts["metadata"],
        }

    # ---- results ----

    def _outputs(self, batch: Batch) -> dict[str, str]:
        """The result files; one without rows does not exist (OR:openai section 5)."""
        if not batch.is_over(self.clock()):
            return {}
        results = batch.results()
        has = {"output": kinds(results, "ok"), "error": [r for r in results if r.kind != "ok"]}
        return {kind: f"file-{kind}-{batch.id}" for kind, lines in has.items() if lines}

    def rows(self, batch: Batch, kind: str) -> Rows:
        """The rows of a file: the good ones, or the failed and those that were not run."""
        rows = [
            self._row(batch, result)
            for result in batch.results()
            if (result.kind == "ok") == (kind == "output")
        ]
        return self.disturbed(batch, rows)

    def _row(self, batch: Batch, result: Result) -> dict[str, Any]:
        line = result.line
        head = {"id": f"batch_req_{line.id}", "custom_id": line.id}
        if result.kind in NOT_RUN:
            error = {"code": f"batch_{result.kind}", "message": NOT_RUN[result.kind]}
            return {**head, "response": None, "error": error}
        if result.kind == "ok":
            body = self.answer(line.text, "native", str(line.body.get("model")))
        else:
            body = json.loads(self.error(line.status, f"status {line.status}").body)
        response = {"status_code": line.status, "request_id": "r", "body": body}
        return {**head, "response": response, "error": None}

    def answer(self, text: str, lane: Lane, model: str) -> dict[str, Any]:
        """A chat completion."""
        return completion(text, lane, model)


def _faults(
    value: Any, endpoint: str | None, ids: set[str], model: str | None
) -> Iterator[tuple[str, str | None]]:
    """The codes and the parameters of a wrong line: OR:openai section 4's table."""
    if not isinstance(value, dict):
        yield "invalid_json_line", None
        return
    body = value.get("body")
    if not value.get("custom_id"):
        yield "missing_required_parameter", "custom_id"
    if value.get("custom_id") in ids:
        yield "duplicate_custom_id", "custom_id"
    if value.get("url") != endpoint or value.get("method") != "POST":
        yield "invalid_url", "url"
    if not isinstance(body, dict) or not body.get("model"):
        yield "invalid_request", "body.model"
        return
    if model is not None and body["model"] != model:
        yield "mismatched_model", "body.model"
    if body.get("stream"):
        yield "streaming_unsupported", "body.stream"


def _errors(failure: Failure) -> dict[str, Any]:
    """Exactly one error, that of the first bad line."""
    one = {"code": failure.code, "message": failure.message}
    return {"object": "list", "data": [{**one, "param": failure.param, "line": failure.line}]}
