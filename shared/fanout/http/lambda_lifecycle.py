"""
The app on AWS Lambda, which freezes the process between requests: all work ends with the request.

The host sets the `Invocation` in the request's scope. No header has it, as a client could send one.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from msgspec import Struct

from .asgi import Message, Receive, Scope, Send, headers_of

_EXTENSION = "fanout.invocation"
"""The key under which the scope's `extensions` have the `Invocation`."""

RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]

EXPOSED = b"retry-after, x-fanout-mode, x-fanout-winner, x-request-id"


class Invocation(Struct, frozen=True):
    """
    What the host knows of a request.

    `deadline` is when the host ends it, and `received` when API Gateway has received it, both in
    seconds since 1970. `request_id` is API Gateway's, which API Gateway's own logs contain.
    """

    deadline: float | None = None
    request_id: str | None = None
    received: float | None = None


def set_invocation(scope: Scope, invocation: Invocation) -> None:
    """Add the invocation to a request's scope."""
    scope["extensions"] = {**scope.get("extensions", {}), _EXTENSION: invocation}


def _invocation(scope: Scope) -> Invocation:
    found: Invocation | None = scope.get("extensions", {}).get(_EXTENSION)
    return found or Invocation()


def lambda_deadline(
    margin: float, now: Callable[[], float] = time.time
) -> Callable[[Scope], float | None]:
    """For `App(deadline=…)`: reads the seconds that an invocation has left, less `margin`."""

    def left(scope: Scope) -> float | None:
        deadline = _invocation(scope).deadline
        return None if deadline is None else max(deadline - now() - margin, 0.0)

    return left


def received_at(scope: Scope) -> float | None:
    """For `App(received=…)`: when API Gateway has received the request."""
    return _invocation(scope).received


class LambdaLifecycle:
    """
    The app, with `around_request` around each request.

    If the client sends no `x-request-id`, API Gateway's id is used. Web pages of `origin` may read
    the responses (CORS). `after_response` is called when a response is complete: the client does
    not wait for it, and the process is not frozen before its end.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        around_request: Callable[[], AbstractAsyncContextManager[None]],
        origin: str | None = None,
        after_response: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._app = app
        self._around_request = around_request
        self._cors = _cors(origin) if origin else ()
        self._after_response = after_response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope. The request's work is done when this returns."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _merged(message["headers"], self._cors)}
            await send(message)

        async with self._around_request():
            await self._app(_named(scope), receive, add_headers if self._cors else send)
            if self._after_response is not None:
                await self._after_response()


def _named(scope: Scope) -> Scope:
    """The request with API Gateway's id as `x-request-id`, unless the client sent its own."""
    name = _invocation(scope).request_id
    if name is None or "x-request-id" in headers_of(scope):
        return scope
    return {**scope, "headers": [*scope["headers"], (b"x-request-id", name.encode())]}


def _merged(headers: RawHeaders, own: RawHeaders) -> RawHeaders:
    """
    The response's headers with `own`, each name once.

    API Gateway rejects a response that repeats a header:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
    """
    varies = b", ".join(value for name, value in (*headers, *own) if name == b"vary").split(b", ")
    merged = {**dict(headers), **dict(own), b"vary": b", ".join(dict.fromkeys(varies))}
    return tuple(merged.items())


def _cors(origin: str) -> RawHeaders:
    return (
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-expose-headers", EXPOSED),
        (b"vary", b"origin"),
    )
