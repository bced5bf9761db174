"""OpenAI's error object, which always has all of its four fields."""

from __future__ import annotations

from typing import Any

from ..errors import (
    AllFailed,
    DeadlineExceeded,
    ErrorDetail,
    ProviderError,
    SchemaMismatch,
    detail_of,
    status_of,
)


def error_object(detail: ErrorDetail) -> dict[str, Any]:
    """`{"message", "type", "param", "code"}`, `code` a string or null."""
    return {
        "message": detail.message,
        "type": detail.type,
        "param": detail.param,
        "code": detail.code,
    }


def full_error(error: Exception) -> dict[str, Any]:
    """
    The error object.

    If a response does not fit the schema, it has its `text`, the `reason` and all `attempts`; so it
    has if time runs out after such a response. If the provider may bill a call without a response,
    it has `may_be_billed`.
    """
    found = error_object(detail_of(error)) | _mismatch(error)
    if isinstance(error, ProviderError) and error.may_be_billed:
        found["may_be_billed"] = True
    return found


def failed_error(error: Exception) -> dict[str, Any]:
    """The error object of one of several models, with the `status` that it would have alone."""
    return {"status": status_of(error), **full_error(error)}


def error_body(error: Exception) -> dict[str, Any]:
    """`{"error": {…}}`; if every model failed, it has `causes`, in call order."""
    body = full_error(error)
    if isinstance(error, AllFailed):
        body["causes"] = [
            {"model": cause.model, **failed_error(cause.error)} for cause in error.failures
        ]
    return {"error": body}


def _mismatch(error: Exception) -> dict[str, Any]:
    if isinstance(error, DeadlineExceeded) and not error.attempts:
        return {}
    if not isinstance(error, SchemaMismatch | DeadlineExceeded):
        return {}
    return {"text": error.text, "reason": error.reason, "attempts": [*error.attempts]}
