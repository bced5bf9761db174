"""Cohere's errors: `{"id": "…", "message": "…"}`; the HTTP status is their type."""

from __future__ import annotations

from msgspec import Struct

from ...errors import ErrorDetail
from ..base import WireError, read_error

# https://docs.cohere.com/reference/errors; 498 is Cohere's own, for a blocked token.
_KINDS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("authentication_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),
    422: ("invalid_request_error", None),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    498: ("invalid_request_error", "invalid_token"),
}


class Fault(Struct, frozen=True):
    message: str = ""


def explain(status: int, body: bytes) -> ErrorDetail:
    """Read an error body."""
    kind, code = _KINDS.get(status, ("api_error", None))
    fault = read_error(body, Fault)
    message = (fault and fault.message) or f"HTTP {status}, Cohere gave no reason"
    return ErrorDetail(message, kind, code=code)


def raise_failure(finish_reason: str | None, error: str | None) -> None:
    """Raise `WireError` if the response says that the generation failed."""
    if finish_reason == "TIMEOUT":
        raise WireError(504, ErrorDetail(error or "the generation took too long", "timeout_error"))
    if error or finish_reason == "ERROR":
        raise WireError(500, ErrorDetail(error or "the generation failed"))
