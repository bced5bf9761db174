"""
LiteLLM's names of errors, by which a config counts retries and failures.

The names are those of its `RetryPolicy` and `AllowedFailsPolicy`, and which error has which name is
LiteLLM's exception mapping (https://docs.litellm.ai/docs/exception_mapping, November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import (
    Broken,
    ContentFiltered,
    Malformed,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
)

INTERNAL = "InternalServerError"
DEFAULT = "Default"

KINDS: Mapping[type[Exception], tuple[str, ...]] = {
    Refused: ("AuthenticationError",),
    TimedOut: ("TimeoutError",),
    RateLimited: ("RateLimitError",),
    ContentFiltered: ("ContentPolicyViolationError", "BadRequestError"),
    ModelNotFound: ("NotFoundError",),
    PermissionDenied: (),
    Rejected: ("BadRequestError",),
    Overloaded: (INTERNAL,),
    Unreachable: (INTERNAL,),
    Broken: (INTERNAL,),
    Malformed: (INTERNAL,),
}
"""By the class of an error, or else by the closest class above it; the first name counts."""

OF_STATUS: Mapping[tuple[type[Exception], int | None], tuple[str, ...]] = {
    (Rejected, 404): ("NotFoundError",),
    (Overloaded, 502): ("BadGatewayError", INTERNAL),
    (Overloaded, 503): ("ServiceUnavailableError", INTERNAL),
}
"""By the class of an error and the provider's status, which count before the class alone."""


def kinds_of(error: Exception) -> tuple[str, ...]:
    """LiteLLM's names of an error, the closest first; none for one before a call was sent."""
    status = error.upstream if isinstance(error, ProviderError) else None
    if found := OF_STATUS.get((type(error), status)):
        return found
    return next((KINDS[one] for one in type(error).__mro__ if one in KINDS), ())


def kind_in(counts: Mapping[str, int], error: Exception) -> str | None:
    """The name under which a policy counts an error; `None` if it does not."""
    return next((kind for kind in _kinds_or_default(error) if kind in counts), None)


def _kinds_or_default(error: Exception) -> tuple[str, ...]:
    """The kinds of an error; those of a retryable one end with `DEFAULT`."""
    is_retryable = isinstance(error, ProviderError) and error.is_retryable
    return (*kinds_of(error), DEFAULT) if is_retryable else kinds_of(error)
