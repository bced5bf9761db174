"""
Turns failures below HTTP into `ProviderError`s, and reads `Retry-After`.

`error_bodies.py` has the errors with a response of the provider.

Pure; does not depend on sockets or how a call is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

from ..config.deployment import Deployment
from ..errors import (
    Broken,
    ErrorDetail,
    Malformed,
    Oversized,
    ProviderError,
    TimedOut,
    Unreachable,
)
from .engine import (
    OVER_SIZE_LIMIT,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    ProxyRefused,
    SlowConnect,
    SlowResponse,
    TooLong,
)

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

MAX_RETRY_AFTER = 30 * 24 * 3600.0
"""Seconds: a longer `Retry-After` is cut to this; no job may take longer."""


def from_engine_error(deployment: Deployment, error: EngineError) -> ProviderError:
    kind, message = next(
        BY_ENGINE_ERROR[one] for one in type(error).__mro__ if one in BY_ENGINE_ERROR
    )
    if isinstance(error, ProxyRefused) and str(error):
        message = f"{message} ({error})"
    if isinstance(error, ConnectFailed) and error.server:
        message = f"no connection to {error.server}"
    if isinstance(error, ConnectFailed) and error.reason:
        message = f"{message} ({error.reason})"
    if isinstance(error, ConnectionLost) and error.hint:
        message = f"{message} ({error.hint})"
    if is_cut := kind is Broken and error.in_success:
        message += " within the response, which may be billed"
    made = kind(deployment, ErrorDetail(message))
    made.may_be_billed |= is_cut or kind is TimedOut
    return made


def malformed(deployment: Deployment) -> ProviderError:
    message = f"the response is not in the format of `{deployment.provider.name}`"
    made = Malformed(deployment, ErrorDetail(message))
    made.may_be_billed = True
    return made


def stream_timeout(deployment: Deployment) -> TimedOut:
    """The error of a stream that pauses for too long."""
    message = f"no data on the stream for {deployment.stream_timeout:g} s"
    made = TimedOut(deployment, ErrorDetail(message, "timeout_error"))
    made.may_be_billed = True
    return made


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
