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
    """`{"error": {…}}`; if every model failed, it has `causes`, in call order."""
    body = error_fields(error)
    if isinstance(error, AllFailed):
        body["causes"] = [
            {
                "model": cause.model,
                "status": status_of(cause.error),
                **error_fields(cause.error),
            }
            for cause in error.failures
        ]
    return {"error": body}


def error_fields(error: Exception) -> dict[str, Any]:
    """
    The error object of one model.

    If its response does not fit the schema, it has the `text`, the `reason` and all `attempts`.
    """
    fields = error_object(detail_of(error))
    if not isinstance(error, SchemaMismatch):
        return fields
    mismatch = {"text": error.text, "reason": error.reason, "attempts": [*error.attempts]}
    return {**fields, **mismatch}
