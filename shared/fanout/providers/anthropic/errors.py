"""Error bodies, and the HTTP statuses of errors inside a stream."""

from __future__ import annotations

import msgspec

from ...errors import ErrorDetail
from ...wire import json
from ..base import WireError, read_error

# https://platform.claude.com/docs/en/api/errors
STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class Details(msgspec.Struct, frozen=True):
    """`error_code` is more specific than the error's type."""

    error_code: str | None = None


class Fault(msgspec.Struct, frozen=True):
    """`code` is llama.cpp's: the HTTP status."""

    message: str = ""
    type: str = "api_error"
    details: Details | None = None
    code: int | str | None = None

    @property
    def status(self) -> int:
        """The HTTP status; 502 if neither the type nor the code gives one."""
        given = self.code if isinstance(self.code, int) else 0
        return STATUSES.get(self.type, given if given in range(400, 600) else 502)


class Failure(msgspec.Struct, frozen=True):
    """`{"type": "error", "error": {…}, "request_id": …}`, both as a body and as an event."""

    error: Fault | None = None


def explain(status: int, body: bytes) -> ErrorDetail:
    """Read an error body."""
    failure = read_error(body, Failure)
    fault = failure.error or read_error(body, Fault) if failure else None
    if fault is None or not fault.message:
        kind = fault.type if fault else "api_error"
        return ErrorDetail(f"HTTP {status}, the provider gave no reason", kind)
    return _describe(fault)


def make_error(data: bytes) -> WireError:
    """The error in `data`, a body or event that came instead of a response."""
    # In a stream, llama.cpp sends the error itself, without `{"error": …}` around it.
    fault = json.decode_tolerant(data, Failure).error or json.decode_tolerant(data, Fault)
    return WireError(fault.status, _describe(fault))


def _describe(fault: Fault) -> ErrorDetail:
    code = fault.details.error_code if fault.details else None
    return ErrorDetail(fault.message or "the provider gave no reason", fault.type, None, code)
