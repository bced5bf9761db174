"""
Errors in Anthropic's form: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

Source: https://platform.claude.com/docs/en/api/errors, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from ...errors import (
    AllFailed,
    FanoutError,
    ProviderError,
    QuotaExceeded,
    Rejected,
    detail_of,
    status_of,
)
from ...wire import json
from .original import API
from .threads import ThreadError

OVERLOADED = 529

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By status; any other 4xx is an invalid request, any other 5xx an `api_error`."""

ERRORS = range(400, 600)
"""The statuses of errors."""

_NAMES = frozenset(TYPES.values()) | {"api_error"}

_OF_CODES = {
    "insufficient_quota": "rate_limit_error",
    "model_not_found": "not_found_error",
    "permission_denied": "permission_error",
    "provider_overloaded": "overloaded_error",
    "provider_timeout": "timeout_error",
    "rate_limit_exceeded": "rate_limit_error",
}
"""The types of errors whose vendors name them otherwise."""

_SAME_STATUSES = frozenset({402, 413})
"""A vendor's, which mean one thing: the account is to be paid, the request is too large."""


def error_body(error: Exception, request_id: str) -> Any:
    """
    The body of an error response, and the data of an error event.

    A vendor's own is passed on, because clients act on its details.
    """
    own = _own_body(error)
    if own is not None:
        return Raw(own)
    return {"type": "error", "error": error_object(error), "request_id": request_id}


def _own_body(error: Exception) -> bytes | None:
    """The body of an error of a vendor that has this API; `None` if it has another form."""
    body = error.vendor_body if isinstance(error, ProviderError) else None
    match None if body is None else json.decode_or_none(body):
        case {"type": "error", "error": {"type": str(), "message": str()}}:
            return body
        case _:
            return None


def failed_body(error: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """The same of an error in OpenAI's form, as one of several models in a stream has it."""
    found = {"type": type_of(error), "message": str(error.get("message") or "")}
    return {"type": "error", "error": found, "request_id": request_id}


def type_of(error: Mapping[str, Any]) -> str:
    """The type of one of several models' errors, by its status; or by its code or its type."""
    if isinstance(status := error.get("status"), int):
        return _general_type(status)
    kind = str(error.get("type"))
    return _OF_CODES.get(str(error.get("code")), kind if kind in _NAMES else "api_error")


def _general_type(status: int) -> str:
    return TYPES.get(status, "api_error" if status >= 500 else TYPES[400])  # noqa: PLR2004


def error_object(error: Exception) -> dict[str, Any]:
    """
    `{"type", "message"}`, maybe with `details`.

    The message of a vendor's error is the vendor's, word for word: clients find in it what
    to leave out of the next request (Claude Code).
    """
    status = error_status(error)
    general = _general_type(status)
    if not isinstance(error, ProviderError):
        more = {"details": error.details} if isinstance(error, ThreadError) else {}
        return {"type": general, "message": detail_of(error).message, **more}
    detail = error.vendor_detail
    is_known = error.upstream == status and detail.type in _NAMES
    is_vendors = is_known and _has_api(error.deployment)
    return {"type": detail.type if is_vendors else general, "message": detail.message}


def _has_api(deployment: Any) -> bool:
    """
    Whether the vendor has this API, so that its types are those of this module.

    Others' `invalid_request_error` says less than the status.
    """
    provider = getattr(deployment, "provider", None)
    return provider is not None and provider.pass_through(API, deployment.target) is not None


def error_status(error: Exception) -> int:
    """
    The HTTP status: that of a vendor with this API; one without capacity is a 529, as Anthropic's.

    An unpaid account is a 402, which clients do not send again, and a body that the vendor does not
    take a 413, which they shorten.
    """
    upstream = (error.upstream or 0) if isinstance(error, ProviderError) else 0
    if upstream == OVERLOADED:
        return OVERLOADED
    if upstream in ERRORS and _own_body(error) is not None:
        return upstream
    if isinstance(error, QuotaExceeded | Rejected) and error.upstream in _SAME_STATUSES:
        return error.upstream
    if isinstance(error, AllFailed) and _are_overloaded(error):
        return OVERLOADED
    return status_of(error)


def _are_overloaded(error: AllFailed) -> bool:
    causes = [cause.error for cause in error.failures]
    return bool(causes) and all(
        isinstance(one, FanoutError) and error_status(one) == OVERLOADED for one in causes
    )
