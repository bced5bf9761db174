"""
What went wrong with a call, as a `ProviderError`: by tables, never by the words of a message.

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
from .engine import ConnectFailed, ConnectionLost, EngineError, SlowConnect, TooLong
from .redaction import redact

# A status and what it means; every other 4xx is the request's fault, every other 5xx theirs.
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

BY_FAULT: Mapping[type[EngineError], tuple[type[ProviderError], str]] = {
    ConnectFailed: (Unreachable, "no connection to the provider"),
    SlowConnect: (Unreachable, "no connection to the provider in time"),
    ConnectionLost: (Broken, "the connection to the provider broke"),
    TooLong: (Oversized, "the answer is larger than the gateway takes (`max_response_size_mb`)"),
}

MAX_ERROR_BODY = 64 * 1024
MAX_RETRY_AFTER = 600.0


def fault(deployment: Deployment, error: EngineError) -> ProviderError:
    kind, words = BY_FAULT[type(error)]
    return kind(deployment, ErrorDetail(words))


def malformed(deployment: Deployment) -> ProviderError:
    words = f"the reply is not `{deployment.provider.name}`'s own format"
    return Malformed(deployment, ErrorDetail(words))


def wire_error(deployment: Deployment, error: WireError, key: str | None) -> ProviderError:
    return _error(deployment, error.status, error.detail, key=key)


def refusal(deployment: Deployment, reply: WireResponse, key: str | None) -> ProviderError:
    detail = deployment.provider.explain(reply.status, reply.body[:MAX_ERROR_BODY])
    named = reply.headers.get("x-amzn-errortype", "").partition(":")[0]
    if named and detail.type == "api_error":  # AWS names most of its faults only there
        detail = replace(detail, type=named)
    after = retry_after(reply.headers)
    return _error(deployment, reply.status, detail, after, key)


def _error(
    deployment: Deployment,
    status: int,
    detail: ErrorDetail,
    after: float | None = None,
    key: str | None = None,
) -> ProviderError:
    kind = BY_STATUS.get(status) or (Overloaded if status >= 500 else Rejected)  # noqa: PLR2004
    if status < 400:  # noqa: PLR2004 -- a redirect is not followed: the key would go with it
        kind, detail = Malformed, ErrorDetail(f"an unexpected HTTP {status}")
    if detail.code == "insufficient_quota" or detail.type == "insufficient_quota":
        kind = QuotaExceeded
    if kind is Refused or detail.code == "invalid_api_key":  # Google says 400
        kind = Refused
        detail = ErrorDetail(
            f"`{deployment.provider.name}` refused the gateway's key (HTTP {status})",
            "provider_key_error",
        )
    detail = _redacted(detail, (key,) if key else (), deployment.base_url)
    after = detail.retry_after if after is None else after
    return kind(deployment, detail, upstream=status, retry_after=after)


def _redacted(detail: ErrorDetail, keys: Sequence[str], base_url: str) -> ErrorDetail:
    """The provider's words, each of the four, without keys and addresses."""
    said = (detail.message, detail.type, detail.param, detail.code)
    message, kind, param, code = (word and redact(word, keys, base_url) for word in said)
    return replace(detail, message=message or "", type=kind or "", param=param, code=code)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Seconds to wait, from `retry-after-ms`, or `retry-after` in seconds or as an HTTP date.

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
        return _until(value, headers.get("date"))
    except (ValueError, TypeError):  # the latter where one date has a zone and the other none
        return None


def _until(value: str, now: str | None) -> float | None:
    """Seconds between the reply's own `Date` and the date given, so that no clock is needed."""
    from email.utils import parsedate_to_datetime

    if not now:
        return None
    seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(now)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
