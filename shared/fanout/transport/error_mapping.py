"""
Turns failures of a call into `ProviderError`s, by status and exception type, never by messages.

Pure; knows nothing of sockets or of how a call is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from msgspec.structs import replace

from ..config.resolve import Deployment
from ..errors import (
    Broken,
    ErrorDetail,
    Malformed,
    Overloaded,
    Oversized,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
)
from ..providers.base import WireError
from ..wire.http import WireResponse
from .engine import (
    ConnectFailed,
    ConnectionLost,
    EngineError,
    ProxyRefused,
    SlowConnect,
    SlowResponse,
    TooLong,
)
from .redaction import redact

# Errors by HTTP status. Every other 4xx is `Rejected`, every other 5xx is `Overloaded`.
BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: Refused,
    403: Refused,
    408: TimedOut,
    409: Overloaded,
    424: Overloaded,  # Bedrock: "an error processing your request; retry"
    425: Overloaded,
    429: RateLimited,
    504: TimedOut,
}

OVER_SIZE_LIMIT = "the response is over the size limit (`max_response_size_mb`)"

BY_ENGINE_ERROR: Mapping[type[EngineError], tuple[type[ProviderError], str]] = {
    ConnectFailed: (Unreachable, "no connection to the provider"),
    SlowConnect: (Unreachable, "no connection to the provider in time"),
    ProxyRefused: (Unreachable, "the HTTP proxy refused the connection"),
    SlowResponse: (TimedOut, "the provider sent nothing within the HTTP client's read timeout"),
    ConnectionLost: (Broken, "the connection to the provider broke"),
    TooLong: (Oversized, OVER_SIZE_LIMIT),
}

MAX_ERROR_BODY = 64 * 1024
"""Bytes of an error response that are read."""

MAX_RETRY_AFTER = 600.0
"""Seconds: a longer `Retry-After` is cut to this."""


def from_engine_error(deployment: Deployment, error: EngineError) -> ProviderError:
    kind, message = BY_ENGINE_ERROR[type(error)]
    if isinstance(error, ProxyRefused) and str(error):
        message = f"{message} ({error})"
    return kind(deployment, ErrorDetail(message))


def malformed(deployment: Deployment) -> ProviderError:
    message = f"the response is not in the format of `{deployment.provider.name}`"
    return Malformed(deployment, ErrorDetail(message))


def from_wire_error(deployment: Deployment, error: WireError, key: str | None) -> ProviderError:
    """The error of an error object in a stream, or in a response with status 200."""
    return _error(deployment, error.status, error.detail, key=key)


def from_response(deployment: Deployment, response: WireResponse, key: str | None) -> ProviderError:
    """The error of a response whose status is not 200; `key` is removed from its message."""
    detail = deployment.provider.explain(response.status, response.body[:MAX_ERROR_BODY])
    named = response.headers.get("x-amzn-errortype", "").partition(":")[0]
    if named and detail.type == "api_error":  # AWS names most error types only in this header
        detail = replace(detail, type=named)
    after = retry_after(response.headers)
    return _error(deployment, response.status, detail, after, key)


def _error(
    deployment: Deployment,
    status: int,
    detail: ErrorDetail,
    after: float | None = None,
    key: str | None = None,
) -> ProviderError:
    kind = BY_STATUS.get(status) or (Overloaded if status >= 500 else Rejected)  # noqa: PLR2004
    if status == 407:  # noqa: PLR2004 -- from a proxy, which reads requests over plain HTTP
        kind = Unreachable
        detail = ErrorDetail(f"{BY_ENGINE_ERROR[ProxyRefused][1]} (HTTP 407)")
    if status < 400:  # noqa: PLR2004 -- a redirect is not followed: it would get the key
        kind, detail = Malformed, ErrorDetail(f"an unexpected HTTP {status}")
    if detail.code == "insufficient_quota" or detail.type == "insufficient_quota":
        kind = QuotaExceeded
    if kind is Refused or detail.code == "invalid_api_key":  # Google's status is 400
        kind = Refused
        detail = ErrorDetail(
            f"`{deployment.provider.name}` rejected the API key (HTTP {status})",
            "provider_key_error",
        )
    detail = _redacted(detail, (key,) if key else (), deployment.base_url)
    after = detail.retry_after if after is None else after
    return kind(deployment, detail, upstream=status, retry_after=after)


def _redacted(detail: ErrorDetail, keys: Sequence[str], base_url: str) -> ErrorDetail:
    """The provider's error object, without keys and addresses in any of its four texts."""
    texts = (detail.message, detail.type, detail.param, detail.code)
    message, kind, param, code = (text and redact(text, keys, base_url) for text in texts)
    return replace(detail, message=message or "", type=kind or "", param=param, code=code)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Seconds to wait, from `retry-after-ms`, or from `retry-after` in seconds or as an HTTP date.

    The OpenAI SDK reads the same three, in this order.
    """
    try:
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
            return None if isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER)
        value = headers.get("retry-after")
        if not value:
            return None
        if value.replace(".", "", 1).isdigit():
            return min(float(value), MAX_RETRY_AFTER)
        return _seconds_until(value, headers.get("date"))
    except (ValueError, TypeError):  # TypeError if only one of the dates has a time zone
        return None


def _seconds_until(value: str, now: str | None) -> float | None:
    """Seconds from the response's `Date` header to the given date: this needs no clock."""
    from email.utils import parsedate_to_datetime

    if not now:
        return None
    seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(now)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
