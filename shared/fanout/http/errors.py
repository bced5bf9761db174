"""Our errors as HTTP answers: the status, the headers, OpenAI's error object."""

from __future__ import annotations

from ..errors import AllFailed, DeadlineExceeded, ProviderError, WrongMethod
from .admission import Busy
from .auth import KeysUnavailable


def error_headers(error: Exception) -> dict[str, str]:
    """
    `Retry-After` as the provider gave it, and `x-should-retry: false`; `Allow` of a wrong method.

    The gateway has spent its own retries by then; the OpenAI SDK, told nothing, would multiply them
    by its own (facts: openai-python `_should_retry`).
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
    """The provider's own, or ours; of several the shortest."""
    if isinstance(error, ProviderError | Busy | KeysUnavailable):
        return error.retry_after
    if isinstance(error, AllFailed):
        given = [_retry_after(cause.error) for cause in error.failures]
        return min((seconds for seconds in given if seconds is not None), default=None)
    return None
