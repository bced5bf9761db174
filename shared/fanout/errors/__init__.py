"""
Every error that Fanout raises on purpose.

    FanoutError
    ├── ConfigError              the YAML or the environment is wrong; says which key
    │   ├── ConfigProblems       .problems: everything that is wrong in a config file
    │   └── MissingKey           a provider's key is not set
    ├── RequestError             the request is wrong; says which field              (400)
    │   ├── Busy                 too much is in flight in the gateway                    (429)
    │   ├── UnknownModel                                                             (404)
    │   ├── NotFound             no such path, file or batch                         (404)
    │   ├── Unauthorized         the key is missing, or not one of the gateway's     (401)
    │   ├── Forbidden            this key may not use this model                     (403)
    │   ├── WrongMethod          .allowed                                            (405)
    │   ├── TooLarge             the body is over the limit                          (413)
    │   ├── HeadersTooLarge                                                          (431)
    │   ├── MalformedRequest     these bytes are not HTTP                            (400)
    │   ├── UnknownHost          the `Host` is not one that this gateway serves      (421)
    │   ├── CrossSite            a web page that may not use the gateway             (403)
    │   ├── UnsupportedEncoding  the body is packed in an unknown way                (415)
    │   ├── RequestTimeout       the request did not come in time                    (408)
    │   └── Unsupported          this provider does not have this parameter
    ├── ProviderError            one attempt failed: .deployment .status .detail .is_retryable
    │   ├── Unreachable          no connection                                       (502)
    │   ├── TimedOut             no response in time                                 (504)
    │   ├── Refused              401, 403: the provider rejects the API key          (502)
    │   ├── Rejected             400, 403, 413, 422: the provider rejects the request
    │   │   ├── ContentFiltered  the provider refuses the content of the prompt      (400)
    │   │   ├── ContextLengthExceeded  the prompt is too long for the model          (400)
    │   │   ├── ModelNotFound    the provider does not have the model                (404)
    │   │   └── PermissionDenied  the gateway's account may not do this              (403)
    │   │       └── UnsupportedCountry  the provider does not serve this country     (403)
    │   ├── RateLimited          429; .retry_after                                   (429)
    │   │   └── QuotaExceeded    402, 429; waiting does not help                     (429)
    │   ├── Overloaded           500, 502, 503, 529: the provider failed or is overloaded
    │   ├── Malformed            the response is not in the provider's format        (502)
    │   ├── Broken               the stream ended early                              (502)
    │   └── Oversized            the response is too large                           (502)
    ├── AllFailed                .failures, in call order; their status if equal, else 502
    ├── RequestCancelled         by its client, with another request                 (499)
    │   └── LeaseExpired         the client has not renewed the request's lease      (499)
    ├── ShuttingDown             the gateway stops                                       (503)
    ├── TooManyConnections       more clients than the server has room for           (503)
    ├── StorageError             this machine cannot write or read .path                 (500)
    │   ├── StorageFull          no space is left                                        (507)
    │   └── StorageBusy          another process uses the database                       (503)
    ├── DamagedRecord            of a file or a job                                      (500)
    ├── Internal                 a bug in Fanout, which is already logged            (500)
    └── DeadlineExceeded         the request's time is up                            (504)

The numbers on the right are the HTTP statuses that clients get.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace


class ErrorDetail(Struct, frozen=True):
    """What clients may see of an error; `retry_after` is the pause in seconds before a retry."""

    message: str
    type: str = "api_error"
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None


class FanoutError(Exception):
    """The base class: every error has a `status` and a `detail`."""

    status: int = 500
    type: ClassVar[str] = "api_error"
    code: ClassVar[str | None] = None
    is_final: ClassVar[bool] = False
    """Whether no other deployment of the model is to get the same request."""

    @property
    def detail(self) -> ErrorDetail:
        return ErrorDetail(str(self), self.type, None, self.code)

    def __reduce__(self) -> tuple[object, ...]:
        """For copies and pickles: without the deployment, which has a key, but its name."""
        kind = next(one for one in type(self).__mro__ if _is_importable(one))
        state = {name: value for name, value in vars(self).items() if name not in _SDK_ONLY}
        if "deployment" in state:
            state["deployment"] = DeploymentName(state["deployment"].name)
        return restored, (kind, self.args, state)


_SDK_ONLY = frozenset({"request", "response"})
"""What an OpenAI SDK's error has and cannot be copied; see `library/openai_errors.py`."""


class DeploymentName(Struct, frozen=True):
    """All that a copied error knows of its deployment."""

    name: str


def _is_importable(kind: type) -> bool:
    return getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind


def restored(
    kind: type[FanoutError], arguments: tuple[object, ...], state: dict[str, object]
) -> FanoutError:
    """A copied or unpickled error."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class ConfigError(FanoutError):
    """The config or the environment is wrong; the message names the key and the fix."""

    type = "server_error"
    code = "invalid_config"


KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a value: `("model_list", 0, "model_name")`."""


class Move(Struct, frozen=True):
    """
    Where `fanout check --fix` writes a value: that of the problem's key, or a part of it.

    `part` leads from the key to the part; `text` is another value to write, without quotes.
    """

    to: KeyPath
    part: KeyPath = ()
    text: str = ""


class Problem(Struct, frozen=True):
    """
    One thing that is wrong in a config: where, in a sentence, and what `fanout check --fix` does.

    `path` leads to it, `line` is its line, from 1. By default the fix
    removes `path`; `remove` is another path to remove, `rename` the key to write instead, and
    `replace` the value to write instead, and `form` what to write the value as. Before that it
    writes the `moves`; if the problem is then solved, `keeps` is true. `loss` is what is left out
    because its limits cannot be kept. A problem that is not `fixable` is in the environment.
    """

    path: KeyPath
    message: str
    line: int | None = None
    remove: KeyPath | None = None
    rename: str = ""
    replace: str = ""
    form: Literal["", "text", "list"] = ""
    moves: tuple[Move, ...] = ()
    keeps: bool = False
    loss: str = ""
    fixable: bool = True


class ConfigProblems(ConfigError):
    """Everything that is wrong in the config `name`, one problem a line."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """`config.yaml:3: …`; without a known line or name, only what is known."""
        head = f"`{self.name}`: " if self.name else ""
        return [
            f"{head}{one.message}" if one.line is None else f"{self.name}:{one.line}: {one.message}"
            for one in self.problems
        ]


class MissingKey(ConfigError):
    """A provider's key is set neither in the config nor in the environment."""

    status = 500
    code = "missing_provider_key"


class RequestError(FanoutError):
    """The request is wrong; `param` is the field to change."""

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


class Busy(RequestError):
    """The gateway is at a limit. No provider was called, so a retry is safe."""

    status = 429
    type = "rate_limit_error"
    code = "gateway_busy"
    retry_after = 1.0  # most requests in flight have ended by then


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
    """The path exists, but not for this method; `allowed` are the methods it exists for."""

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


class MalformedRequest(RequestError):
    code = "malformed_request"


class UnknownHost(RequestError):
    status = 421
    code = "unknown_host"


class CrossSite(RequestError):
    """A web page that may not use the gateway sent the request."""

    status = 403
    type = "permission_error"
    code = "cross_site_request"


class UnsupportedEncoding(RequestError):
    status = 415
    code = "unsupported_content_encoding"


class RequestTimeout(RequestError):
    status = 408
    code = "request_timeout"


class Unsupported(RequestError):
    """The provider's API does not have this parameter."""

    code = "unsupported_parameter"


class HasName(Protocol):
    """The part of a deployment that an error needs: its name."""

    @property
    def name(self) -> str: ...


class ProviderError(FanoutError):
    """One attempt failed. `status` is for the client; `upstream` is the provider's own status."""

    status = 502
    code: ClassVar[str | None] = "provider_error"
    is_retryable: ClassVar[bool] = True
    cooldown: ClassVar[Literal["now", "counted", "never"]] = "counted"
    """Whether the deployment cools down at once, after several such errors, or never."""

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
    """The provider failed. Its 429, 503 and 529 become 503 for the client, other statuses 502."""

    code = "provider_overloaded"

    def _status(self) -> int:
        return 503 if self.upstream in {429, 503, 529} else 502


class Malformed(ProviderError):
    code = "provider_malformed"


class Broken(ProviderError):
    code = "provider_stream_broken"


class Oversized(ProviderError):
    code = "provider_answer_too_large"
    is_retryable = False
    cooldown = "never"


class DeadlineExceeded(FanoutError):
    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"


class RequestCancelled(FanoutError):
    """
    The client has cancelled the request with another one. Calls to providers were cancelled.

    The status is nginx's for a client that closed its request; SDKs do not retry it.
    """

    status = 499
    type = "cancelled_error"
    code = "request_cancelled"


class LeaseExpired(RequestCancelled):
    """The client has not renewed the request's lease in time."""

    code = "lease_expired"


class TooManyConnections(FanoutError):
    """More clients are connected than the server can serve. No provider was called."""

    status = 503
    type = "server_error"
    code = "too_many_connections"
    retry_after = 1.0


class ShuttingDown(FanoutError):
    """The server stops. Calls to providers were cancelled."""

    status = 503
    type = "server_error"
    code = "shutting_down"
    retry_after = 1.0


class StorageError(FanoutError):
    """
    A file or database of this machine cannot be written or read.

    The message names its `path`; clients of the gateway do not see it.
    """

    type = "server_error"
    code = "storage_error"
    verb = "use"
    public = "The gateway's storage cannot be used; its log says why."

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot {self.verb} `{path}`: {reason}")
        self.path = path
        self.reason = reason

    @property
    def detail(self) -> ErrorDetail:
        return ErrorDetail(self.public, self.type, None, self.code)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.reason)


class StorageFull(StorageError):
    status = 507
    code = "storage_full"
    verb = "write"
    public = "The gateway's storage is full: nothing was stored."
    cause = "no space is left on the disk"


class StorageBusy(StorageError):
    status = 503
    code = "storage_busy"
    public = "The gateway's storage is used by another process; try again."
    retry_after = 1.0


class DamagedRecord(FanoutError):
    """The record of a file or job cannot be read; no other one is concerned."""

    type = "server_error"
    code = "record_damaged"

    def __init__(self, kind: str, key: str, reason: str) -> None:
        super().__init__(f"the record of the {kind} `{key[:80]}` cannot be read: {reason}")
        self._parts = kind, key, reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._parts


class Cause(Struct, frozen=True):
    """One model's failure, with the model name that the client wrote."""

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
    """A bug in Fanout (its `__cause__`), which is already logged."""

    def __init__(self) -> None:
        super().__init__(INTERNAL.message)

    @property
    def detail(self) -> ErrorDetail:
        return INTERNAL


def status_of(error: Exception) -> int:
    """The HTTP status of an error; a bug's is 500."""
    return error.status if isinstance(error, FanoutError) else 500


def detail_of(error: Exception) -> ErrorDetail:
    """What a client may see of an error; of a bug, only that there was one."""
    return error.detail if isinstance(error, FanoutError) else INTERNAL


def public_message(cause: Cause) -> str:
    """One failure's message, starting with the model name."""
    message = detail_of(cause.error).message
    return message if message.startswith(f"`{cause.model}`") else f"`{cause.model}`: {message}"
