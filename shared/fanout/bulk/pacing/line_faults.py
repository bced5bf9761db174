"""
What the error of a failed attempt says: whether it is temporary, and whether its line is to blame.

A provider that is overloaded, or cannot be reached, treats all lines alike. Pure.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from ...errors import (
    AllFailed,
    Broken,
    FanoutError,
    Malformed,
    Overloaded,
    ProviderError,
    RateLimited,
    SchemaMismatch,
    TimedOut,
    Unreachable,
    detail_of,
)
from ...routing.retry_policy import is_retryable

Evidence: TypeAlias = Literal["none", "weak", "strong"]
"""
How much a failure says against its line.

None if the provider rejects calls by rate or load, or cannot be reached; weak if the call took too
long, or a server between failed (502, 504); strong if the provider failed at this line.
"""

OVERLOADS = frozenset({429, 503, 529})
BETWEEN = frozenset({502, 504})


def evidence_of(error: FanoutError) -> Evidence:
    """What a failure says; of several models' failures, the least of any."""
    found = [_evidence(cause) for cause in _causes(error)]
    return "none" if "none" in found else "weak" if "weak" in found else "strong"


def _evidence(error: Exception) -> Evidence:
    if not isinstance(error, ProviderError) or isinstance(error, RateLimited | Unreachable):
        return "none"
    if isinstance(error, Overloaded):
        says = f"{detail_of(error).type} {detail_of(error).message}".lower()
        if error.upstream in OVERLOADS or error.upstream is None or "overloaded" in says:
            return "none"
        return "weak" if error.upstream in BETWEEN else "strong"
    return "weak" if isinstance(error, TimedOut) else "strong"


def _causes(error: FanoutError) -> list[Exception]:
    return [one.error for one in error.failures] if isinstance(error, AllFailed) else [error]


def what_happens(model: str, error: Exception) -> str:
    """The error in words, without the provider's message."""
    if isinstance(error, ProviderError) and error.upstream is not None:
        return f"`{model}` responds with {error.upstream}"
    if isinstance(error, Unreachable):
        return f"`{model}` cannot be reached"
    if isinstance(error, TimedOut):
        return f"`{model}` does not respond in time"
    return f"`{model}` fails with {detail_of(error).code or type(error).__name__}"


def is_cut(error: FanoutError) -> bool:
    """Whether a response began to arrive, of one model at least, and was cut."""
    return any(isinstance(cause, Broken) and cause.may_be_billed for cause in _causes(error))


def may_succeed_later(error: FanoutError) -> bool:
    """
    Whether the error, or one of several models' errors, is temporary.

    Not so if a response was paid for that does not fit its schema.
    """
    if isinstance(error, AllFailed):
        if any(isinstance(cause.error, SchemaMismatch) for cause in error.failures):
            return False
        return any(_is_temporary(cause.error) for cause in error.failures)
    return _is_temporary(error)


def _is_temporary(error: Exception) -> bool:
    """Not so if the response cannot be read: it may be billed, and the next may be like it."""
    return is_retryable(error) and not isinstance(error, Malformed)


def error_to_wait_for(error: FanoutError) -> Exception:
    """The error whose `Retry-After` sets the pause; of several, the first that has one."""
    if isinstance(error, AllFailed):
        retryable = [cause.error for cause in error.failures if _is_temporary(cause.error)]
        waits = [e for e in retryable if isinstance(e, ProviderError) and e.retry_after is not None]
        return waits[0] if waits else error
    return error
