"""
Fanout's exceptions as OpenAI's, where the process has loaded OpenAI's SDK.

`except openai.RateLimitError` then catches a `RateLimited`. Each raised error gets a class that
derives from its own class and from the SDK's. Python matches `except` clauses by real base classes,
so a virtual subclass would not do. The SDK is never imported here: code that catches its errors has
imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..errors import (
    AllFailed,
    Broken,
    ConfigError,
    DeadlineExceeded,
    FanoutError,
    Internal,
    Malformed,
    MissingKey,
    Oversized,
    ProviderError,
    QuotaExceeded,
    Refused,
    Rejected,
    SchemaMismatch,
    TimedOut,
    Unreachable,
    restored,
    status_of,
)
from .errors import CheckpointError, ForkedProcess, GatewayUnreachable

BY_KIND: dict[type[FanoutError], str] = {
    MissingKey: "AuthenticationError",
    ConfigError: "OpenAIError",
    Unreachable: "APIConnectionError",
    Broken: "APIConnectionError",
    TimedOut: "APITimeoutError",
    DeadlineExceeded: "APITimeoutError",
    Malformed: "APIResponseValidationError",
    Oversized: "APIResponseValidationError",
    SchemaMismatch: "APIResponseValidationError",
    CheckpointError: "OpenAIError",
    ForkedProcess: "OpenAIError",
    GatewayUnreachable: "APIConnectionError",
    Internal: "OpenAIError",
}
"""The SDK's class of errors that have no HTTP status of a provider; the first that fits."""

BY_STATUS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
"""The SDK's class of a 4xx status; any other is `APIStatusError`."""

FORBIDDEN = 403
SERVER_ERROR = 500


@contextmanager
def openai_errors() -> Iterator[None]:
    """Give each Fanout error that leaves the block the OpenAI SDK's class, too."""
    try:
        yield
    except FanoutError as error:
        as_openai(error)
        raise


def as_openai(error: FanoutError) -> FanoutError:
    """
    The error, also an instance of the OpenAI SDK's class for it if the SDK is loaded.

    So are the errors of each model in an `AllFailed`.
    """
    if isinstance(error, AllFailed):
        for cause in error.failures:
            if isinstance(cause.error, FanoutError):
                as_openai(cause.error)
    sdk = sys.modules.get("openai")
    found: type[Exception] | None = getattr(sdk, _name(error), None)
    if sdk is None or found is None or isinstance(error, found):
        return error
    error.__class__ = _both(type(error), found)
    for name, value in _attributes(error, sdk).items():
        setattr(error, name, value)
    return error


def _name(error: FanoutError) -> str:
    if isinstance(error, AllFailed):
        names = {_name(c.error) for c in error.failures if isinstance(c.error, FanoutError)}
        if len(names) == 1:
            return names.pop()
    for kind, name in BY_KIND.items():
        if isinstance(error, kind):
            return name
    return name_of_status(_upstream_status(error))


def name_of_status(status: int) -> str:
    """The SDK's class for an HTTP status, as in its `_make_status_error`."""
    if status >= SERVER_ERROR:
        return "InternalServerError"
    return BY_STATUS.get(status, "APIStatusError")


def _upstream_status(error: FanoutError) -> int:
    """
    The status that the SDK would have seen: the provider's, else ours.

    An error that was recognized by its body has OpenAI's status, whatever the provider's was.
    """
    if isinstance(error, MissingKey):
        return 401
    if isinstance(error, Rejected) and error.fixed_status:
        return error.fixed_status
    if isinstance(error, QuotaExceeded):
        return error.status
    if isinstance(error, Refused) and error.upstream != FORBIDDEN:
        return 401
    if isinstance(error, ProviderError) and error.upstream:
        return error.upstream
    return status_of(error)


_classes: dict[tuple[type[FanoutError], type[Exception]], type[FanoutError]] = {}


def _both(ours: type[FanoutError], theirs: type[Exception]) -> type[FanoutError]:
    """A class that derives from both and has our name."""
    if (found := _classes.get((ours, theirs))) is None:
        members = {"__module__": ours.__module__, "__reduce__": _reduce}
        found = type(ours.__name__, (ours, theirs), members)
        _classes[ours, theirs] = found
    return found


def _reduce(error: FanoutError) -> tuple[object, ...]:
    """For copies and pickles, which are OpenAI's again where the SDK is loaded."""
    _, parts = FanoutError.__reduce__(error)
    return _restored, (parts,)


def _restored(parts: tuple[Any, ...]) -> FanoutError:
    return as_openai(restored(*parts))


def _attributes(error: FanoutError, sdk: ModuleType) -> dict[str, Any]:
    """What the SDK's errors have: `response` and `request` stand for what was sent below us."""
    detail, status = error.detail, _upstream_status(error)
    body = {
        "message": detail.message,
        "type": detail.type,
        "param": detail.param,
        "code": detail.code,
    }
    found: dict[str, Any] = {"message": str(error), "body": body, "request_id": None, **body}
    found["status_code"] = status
    exceptions = sys.modules.get(f"{sdk.__name__}._exceptions")
    http = getattr(exceptions, "httpx2", None) or getattr(exceptions, "httpx", None)
    if http is not None:
        request = http.Request("POST", "https://provider.invalid/chat/completions")
        after = getattr(error, "retry_after", None)
        headers = {} if after is None else {"retry-after": f"{after:g}"}
        found |= {"request": request}
        found |= {"response": http.Response(status, headers=headers, request=request)}
    return found
