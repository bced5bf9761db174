"""Google's errors: `{"error": {"code", "message", "status", "details"}}`."""

from __future__ import annotations

from msgspec import MsgspecError, Struct

from ...errors import ErrorDetail
from ...wire import json
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
    error: wire.Fault


def explain(status: int, body: bytes) -> ErrorDetail:
    """Read an error body; one that is not Google's own is not repeated to anyone."""
    try:
        fault = json.decode(body, type=Body | list[Body])
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return ErrorDetail(f"HTTP {status}, Google gave no reason")
    if isinstance(fault, list):  # a stream that was not asked for as SSE is a JSON list
        if not fault:
            return ErrorDetail(f"HTTP {status}, Google gave no reason")
        fault = fault[0]
    return explain_fault(fault.error)


def _seconds(delays: list[str]) -> float | None:
    """`RetryInfo.retryDelay`, a protobuf duration such as `34.07s`."""
    try:
        return float(delays[0].removesuffix("s")) if delays else None
    except ValueError:
        return None


def explain_fault(fault: wire.Fault) -> ErrorDetail:
    """
    Google's status in OpenAI's words.

    A bad key is a 400 whose details say so; a quota of the day is not worth waiting for.
    """
    kind, code = _KINDS.get(fault.status, ("api_error", None))
    details = fault.details or ()
    if any(detail.reason in {"API_KEY_INVALID", "API_KEY_EXPIRED"} for detail in details):
        kind, code = "authentication_error", "invalid_api_key"
    quotas = [violation.quota_id for detail in details for violation in detail.violations or ()]
    if any("PerDay" in quota for quota in quotas):
        kind, code = "insufficient_quota", "insufficient_quota"
    delays = [detail.retry_delay for detail in details if detail.retry_delay]
    return ErrorDetail(fault.message, kind, code=code, retry_after=_seconds(delays))
