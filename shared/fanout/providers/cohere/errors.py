"""Cohere's errors: `{"id": "…", "message": "…"}` under a status that says the rest."""

from __future__ import annotations

from msgspec import MsgspecError, Struct

from ...errors import ErrorDetail
from ...wire import json
from ..base import WireError

# https://docs.cohere.com/reference/errors; 498 is Cohere's own, for a token that is blocked.
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
    message: str


def explain(status: int, body: bytes) -> ErrorDetail:
    """Read the body's message; a body that is not Cohere's own is not repeated to anyone."""
    kind, code = _KINDS.get(status, ("api_error", None))
    try:
        message = json.decode(body, type=Fault).message
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        message = f"HTTP {status}, Cohere gave no reason"
    return ErrorDetail(message, kind, code=code)


def raise_failure(finish_reason: str | None, error: str | None) -> None:
    """Raise if an answer that began well is said to have failed: there is no answer then."""
    if finish_reason == "TIMEOUT":
        raise WireError(504, ErrorDetail(error or "the generation took too long", "timeout_error"))
    if error or finish_reason == "ERROR":
        raise WireError(500, ErrorDetail(error or "the generation failed"))
