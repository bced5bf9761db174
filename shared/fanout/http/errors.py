"""The headers of an error response."""

from __future__ import annotations

from math import ceil

from ..errors import (
    AllFailed,
    BudgetExceeded,
    Busy,
    DeadlineExceeded,
    KeyRateLimited,
    ProviderError,
    QuotaExceeded,
    RequestCancelled,
    SchemaMismatch,
    ShuttingDown,
    StorageBusy,
    StorageFull,
    TooManyConnections,
    UnsupportedEncoding,
    WrongMethod,
)
from .auth import KeysUnavailable


def error_headers(error: Exception) -> dict[str, str]:
    """
    `Retry-After` if a pause is known, `x-should-retry: false` after providers failed, and `Allow`.

    `Retry-After` is in whole seconds: some clients ignore any other (Codex). A provider's exact
    pause is in `retry-after-ms`, which the OpenAI SDK reads first. The gateway has already retried
    by then. So without a pause `x-should-retry` keeps the SDK (openai-python's `_should_retry`)
    from multiplying the calls, and so it does after a used-up quota, for which no pause helps.
    """
    headers: dict[str, str] = {}
    is_providers = isinstance(error, ProviderError | AllFailed)
    if (is_providers and not _is_worth_waiting(error)) or isinstance(
        error,
        BudgetExceeded | DeadlineExceeded | RequestCancelled | SchemaMismatch | StorageFull,
    ):
        headers["x-should-retry"] = "false"
    if isinstance(error, WrongMethod):
        headers["allow"] = ", ".join(error.allowed)
    if isinstance(error, KeyRateLimited):
        headers |= error.headers
    if isinstance(error, UnsupportedEncoding):
        headers["accept-encoding"] = "gzip, deflate"
    if (seconds := _retry_after(error)) is not None:
        headers["retry-after"] = str(ceil(seconds))
        if is_providers:
            headers["retry-after-ms"] = str(ceil(seconds * 1000))
    return headers


def _is_worth_waiting(error: Exception) -> bool:
    """Whether a pause is known after which the client's next request may succeed."""
    if isinstance(error, AllFailed):
        return any(_is_worth_waiting(cause.error) for cause in error.failures)
    return _retry_after(error) is not None and not isinstance(error, QuotaExceeded)


def _retry_after(error: Exception) -> float | None:
    """Seconds to wait: the provider's own or the gateway's; the shortest of several."""
    if isinstance(error, ProviderError | Busy | KeysUnavailable):
        return error.retry_after
    if isinstance(error, ShuttingDown | TooManyConnections | StorageBusy):
        return error.retry_after
    if isinstance(error, AllFailed):
        causes = [cause.error for cause in error.failures]
        if _is_worth_waiting(error):
            causes = [one for one in causes if _is_worth_waiting(one)]
        given = [_retry_after(one) for one in causes]
        return min((seconds for seconds in given if seconds is not None), default=None)
    return None
