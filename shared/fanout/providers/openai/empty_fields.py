"""
The fields of a request that ask for something.

A vendor rejects a null or an empty value as it rejects any other: "'reasoning_effort' does not
support null with this model": github.com/livekit/agents/issues/3966. "[] is too short - 'stop'",
"'' is too short", "'function_call' is only allowed when 'functions' are specified": OpenAI's own
errors. 2026-11
"""

from __future__ import annotations

from typing import Any

from ...schema.request import ChatRequest
from .rules import MAYBE_EMPTY


def without_empty(request: ChatRequest) -> dict[str, Any]:
    """The body without nulls, without empty values, and without empty stop sequences."""
    body = {
        name: value
        for name, value in request.body.items()
        if value is not None and (value or name not in MAYBE_EMPTY)
    }
    if "functions" not in body and body.get("function_call") in ("auto", "none"):
        del body["function_call"]
    if "stop" in request.extensions:  # tokens by their ids
        return body
    stops = [stop for stop in request.stops if stop]
    if "stop" in body and len(stops) < len(request.stops):
        body["stop"] = stops
    if not stops:
        body.pop("stop", None)
    return body
