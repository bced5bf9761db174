"""OpenAI's error object, which always has all of its four fields."""

from __future__ import annotations

from typing import Any

from ..errors import AllFailed, ErrorDetail, detail_of, status_of


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
    body = error_object(detail_of(error))
    if isinstance(error, AllFailed):
        body["causes"] = [
            {
                "model": cause.model,
                "status": status_of(cause.error),
                **error_object(detail_of(cause.error)),
            }
            for cause in error.failures
        ]
    return {"error": body}
