"""Errors that the gateway finds itself: in a request, of its limits, and of its storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .base import ErrorDetail, FanoutError


class RequestError(FanoutError):
    """
    The request is wrong; `param` is the field to change.

    `is_renamed`: it is the client's own name of it, also if the request is of another API.
    """

    is_renamed = False
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


class KeyInUse(Busy):
    """A request with the same `Idempotency-Key` is being served; the SDKs send this one again."""

    status = 409
    type = "idempotency_error"
    code = "idempotency_key_in_use"


class KeyReused(RequestError):
    """The `Idempotency-Key` was sent with another request."""

    status = 422
    type = "idempotency_error"
    code = "idempotency_key_reused"


class ResponseLost(RequestError):
    """The response to the request with this `Idempotency-Key` is paid for, but was not stored."""

    status = 410  # SDKs send a request with a 409 or a 5xx again
    type = "idempotency_error"
    code = "idempotency_response_lost"


class BudgetHeld(Busy):
    """Running requests hold what is left of a key's budget, or of its parallel requests."""

    code = "in_flight_budget_exhausted"
    retry_after = 2.0


class KeyRateLimited(Busy):
    """A key's requests or tokens of this minute are used up; `headers` has its limits."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, retry_after: float, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.headers = headers


class BudgetExceeded(RequestError):
    """
    A key's budget is spent, so a retry does not help.

    The message begins as LiteLLM's, on which clients match. Clients of LiteLLM may expect another
    `status`: the config has it.
    """

    status = 402
    type = "budget_exceeded"
    code = "budget_exceeded"

    def __init__(self, message: str, status: int = 402) -> None:
        super().__init__(message)
        self.status = status


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
        self.allowed = tuple(dict.fromkeys(allowed))
        super().__init__(f"{method} is not allowed here; use {' or '.join(self.allowed)}")


class NoWebSocket(RequestError):
    """The client asks for a WebSocket: Codex sends an HTTP request after this status, 2026-11."""

    status = 426
    code = "websocket_not_supported"

    def __init__(self) -> None:
        super().__init__("WebSockets are not served: send the request with POST")


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


class DeadlineExceeded(FanoutError):
    """
    The request's time is over.

    Of a checked request, or of models that are to agree, `attempts` has each call as in a
    response's report; `text` is the last response's that does not fit the schema, and `reason` what
    is wrong with it.
    """

    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"

    def __init__(
        self,
        message: str,
        *,
        text: str | None = None,
        reason: str | None = None,
        attempts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.text = text
        self.reason = reason
        self.attempts = tuple(attempts)


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
    public = "The gateway's storage is full: nothing was stored. Deleting files makes room."
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
