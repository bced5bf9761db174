"""
Anthropic's Message Batches.

Source tags: see `double.py`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fanout.wire.http import WireRequest, WireResponse

from .bill import RECEIVED, Lane, tokens_of
from .double import Double, Route
from .timeline import Batch, Line, Result
from .wire import Rows, json_rows, reply, rfc3339

IDS = re.compile(r"[a-zA-Z0-9_-]{1,64}")

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""DOC platform.claude.com/docs/en/api/errors; a 500 is an `api_error`."""


class AnthropicDouble(Double):
    """The batches of one workspace. `queue_lines` is how many lines may be queued."""

    vendor = "anthropic"
    window = 86_400.0  # OR:anthropic section 7
    most_lines = 100_000
    most_bytes = 256_000_000
    queue_lines: float = inf

    def routes(self) -> Sequence[Route]:
        one = "/v1/messages/batches/(?P<id>[^/]+)"
        return (
            ("POST", "/v1/messages/batches", self.create),
            ("GET", "/v1/messages/batches", self.list),
            ("GET", one, self.poll),
            ("POST", f"{one}/cancel", self.stop),
            ("GET", f"{one}/results", self.results),
            ("POST", "/v1/messages", self.realtime),
        )

    def error(self, status: int, message: str, code: str | None = None) -> WireResponse:
        error = {"type": TYPES.get(status, "api_error"), "message": message}
        return reply({"type": "error", "error": error}, status)

    # ---- batches ----

    def create(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """Ids are checked now, bodies when they are run (OR:anthropic section 3)."""
        self.refuse_create()
        if len(request.body) > self.most_bytes:
            raise self.reject(413, "Request exceeds the maximum size")
        try:
            body = json.loads(request.body)
        except ValueError as error:
            raise self.reject(400, "The request body is not valid JSON") from error
        given = body.get("requests")
        if set(body) != {"requests"}:  # SDK: it has no label, so nothing else is accepted
            raise self.reject(400, "Extra inputs are not permitted")
        if message := self._wrong_ids(given):
            raise self.reject(400, message)
        if self.open_lines() + len(given) > self.queue_lines:  # DOC api/rate-limits
            raise self.reject(429, "Too many batch requests are in the processing queue")
        lines = [self._line(one["custom_id"], one["params"]) for one in given]
        batch = self.open_batch("msgbatch_", None, lines, self.window)
        return self.created(batch, reply(self.shown(batch)))

    def _wrong_ids(self, given: list[dict[str, Any]]) -> str | None:
        """The message about a wrong list, or a wrong id: OR:anthropic section 3."""
        if not given:
            return "requests: List should have at least 1 item after validation, not 0"
        if len(given) > self.most_lines:
            return f"requests: List should have at most {self.most_lines} items"
        ids = [one.get("custom_id") for one in given]
        for number, found in enumerate(ids):
            if message := _wrong_id(found):
                return f"requests.{number}.custom_id: {message}"
        twice = next((found for found, count in Counter(ids).items() if count > 1), None)
        text = "requests: custom_id's must be unique within a batch. Duplicate custom_id found: "
        return None if twice is None else f"{text}{twice}"

    def _line(self, line_id: str, params: dict[str, Any]) -> Line:
        """A line whose wrong body is an error of its row: OR:anthropic section 3."""
        model, messages = params.get("model"), params.get("messages")
        if self.models is not None and model not in self.models:
            return Line(line_id, "", params, 404, f"model: {model}")
        if not messages:
            return Line(line_id, "", params, 400, "messages: Field required")
        if params.get("stream"):
            text = '"stream=True" is not supported in the Message Batches API'
            return Line(line_id, "", params, 400, text)
        if not params.get("max_tokens"):
            return Line(line_id, "", params, 400, "max_tokens: Field required")
        return self.line(line_id, self.prompt(params), params)

    def poll(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        batch, scripted = self.polled(names["id"])
        shown = self.shown(batch)
        if scripted == "unknown":
            shown["processing_status"] = self.strange_state
        if batch.is_over(self.clock()):
            return reply(shown)
        return reply(shown, retry_after="10")  # OR:anthropic section 2

    def list(self, request: WireRequest, _names: Mapping[str, str]) -> WireResponse:
        """A page of at most 1,000, newest first; `after_id` is the last one before it (DOC)."""
        query = parse_qs(urlsplit(request.path).query)
        limit, after = int(query.get("limit", ["20"])[0]), query.get("after_id", [None])[0]
        if not 1 <= limit <= 1000:
            raise self.reject(400, "limit: Input should be from 1 to 1000")
        found = [self.shown(batch) for batch in self.listed()]
        start = next((n + 1 for n, one in enumerate(found) if one["id"] == after), 0)
        page = found[start : start + limit]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        more = start + limit < len(found)
        return reply({"data": page, "has_more": more, "first_id": first, "last_id": last})

    def stop(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        batch = self.found(names["id"])
        if batch.is_over(self.clock()):
            raise self.reject(409, "the batch has ended")  # GUESS
        self.cancel(batch)
        return reply(self.shown(batch))

    def shown(self, batch: Batch) -> dict[str, Any]:
        """
        The batch object; its counts stay 0 until it ends (SDK).

        Some captures saw them move (OR:anthropic section 4), so nobody may rely on either.
        """
        now = self.clock()
        over, state = batch.is_over(now), batch.state(now)
        words = {"cancelling": "canceling"}
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["processing"] = 0 if over else len(batch.lines)
        if over and batch.script.counts != "zero":
            names = {"ok": "succeeded", "failed": "errored", "cancelled": "canceled"}
            for result in batch.results():
                counts[names.get(result.kind, "expired")] += 1
        cancelled, ended = batch.cancelled_at, batch.ended_at
        url = f"https://api.anthropic.com/v1/messages/batches/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if over else words.get(state, "in_progress"),
            "request_counts": counts,
            "ended_at": rfc3339(ended) if over else None,
            "created_at": rfc3339(batch.created_at),
            "expires_at": rfc3339(batch.expires_at),
            "archived_at": None,
            "cancel_initiated_at": rfc3339(cancelled) if cancelled is not None else None,
            "results_url": url if over else None,
        }

    # ---- results ----

    def results(self, _request: WireRequest, names: Mapping[str, str]) -> WireResponse:
        """All rows, in any order; a 404 before the end (OR:anthropic section 2)."""
        batch = self.found(names["id"])
        if not batch.is_over(self.clock()):
            raise self.reject(404, f"Message Batch {batch.id} has no available results.")
        rows: Rows = [self._row(result) for result in batch.results()]
        rows = rows[1::2] + rows[::2]
        return self.download(batch, json_rows(self.disturbed(batch, rows)), "application/x-jsonl")

    def _row(self, result: Result) -> dict[str, Any]:
        line = result.line
        if result.kind == "ok":
            message = self.answer(line.text, "native", str(line.body["model"]))
            found: dict[str, Any] = {"type": "succeeded", "message": message}
        elif result.kind == "failed":
            error = json.loads(self.error(line.status, line.message or "failed").body)
            error["error"]["details"] = None
            found = {"type": "errored", "error": {**error, "request_id": None}}
        else:
            found = {"type": "canceled" if result.kind == "cancelled" else "expired"}
        return {"custom_id": line.id, "result": found}

    def answer(self, text: str, lane: Lane, model: str) -> dict[str, Any]:
        """A message; its `service_tier` proves the price (OR:anthropic section 5)."""
        found = message(text, model)
        tier = "batch" if lane == "native" else "standard"
        return {**found, "usage": {**found["usage"], "service_tier": tier}}


def message(text: str, model: str) -> dict[str, Any]:
    """A response that repeats its prompt."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": f"echo: {text}"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": tokens_of(text), "output_tokens": RECEIVED},
    }


def _wrong_id(found: str | None) -> str | None:
    if found is None:
        return "Field required"
    if len(found) > 64:
        return "String should have at most 64 characters"
    pattern = "^[a-zA-Z0-9_-]{1,64}$"
    return None if IDS.fullmatch(found) else f"String should match pattern '{pattern}'"
