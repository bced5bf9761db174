"""Google's errors: `{"error": {"code", "message", "status", "details"}}`."""

from __future__ import annotations

from msgspec import Struct

from ...errors import ErrorDetail
from ..base import read_error
from . import wire

# https://cloud.google.com/apis/design/errors#handling_errors
_KINDS: dict[str, tuple[str, str | None]] = {
    "INVALID_ARGUMENT": ("invalid_request_error", None),
    "FAILED_PRECONDITION": ("invalid_request_error", None),
    "OUT_OF_RANGE": ("invalid_request_error", None),
    "UNAUTHENTICATED": ("authentication_error", "invalid_api_key"),
    "PERMISSION_DENIED": ("permission_error", None),
    "NOT_FOUND": ("invalid_request_error", "model_not_found"),
    "RESOURCE_EXHAUSTED": ("rate_limit_error", "rate_limit_exceeded"),
    "DEADLINE_EXCEEDED": ("timeout_error", None),
}


class Body(Struct, frozen=True):
    error: wire.Fault | None = None


def explain(status: int, body: bytes) -> ErrorDetail:
    """Read an error body, or a JSON list of one: a stream without `alt=sse` is a list."""
    bodies = read_error(body, list[Body]) if body.lstrip().startswith(b"[") else None
    found = bodies[0] if bodies else read_error(body, Body)
    if found is None or found.error is None or found.error == wire.NO_FAULT:
        return ErrorDetail(f"HTTP {status}, Google gave no reason")
    return explain_fault(found.error)


def _seconds(delays: list[str]) -> float | None:
    """`RetryInfo.retryDelay`, a protobuf duration such as `34.07s`."""
    try:
        return float(delays[0].removesuffix("s")) if delays else None
    except ValueError:
        return None


def explain_fault(fault: wire.Fault) -> ErrorDetail:
    """
    OpenAI's type and code for Google's status.

    A bad key is a 400 with that reason in its details. A quota per day is no rate limit: waiting
    does not help.
    """
    kind, code = _KINDS.get(fault.status, ("api_error", None))
    details = fault.details or ()
    if any(detail.reason in {"API_KEY_INVALID", "API_KEY_EXPIRED"} for detail in details):
        kind, code = "authentication_error", "invalid_api_key"
    quotas = [violation.quota_id for detail in details for violation in detail.violations or ()]
    if any("PerDay" in quota for quota in quotas):
        kind, code = "insufficient_quota", "insufficient_quota"
    delays = [detail.retry_delay for detail in details if detail.retry_delay]
    return ErrorDetail(
        fault.message or "Google gave no reason", kind, code=code, retry_after=_seconds(delays)
    )
