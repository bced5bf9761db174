"""
The errors of a provider's error bodies: in an error response, and with the status of a success.

The body counts before the status. Imported with the first error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import MsgspecError
from msgspec.structs import asdict, replace

from ..concurrency import EarlyEnd
from ..config.deployment import Deployment
from ..errors import (
    ErrorDetail,
    Malformed,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    Unreachable,
)
from ..providers.base import BadWire, WireError
from ..providers.error_rules import (
    UNKNOWN_STATUS,
    ErrorBody,
    classify,
    is_status,
    read_error_body,
)
from ..providers.general_errors import GENERAL
from ..providers.rate_limits import pause_in_body, read_limits, read_pause
from ..providers.registry import rate_limits_of, rules_of
from ..wire import json
from ..wire.http import WireEvent, WireResponse
from .engine import (
    MAX_RESPONSE_BYTES,
    Bounded,
    EngineError,
    Incoming,
    ProxyRefused,
    is_broken_end,
)
from .error_classes import OPENAI_TYPES, SERVER_FAULTS, STATUS_BY_KIND, class_of
from .error_mapping import (
    BY_ENGINE_ERROR,
    MAX_ERROR_BODY,
    MAX_RETRY_AFTER,
    from_engine_error,
    malformed,
    retry_after,
    stream_timeout,
)
from .redaction import redact, redacted_json
from .stalled_response import watch_end

# What decoding raises if a response is not in the provider's format.
DECODE_ERRORS = (BadWire, MsgspecError, UnicodeDecodeError, RecursionError)


def from_decoding(
    deployment: Deployment, error: Exception, response: WireResponse, key: str | None
) -> ProviderError:
    """The error of a body with status 200 that its codec could not decode."""
    if isinstance(error, WireError):
        return _from_wire_error(deployment, error, response.body, _names_of(response), key)
    return _from_body(deployment, response.body[:MAX_ERROR_BODY], key)


def from_stream(
    deployment: Deployment, error: Exception, event: WireEvent, key: str | None
) -> ProviderError:
    """The error of a stream that broke, or whose last `event` is none, but perhaps an error's."""
    if isinstance(error, EngineError):
        error.in_success = True
        return from_engine_error(deployment, error)
    if isinstance(error, TimeoutError):
        return stream_timeout(deployment)
    if isinstance(error, WireError):
        return _from_wire_error(deployment, error, event.data, event.type.split("/"), key)
    return _from_body(deployment, event.data[:MAX_ERROR_BODY], key)


def _from_wire_error(
    deployment: Deployment, error: WireError, body: bytes, names: Sequence[str], key: str | None
) -> ProviderError:
    detail = error.detail
    names = [*names, detail.type, detail.code or ""]
    found = read_error_body(error.status, body, text=detail.message, names=names)
    made = _error(deployment, found, detail, key, in_success=True)
    _keep_body(made, deployment, error.body or body, key)
    return _with_limits(deployment, made, found, body, {})


def _from_body(deployment: Deployment, body: bytes, key: str | None) -> ProviderError:
    """The error in the body, or `Malformed` if it is no error's."""
    explain = deployment.provider.explain
    detail = explain(UNKNOWN_STATUS, body)
    if detail.message in {"", explain(UNKNOWN_STATUS, b"").message}:
        return malformed(deployment)
    found = read_error_body(UNKNOWN_STATUS, body)
    return _with_limits(deployment, _error(deployment, found, detail, key), found, body, {})


def from_text(deployment: Deployment, detail: ErrorDetail, key: str | None) -> ProviderError:
    """The error of an event of a stream that is only the error's words."""
    found = read_error_body(UNKNOWN_STATUS, b"", text=detail.message)
    return _with_limits(deployment, _error(deployment, found, detail, key), found, b"", {})


def from_response(deployment: Deployment, response: WireResponse, key: str | None) -> ProviderError:
    """The error of a response whose status is not 200; `key` is removed from its message."""
    body = response.body[:MAX_ERROR_BODY]
    detail = deployment.provider.explain(response.status, body)
    names = _names_of(response)
    if names and detail.type == "api_error":
        detail = replace(detail, type=names[0])
    found = read_error_body(response.status, body, names=names)
    error = _error(deployment, found, detail, key)
    if isinstance(error, Malformed) and 300 <= response.status < 400:  # noqa: PLR2004
        place = _path_of_redirect(response)
        message = f"a redirect (HTTP {response.status}){place}, which is not followed"
        detail = ErrorDetail(f"{message}: correct `api_base`")
        error = Malformed(deployment, detail, upstream=response.status)
    error.broken_end = response.broken_end
    _keep_body(error, deployment, response.body, key)
    return _with_limits(deployment, error, found, body, response.headers)


def _names_of(response: WireResponse) -> list[str]:
    """The error's type if a header has it: AWS names most types only there."""
    named = response.headers.get("x-amzn-errortype", "").partition(":")[0]
    return [named] if named else []


def _path_of_redirect(response: WireResponse) -> str:
    """Where a redirect leads, without the host: clients must not learn an internal one."""
    location = response.headers.get("location", "").partition("?")[0].partition("#")[0]
    path = re.fullmatch(r"(?:https?://[^/\s]+)?((?:/[\w.~%+-]+)*/?)", location, re.IGNORECASE)
    return f" to `{path[1][:200]}`" if path and path[1] else ""


async def read_error(
    deployment: Deployment, incoming: Incoming, key: str | None, until: float | None = None
) -> ProviderError:
    """
    The error of an error response; of a body over `MAX_ERROR_BODY` only the start is read.

    Raises an `EngineError` if the connection breaks, unless the body is whole; one that is damaged
    counts as empty. If the connection stays open after a whole body, the response ends there; at
    `until` the caller stops reading.
    """
    body, broken_end = Bounded(2 * MAX_RESPONSE_BYTES), False
    status, headers = incoming.status, incoming.headers
    try:
        with EarlyEnd() as early:
            async for part in incoming.body:
                body.add(part[: MAX_ERROR_BODY + 1])
                if body.size > MAX_ERROR_BODY:
                    break
                watch_end(early, status, headers, body, is_whole=_is_document, until=until)
        broken_end = early.has_ended
    except EngineError as error:
        broken_end = json.is_document(body.whole())
        if not error.is_damaged and not (broken_end and is_broken_end(error)):
            raise
        if not broken_end:
            body, broken_end = Bounded(0), True
    response = WireResponse(status, headers, body.whole(), broken_end)
    return from_response(deployment, response, key)


def _is_document(response: WireResponse) -> bool:
    return json.is_document(response.body)


def _error(
    deployment: Deployment,
    body: ErrorBody,
    detail: ErrorDetail,
    key: str | None,
    *,
    in_success: bool = False,
) -> ProviderError:
    status = body.status
    named_kind = classify((*rules_of(deployment.provider.name), *GENERAL), body)
    kind = class_of(named_kind, body)
    is_busy = in_success and named_kind == "overloaded" and status < 500  # noqa: PLR2004
    if status == UNKNOWN_STATUS or is_busy:
        status = STATUS_BY_KIND.get(named_kind, status)
    if is_status(detail.code or ""):  # no code: it repeats the status
        detail = replace(detail, code=None)
    if kind is Unreachable:
        detail = ErrorDetail(f"{BY_ENGINE_ERROR[ProxyRefused][1]} (HTTP 407)")
    elif kind is Malformed:
        detail = ErrorDetail(f"an unexpected HTTP {status}")
    elif kind is Refused:
        detail = ErrorDetail(
            f"`{deployment.provider.name}` rejected the API key (HTTP {status})",
            "provider_key_error",
        )
    elif kind in OPENAI_TYPES:
        named = detail.type if detail.type != "api_error" else OPENAI_TYPES[kind]
        detail = replace(detail, type=named, code=kind.code)
    elif kind in SERVER_FAULTS and detail.type == "invalid_request_error":
        detail = replace(detail, type="api_error")
    detail = _redacted(detail, (key,) if key else (), deployment.base_url)
    return kind(deployment, detail, upstream=status, retry_after=detail.retry_after)


def _with_limits(
    deployment: Deployment,
    error: ProviderError,
    found: ErrorBody,
    body: bytes,
    headers: Mapping[str, str],
) -> ProviderError:
    """
    The error with its pause, whether it is about the stream alone, and the limits that it names.

    The pause is that of `Retry-After`, else that of the body, else the reset of the limits.
    """
    if isinstance(error, Rejected | Overloaded):
        from .without_stream import stream_rejection

        is_fault = isinstance(error, Overloaded)
        param = error.detail.param
        error.stream_rejection = stream_rejection(found.texts, param, is_fault=is_fault)
    if (after := retry_after(headers)) is not None:
        error.retry_after = after
    if not isinstance(error, RateLimited):
        return error
    table, value = rate_limits_of(deployment.provider.name), json.decode_or_none(body)
    limits = read_limits(headers, table)
    if table.read_body is not None:
        limits = limits.or_else(table.read_body(value))
    error.rate_limits = {name: one for name, one in asdict(limits).items() if one}
    if error.retry_after is None:
        if table.headers_in_body is not None:
            headers = {**table.headers_in_body(value), **headers}
        after = pause_in_body(value, found.texts)
        after = read_pause(headers, table) if after is None else after
        error.retry_after = None if after is None else min(after, MAX_RETRY_AFTER)
    return error


_UNSHOWN = (Malformed, Refused, Unreachable)
"""Errors whose bodies are not passed on: no vendor's JSON, or about the gateway's own key."""


def _keep_body(error: ProviderError, deployment: Deployment, body: bytes, key: str | None) -> None:
    """Give the error the vendor's own JSON, if the client's request was passed through."""
    if deployment.provider.chat.passes_through and not isinstance(error, _UNSHOWN):
        error.vendor_body = shown_body(deployment, body, key)


def shown_body(deployment: Deployment, body: bytes, key: str | None) -> bytes | None:
    """The JSON of an error without keys and addresses; `None` if it is no object."""
    keys = (key,) if key else ()
    return redacted_json(body[:MAX_ERROR_BODY], keys, deployment.base_url)


def _redacted(detail: ErrorDetail, keys: Sequence[str], base_url: str) -> ErrorDetail:
    """The provider's error object, without keys and addresses in any of its four texts."""
    texts = (detail.message, detail.type, detail.param, detail.code)
    message, kind, param, code = (text and redact(text, keys, base_url) for text in texts)
    return replace(detail, message=message or "", type=kind or "", param=param, code=code)
