"""The class of a provider's error: by the kind that its body names, then by the HTTP status."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import (
    ContentFiltered,
    ContextLengthExceeded,
    Malformed,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
    UnsupportedCountry,
)
from ..providers.error_rules import (
    ErrorBody,
    ErrorKind,
    is_about_key,
)

STATUS_BY_KIND: Mapping[ErrorKind | None, int] = {"invalid_request": 400, "overloaded": 503}
"""The status of an error that the provider named in a success, as if it had its own status."""


# Errors by HTTP status. Every other 4xx is `Rejected`, every other 5xx is `Overloaded`.
BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: Refused,
    402: QuotaExceeded,
    403: Refused,
    408: TimedOut,
    409: Overloaded,
    424: Overloaded,  # Bedrock: "an error processing your request; retry"
    425: Overloaded,
    429: RateLimited,
    451: UnsupportedCountry,  # "Unavailable For Legal Reasons"
    504: TimedOut,
}


BY_KIND: Mapping[ErrorKind, type[ProviderError]] = {
    "content_filter": ContentFiltered,
    "context_length": ContextLengthExceeded,
    "model_not_found": ModelNotFound,
    "unsupported_country": UnsupportedCountry,
    "permission": PermissionDenied,
    "invalid_key": Refused,
    "insufficient_quota": QuotaExceeded,
    "rate_limit": RateLimited,
    "overloaded": Overloaded,
    "timeout": TimedOut,
    "invalid_request": Rejected,
}


# The kinds for which clients get OpenAI's code, and its type if the provider names none.
OPENAI_TYPES: Mapping[type[ProviderError], str] = {
    ContentFiltered: "invalid_request_error",
    ContextLengthExceeded: "invalid_request_error",
    ModelNotFound: "invalid_request_error",
    PermissionDenied: "invalid_request_error",
    UnsupportedCountry: "request_forbidden",
    QuotaExceeded: "insufficient_quota",
    RateLimited: "rate_limit_error",
}


SERVER_FAULTS = frozenset({Overloaded, TimedOut})
"""The errors of a response, also of one with a 4xx status, that are not the client's."""


def class_of(kind: ErrorKind | None, body: ErrorBody) -> type[ProviderError]:
    """The error's class: by the kind that the body names, then by the status."""
    status = body.status
    if status == 407:  # noqa: PLR2004 -- from a proxy, which reads requests over plain HTTP
        return Unreachable
    if status < 400:  # noqa: PLR2004 -- a redirect is not followed: it would get the key
        return Malformed
    if kind:
        return BY_KIND[kind]
    if status == 403 and not is_about_key(body):  # noqa: PLR2004
        return PermissionDenied
    return BY_STATUS.get(status) or (Overloaded if status >= 500 else Rejected)  # noqa: PLR2004
