"""
An event of an API Gateway REST API as an HTTP request for the app.

The format is that of a Lambda proxy integration:
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
(2026-11).
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

from msgspec import MsgspecError, Struct
from msgspec.json import decode

from fanout.http.lambda_lifecycle import Invocation, set_invocation

HTTP_VERSION = "1.1"
NOT_FORWARDED = frozenset({"connection", "content-length", "transfer-encoding"})
"""Headers about the connection to API Gateway; the length is that of the decoded body."""

PATH_CHARACTERS = "/%:@!$&'()*+,;=-._~"
"""What may be in a path unchanged (RFC 3986, 3.3), and `%`: the path may be encoded already."""


class NotHTTP(Exception):
    """The event is no HTTP request; the message says what it should be."""


class _Identity(Struct, frozen=True, rename="camel"):
    source_ip: str | None = None


class _Context(Struct, frozen=True, rename="camel"):
    request_id: str | None = None
    request_time_epoch: int | None = None
    identity: _Identity | None = None


class _Event(Struct, frozen=True, rename="camel"):
    http_method: str
    path: str = "/"
    headers: Mapping[str, str] | None = None
    multi_value_headers: Mapping[str, tuple[str, ...]] | None = None
    query_string_parameters: Mapping[str, str] | None = None
    multi_value_query_string_parameters: Mapping[str, tuple[str, ...]] | None = None
    body: str | None = None
    is_base64_encoded: bool = False
    request_context: _Context | None = None


def read_event(event: bytes, deadline: float) -> tuple[dict[str, Any], bytes]:
    """
    Return the ASGI scope of an event, and the request's body.

    `deadline` is when the invocation ends, in seconds since 1970. The path is without the stage.
    Raises `NotHTTP`, whose message contains nothing of the event: it may be a prompt.
    """
    try:
        found = decode(event, type=_Event)
        body = _body(found)
    except (MsgspecError, ValueError, RecursionError):
        raise NotHTTP(
            "this function serves HTTP requests of an API Gateway REST API (Lambda proxy "
            "integration); the event is none, so send the request to the API's URL"
        ) from None
    context = found.request_context or _Context()
    source = context.identity and context.identity.source_ip
    raw_path = quote(found.path or "/", safe=PATH_CHARACTERS)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": HTTP_VERSION,
        "method": found.http_method,
        "scheme": "https",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": _query(found).encode(),
        "root_path": "",
        "headers": [*_headers(found), (b"content-length", b"%d" % len(body))],
        "client": (source, 0) if source else None,
        "server": None,
    }
    received = context.request_time_epoch
    set_invocation(scope, Invocation(deadline, context.request_id, received and received / 1000))
    return scope, body


def _body(event: _Event) -> bytes:
    if event.body is None:
        return b""
    return binascii.a2b_base64(event.body) if event.is_base64_encoded else event.body.encode()


def _query(event: _Event) -> str:
    pairs = event.multi_value_query_string_parameters or event.query_string_parameters
    return urlencode(pairs, doseq=True) if pairs else ""


def _headers(event: _Event) -> list[tuple[bytes, bytes]]:
    """Names in lower case, each value of a repeated header on its own."""
    given = event.multi_value_headers
    if given is None:
        given = {name: (value,) for name, value in (event.headers or {}).items()}
    return [
        (name.lower().encode(), value.encode())
        for name, values in given.items()
        if name.lower() not in NOT_FORWARDED
        for value in values
    ]
