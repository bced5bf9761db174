"""The headers of an error response."""

from __future__ import annotations

from ..errors import AllFailed, DeadlineExceeded, ProviderError, WrongMethod
from .admission import Busy
from .auth import KeysUnavailable


def error_headers(error: Exception) -> dict[str, str]:
    """
    `Retry-After` if a pause is known, `x-should-retry: false` after providers failed, and `Allow`.

    The gateway has already retried by then. Without `x-should-retry`, the OpenAI SDK would retry
    too (openai-python's `_should_retry`) and multiply the calls.
    """
    headers: dict[str, str] = {}
    if isinstance(error, ProviderError | AllFailed | DeadlineExceeded):
        headers["x-should-retry"] = "false"
    if isinstance(error, WrongMethod):
        headers["allow"] = ", ".join(error.allowed)
    if (seconds := _retry_after(error)) is not None:
        headers["retry-after"] = f"{seconds:.3f}".rstrip("0").rstrip(".")
    return headers


def _retry_after(error: Exception) -> float | None:
    """Seconds to wait: the provider's own or the gateway's; the shortest of several."""
    if isinstance(error, ProviderError | Busy | KeysUnavailable):
        return error.retry_after
    if isinstance(error, AllFailed):
        given = [_retry_after(cause.error) for cause in error.failures]
        return min((seconds for seconds in given if seconds is not None), default=None)
    return None
