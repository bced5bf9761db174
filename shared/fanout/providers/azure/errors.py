"""Azure's error bodies: OpenAI's, with an inner error that has the content filter's results."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ...errors import ErrorDetail
from ...wire import json
from ..openai.errors import explain as explain_openai


def explain(status: int, body: bytes) -> ErrorDetail:
    """Read `{"error": {…, "innererror": {…}}}`; a code that repeats the status is left out."""
    detail = explain_openai(status, body)
    if detail.code == str(status):
        detail = replace(detail, code=None)
    if found := _filtered(json.decode_or_none(body)):
        detail = replace(detail, message=f"{detail.message} (filtered: {', '.join(found)})")
    return detail


def _filtered(value: Any) -> list[str]:
    """
    The categories that the content filter found, such as `hate` or `jailbreak`.

    See https://learn.microsoft.com/azure/foundry/openai/concepts/content-filter; both spellings
    of each name occur.
    """
    fault = _object(value, "error")
    inner = _object(fault, "innererror") or _object(fault, "inner_error")
    results = _object(inner, "content_filter_result") or _object(inner, "content_filter_results")
    return sorted(
        name
        for name, result in results.items()
        if isinstance(result, dict) and result.get("filtered") is True
    )


def _object(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
