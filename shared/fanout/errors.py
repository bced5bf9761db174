"""
Every error this house raises on purpose.

    FanoutError
    ├── ConfigError              the YAML or the environment is wrong; says which key
    │   └── MissingKey           a provider's key is not there
    ├── RequestError             the caller's request cannot be served as asked      (400)
    │   ├── UnknownModel                                                             (404)
    │   ├── NotFound             nothing is at this path                             (404)
    │   ├── Unauthorized         no key, or not one of ours                          (401)
    │   ├── Forbidden            this key may not name this model                    (403)
    │   ├── WrongMethod          .allowed                                            (405)
    │   ├── TooLarge             the body is over the limit                          (413)
    │   ├── HeadersTooLarge                                                          (431)
    │   └── Unsupported          this provider has no such parameter
    ├── ProviderError            one attempt failed: .deployment .status .detail .is_retryable
    │   ├── Unreachable          no connection                                       (502)
    │   ├── TimedOut             no answer in time                                   (504)
    │   ├── Refused              401, 403: our key, not the caller's                 (502)
    │   ├── Rejected             400, 404, 413, 422: the request, says the provider
    │   ├── RateLimited          429; .retry_after                                   (429)
    │   │   └── QuotaExceeded    429 that no waiting cures                           (429)
    │   ├── Overloaded           500, 502, 503, 529
    │   ├── Malformed            the reply does not parse as the provider's own wire (502)
    │   ├── Broken               the stream ended early                              (502)
    │   └── Oversized            an answer too large to be held                      (502)
    ├── SchemaMismatch           the response does not fit `response_format`; .completion (502)
    ├── CheckpointError          the file of `checkpoint=` cannot be read or written; .responses
    ├── AllFailed                .failures, in call order; their status if they agree, else 502
    ├── Internal                 a bug of ours, which the log has already                (500)
    └── DeadlineExceeded         the request's own time is up                        (504)
Knows nothing of HTTP, of configuration, or of how an error is printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from msgspec import Struct
from msgspec.structs import replace


class ErrorDetail(Struct, frozen=True):
    """What an error says, safe to show; `retry_after` is the pause in seconds it asks for."""

    message: str
    type: str = "api_error"
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None


class FanoutError(Exception):
    """The root: every error here has a `status` and a `detail`."""

    status: int = 500
    type: ClassVar[str] = "api_error"
    code: ClassVar[str | None] = None

    @property
    def detail(self) -> ErrorDetail:
        return ErrorDetail(str(self), self.type, None, self.code)


class ConfigError(FanoutError):
    """The config or the environment is wrong; the message names the key and the fix."""

    type = "server_error"
    code = "invalid_config"


class MissingKey(ConfigError):
    """A provider's key is neither in the config nor in the environment."""

    status = 500
    code = "missing_provider_key"


class RequestError(FanoutError):
    """The caller's request cannot be served as asked; `param` is the field to change."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_value"

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self._code = code

    @property
    def detail(self) -> ErrorDetail:
        return ErrorDetail(str(self), self.type, self.param, self._code or self.code)


class UnknownModel(RequestError):
    status = 404
    code = "model_not_found"


class NotFound(RequestError):
    status = 404
    code = "not_found"


class Unauthorized(RequestError):
    status = 401
    code = "invalid_api_key"


class Forbidden(RequestError):
    status = 403
    type = "permission_error"
    code = "model_not_allowed"


class WrongMethod(RequestError):
    """The path is there, but not for this method; `allowed` are those it is there for."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{method} is not allowed here; use {' or '.join(allowed)}")
        self.allowed = allowed


class TooLarge(RequestError):
    status = 413
    code = "request_too_large"


class HeadersTooLarge(RequestError):
    status = 431
    code = "headers_too_large"


class Unsupported(RequestError):
    """The provider's wire has no words for this parameter."""

    code = "unsupported_parameter"


class HasName(Protocol):
    """What an error needs to know of a deployment: what to call it."""

    @property
    def name(self) -> str: ...


class ProviderError(FanoutError):
    """One attempt failed. `status` is what our caller sees, `upstream` what the provider said."""

    status = 502
    code: ClassVar[str | None] = "provider_error"
    is_retryable: ClassVar[bool] = True

    def __init__(
        self,
        deployment: HasName,
        detail: ErrorDetail,
        *,
        upstream: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"`{deployment.name}`: {detail.message}")
        self.deployment = deployment
        self.upstream = upstream
        self.retry_after = retry_after
        self._detail = replace(detail, message=str(self), code=detail.code or self.code)
        self.status = self._status()

    def _status(self) -> int:
        return type(self).status

    @property
    def detail(self) -> ErrorDetail:
        return self._detail


class Unreachable(ProviderError):
    code = "provider_unreachable"


class TimedOut(ProviderError):
    status = 504
    code = "provider_timeout"


class Refused(ProviderError):
    """Our key was refused. The provider's own words may show a part of it, so they stay here."""

    code = "provider_key_refused"
    is_retryable = False


class Rejected(ProviderError):
    """The provider says that the request is wrong: its status and its words are the caller's."""

    code = None
    is_retryable = False

    def _status(self) -> int:
        return self.upstream or 400


class RateLimited(ProviderError):
    status = 429
    code = "rate_limit_exceeded"


class QuotaExceeded(RateLimited):
    """429 with `insufficient_quota`: waiting does not help."""

    code = "insufficient_quota"
    is_retryable = False


class Overloaded(ProviderError):
    """A fault on the provider's side; its 503 and 529 are our 503, the others a 502."""

    code = "provider_overloaded"

    def _status(self) -> int:
        return 503 if self.upstream in {503, 529} else 502


class Malformed(ProviderError):
    code = "provider_malformed"


class Broken(ProviderError):
    code = "provider_stream_broken"


class Oversized(ProviderError):
    code = "provider_answer_too_large"
    is_retryable = False


class DeadlineExceeded(FanoutError):
    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"


class SchemaMismatch(FanoutError):
    """A response does not fit the class given as `response_format`; `completion` holds it."""

    status = 502
    code = "schema_mismatch"

    def __init__(self, model: str, schema: str, reason: str, completion: object) -> None:
        super().__init__(f"`{model}`: the response is not a `{schema}`: {reason}")
        self.completion = completion


class CheckpointError(FanoutError):
    """A checkpoint file cannot be used or written; `responses` holds what was received."""

    code = "checkpoint_failed"

    def __init__(self, message: str, responses: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.responses = responses


class Cause(Struct, frozen=True):
    """One contestant's failure, and the model's name as the caller wrote it."""

    model: str
    error: Exception


class AllFailed(FanoutError):
    """Every model failed; `failures` has each one's error, in call order."""

    code = "all_failed"

    def __init__(self, failures: Sequence[Cause]) -> None:
        self.failures = tuple(failures)
        statuses = {status_of(cause.error) for cause in self.failures}
        self.status = statuses.pop() if len(statuses) == 1 else 502
        messages = "; ".join(public_message(cause) for cause in self.failures)
        super().__init__(f"every model failed: {messages}")

    @property
    def detail(self) -> ErrorDetail:
        types = {detail_of(cause.error).type for cause in self.failures}
        codes = {detail_of(cause.error).code for cause in self.failures}
        kind = types.pop() if len(types) == 1 else self.type
        return ErrorDetail(str(self), kind, None, codes.pop() if len(codes) == 1 else self.code)


INTERNAL = ErrorDetail("an internal error; the log has it under this request's id", "server_error")


class Internal(FanoutError):
    """A bug of ours (its `__cause__`) that the log has been told of."""

    def __init__(self) -> None:
        super().__init__(INTERNAL.message)

    @property
    def detail(self) -> ErrorDetail:
        return INTERNAL


def status_of(error: Exception) -> int:
    """The HTTP status that an error answers with; a bug is a 500."""
    return error.status if isinstance(error, FanoutError) else 500


def detail_of(error: Exception) -> ErrorDetail:
    """What may be said of an error to a caller; of a bug, nothing."""
    return error.detail if isinstance(error, FanoutError) else INTERNAL


def public_message(cause: Cause) -> str:
    """One cause in words, starting with the model's name."""
    message = detail_of(cause.error).message
    return message if message.startswith(f"`{cause.model}`") else f"`{cause.model}`: {message}"
