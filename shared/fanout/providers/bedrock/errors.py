"""AWS's error bodies, and OpenAI's, which the OpenAI-compatible endpoint sends."""

from __future__ import annotations

from typing import Any

from ...errors import ErrorDetail
from ...wire import json
from ...wire.http import WireResponse
from ..base import WireError
from ..error_rules import UNKNOWN_STATUS
from ..openai.errors import NO_REASON, explain_value, type_of

# docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html, and those of InvokeModel and
# ConverseStream; inside a stream their names begin with a small letter.
_STATUSES = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignature": 403,
    "InternalServerException": 500,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}
# OpenAI's codes for the exceptions that have one.
_CODES = {
    "ResourceNotFoundException": "model_not_found",
    "ThrottlingException": "rate_limit_exceeded",
}


def explain(status: int, body: bytes) -> ErrorDetail:
    """Read `{"message": …}`, with or without a `__type`, or OpenAI's `{"error": {…}}`."""
    value = json.decode_or_none(body)
    if isinstance(value, dict) and "error" not in value:
        return explain_aws(value, status)
    return explain_value(value, f"HTTP {status}, {NO_REASON}", type_of(status))


def explain_aws(value: dict[str, Any], status: int) -> ErrorDetail:
    """
    Read AWS's own shape, in which `message` may begin with a capital letter.

    The exception's name is the type of an error that is not the client's.
    """
    kind = exception_of(value)
    message = _text(value)
    if not isinstance(message, str):
        message = f"{kind or f'HTTP {status}'}, {NO_REASON}"
    named = type_of(_STATUSES.get(kind, status))
    if named == "api_error" and kind:
        named = kind
    return ErrorDetail(message, named, None, _CODES.get(kind))


def _text(value: dict[str, Any]) -> Any:
    return value.get("message") or value.get("Message")


def exception_of(value: dict[str, Any]) -> str:
    """
    `com.amazon.coral.service#ThrottlingException` -> `ThrottlingException`, or "".

    For an unknown operation, it is one level down, under `Output`.
    """
    output = value.get("Output")
    named = value.get("__type") or (output.get("__type") if isinstance(output, dict) else None)
    return named.rpartition("#")[2].partition(":")[0] if isinstance(named, str) else ""


def raise_aws_error(value: object, response: WireResponse) -> None:
    """Raise AWS's error in the `value` of a body with status 200, if it is one."""
    if not isinstance(value, dict) or not ("__type" in value or isinstance(_text(value), str)):
        return
    named = value.get("__type") or response.headers.get("x-amzn-errortype")
    value = {**value, "__type": named}
    raise WireError(status_of(value), explain_aws(value, UNKNOWN_STATUS))


def make_error(name: str, data: bytes) -> WireError:
    """The error called `name` inside a stream, with the message in `data`."""
    body = json.decode_or_none(data)
    value = {**(body if isinstance(body, dict) else {}), "__type": name[:1].upper() + name[1:]}
    status = status_of(value)
    return WireError(status, explain_aws(value, status))


def status_of(value: dict[str, Any]) -> int:
    """The HTTP status of an exception inside a success; 502 for an unknown one."""
    return _STATUSES.get(exception_of(value), UNKNOWN_STATUS)
