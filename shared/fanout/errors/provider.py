"""Errors of calls to providers: one attempt's, and those of all models together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from .base import ErrorDetail, FanoutError, detail_of, status_of
from .gateway import Forbidden, Unauthorized


class HasName(Protocol):
    """The part of a deployment that an error needs: its name."""

    @property
    def name(self) -> str: ...


class ProviderError(FanoutError):
    """
    One attempt failed. `status` is for the client; `upstream` is the provider's own status.

    `vendor_detail` has the provider's words, without the deployment's name before them.
    `vendor_body` is the provider's JSON, without keys, if the request was passed through. It
    `may_be_billed` if the request was sent and no rejection came back: a success broke off, could
    not be read, or did not arrive in time.
    """

    status = 502
    code: ClassVar[str | None] = "provider_error"
    is_retryable: ClassVar[bool] = True
    cooldown: ClassVar[Literal["now", "counted", "never"]] = "counted"
    """Whether the deployment cools down at once, after several such errors, or never."""

    may_be_billed = False

    stream_rejection: Literal["model", "request"] | None = None
    """Set if the request was rejected only because it asks for a stream; see `transport`."""

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
        self.rate_limits: Mapping[str, float] = {}
        self.broken_end = False
        self.vendor_detail = detail
        self.vendor_body: bytes | None = None
        self._detail = replace(detail, message=str(self), code=detail.code or self.code)
        self.status = self._status()

    def _status(self) -> int:
        return type(self).status

    @property
    def detail(self) -> ErrorDetail:
        return self._detail

    def name_param(self, param: str) -> None:
        """Name the part of the request that the failed call was about."""
        message = f"{self._detail.message} (`{param}`)"
        self._detail = replace(self._detail, param=param, message=message)


def may_be_billed(error: BaseException | None) -> bool:
    """Whether a call that ended with this error may be billed."""
    return isinstance(error, ProviderError) and error.may_be_billed


class Unreachable(ProviderError):
    code = "provider_unreachable"


class TimedOut(ProviderError):
    status = 504
    code = "provider_timeout"


class Refused(ProviderError):
    """The provider rejected the API key. Its message may quote the key: not passed on."""

    code = "provider_key_refused"
    is_retryable = False
    cooldown = "now"


class Rejected(ProviderError):
    """The provider rejected the request; its status and message are passed on to the client."""

    code: ClassVar[str | None] = None
    is_retryable = False
    cooldown: ClassVar[Literal["now", "counted", "never"]] = "never"
    fixed_status: ClassVar[int | None] = None
    """The client's status, where it does not depend on the provider's."""

    def _status(self) -> int:
        return self.fixed_status or self.upstream or 400


class ContentFiltered(Rejected):
    """The provider refuses the content of the prompt: no other key or deployment is called."""

    code = "content_filter"
    is_final = True
    fixed_status = 400


class ContextLengthExceeded(Rejected):
    """The prompt, or the prompt with `max_tokens`, is too long for the model."""

    code = "context_length_exceeded"
    fixed_status = 400


class ModelNotFound(Rejected):
    """The provider does not have the model of the config, or not for this account."""

    code = "model_not_found"
    fixed_status = 404


class PermissionDenied(Rejected):
    """The gateway's account may not do this; its key is fine."""

    code = "permission_denied"
    cooldown = "counted"
    fixed_status = 403


class UnsupportedCountry(PermissionDenied):
    """The provider does not serve the country from which the gateway calls."""

    code = "unsupported_country_region_territory"


class RateLimited(ProviderError):
    """The provider's rate limit is reached; `rate_limits` are those that it named, a minute."""

    status = 429
    code = "rate_limit_exceeded"
    cooldown = "now"


class QuotaExceeded(RateLimited):
    """The account's credit or its quota of the day is used up: waiting does not help."""

    code = "insufficient_quota"
    is_retryable = False


class Overloaded(ProviderError):
    """The provider failed. Its 429, 498, 503 and 529 become 503 for the client, others 502."""

    code = "provider_overloaded"

    def _status(self) -> int:
        return 503 if self.upstream in {429, 498, 503, 529} else 502


class Malformed(ProviderError):
    code = "provider_malformed"


class Broken(ProviderError):
    code = "provider_stream_broken"


class Oversized(ProviderError):
    code = "provider_answer_too_large"
    is_retryable = False
    cooldown = "never"
    may_be_billed = True


class SchemaMismatch(FanoutError):
    """
    A response does not fit the JSON schema, or the class, that the request asked for.

    `text` is the last response's, `reason` what is wrong with it, without quoting it. `completion`
    is the whole response. `attempts` has each call of a checked request, as in a response's report.
    """

    status = 502
    code = "schema_mismatch"

    def __init__(
        self,
        message: str,
        *,
        text: str | None = None,
        reason: str = "",
        attempts: Sequence[Mapping[str, Any]] = (),
        completion: Any = None,
    ) -> None:
        super().__init__(message)
        self.text = text
        self.reason = reason
        self.attempts = tuple(attempts)
        self.completion = completion


class Cause(Struct, frozen=True):
    """One model's failure, with the model name that the client wrote."""

    model: str
    error: Exception


class AllFailed(FanoutError):
    """
    No model has responded; `failures` has each one's error, in call order.

    `what` says so. In mode `agree`, it also says that the others cannot decide any more.
    """

    code = "all_failed"

    def __init__(self, failures: Sequence[Cause], what: str = "every model failed") -> None:
        self.failures = tuple(failures)
        self.what = what
        statuses = {status_of(cause.error) for cause in self.failures}
        self.status = statuses.pop() if len(statuses) == 1 else 502
        messages = "; ".join(public_message(cause) for cause in self.failures)
        super().__init__(f"{what}: {messages}")

    @property
    def detail(self) -> ErrorDetail:
        types = {detail_of(cause.error).type for cause in self.failures}
        codes = {detail_of(cause.error).code for cause in self.failures}
        kind = types.pop() if len(types) == 1 else self.type
        return ErrorDetail(str(self), kind, None, codes.pop() if len(codes) == 1 else self.code)


def withdrawal_of(errors: Iterable[Exception]) -> Unauthorized | Forbidden | None:
    """
    Why calls were not made which the client had the right to make when its request began.

    That its key is not valid any more goes before that it may not use a model; `None` for neither.
    """
    found = [error for error in errors if isinstance(error, Unauthorized | Forbidden)]
    return min(found, key=lambda error: isinstance(error, Forbidden), default=None)


def public_message(cause: Cause) -> str:
    """One failure's message, starting with the model name."""
    message = detail_of(cause.error).message
    return message if message.startswith(f"`{cause.model}`") else f"`{cause.model}`: {message}"
