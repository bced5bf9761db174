"""OpenAI's error object, which always has all of its four fields."""

from __future__ import annotations

from typing import Any

from ..errors import AllFailed, ErrorDetail, SchemaMismatch, detail_of, status_of


def error_object(detail: ErrorDetail) -> dict[str, Any]:
    """`{"message", "type", "param", "code"}`, `code` a string or null."""
    return {
        "message": detail.message,
        "type": detail.type,
        "param": detail.param,
        "code": detail.code,
    }


def error_body(error: Exception) -> dict[str, Any]:
    """
    `{"error": {…}}`; if every model failed, it has `causes`, in call order.

    If a response does not fit the schema, it has its `text`, the `reason` and all `attempts`.
    """
    body = error_object(detail_of(error)) | _mismatch(error)
    if isinstance(error, AllFailed):
        body["causes"] = [
            {
                "model": cause.model,
                "status": status_of(cause.error),
                **error_object(detail_of(cause.error)),
                **_mismatch(cause.error),
            }
            for cause in error.failures
        ]
    return {"error": body}


def _mismatch(error: Exception) -> dict[str, Any]:
    if not isinstance(error, SchemaMismatch):
        return {}
    return {"text": error.text, "reason": error.reason, "attempts": [*error.attempts]}
