"""
Finishes all work before a response ends: AWS Lambda freezes the process between requests.

The last message of a response is held back until the rest of the request's work is done: log lines
are written, refreshed keys are stored. Of AWS it knows only the headers with the deadline and the
request's id.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from msgspec import MsgspecError, Struct

from ..wire import json
from .asgi import Headers, Message, Receive, Scope, Send, headers_of

CONTEXT_HEADER = "x-amzn-lambda-context"
"""Set by the Lambda Web Adapter: JSON with the invocation's `deadline`, milliseconds since 1970."""


REQUEST_HEADER = "x-amzn-request-context"
"""Set by it too: JSON with API Gateway's `requestId`, which API Gateway's own logs contain."""

EXPOSED = b"retry-after, x-fanout-mode, x-fanout-winner, x-request-id"


class _LambdaContext(Struct, frozen=True):
    deadline: int


class _RequestContext(Struct, frozen=True, rename="camel"):
    request_id: str


def lambda_deadline(
    margin: float, now: Callable[[], float] = time.time
) -> Callable[[Headers], float | None]:
    """For `App(deadline=…)`: reads the seconds that an invocation has left, less `margin`."""

    def left(headers: Headers) -> float | None:
        given = headers.get(CONTEXT_HEADER)
        if given is None:
            return None
        try:
            context = json.decode(given.encode(), type=_LambdaContext)
        except MsgspecError:
            return None
        return max(context.deadline / 1000 - now() - margin, 0.0)

    return left


class LambdaLifecycle:
    """
    The app, with the end of each response held back until `around_request` has been exited.

    If the client sends no `x-request-id`, API Gateway's id is used. Web pages of `origin` may read
    the responses (CORS).
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        around_request: Callable[[], AbstractAsyncContextManager[None]],
        origin: str | None = None,
    ) -> None:
        self._app = app
        self._around_request = around_request
        self._cors = _cors(origin) if origin else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        last: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._cors]}
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                last.append(message)
            else:
                await send(message)

        async with self._around_request():
            await self._app(_named(scope), receive, hold)
        for message in last:
            await send(message)


def _named(scope: Scope) -> Scope:
    """The request with API Gateway's id as `x-request-id`, unless the client sent its own."""
    headers = headers_of(scope)
    given = headers.get(REQUEST_HEADER)
    if given is None or "x-request-id" in headers:
        return scope
    try:
        name = json.decode(given.encode(), type=_RequestContext).request_id
    except MsgspecError:
        return scope
    return {**scope, "headers": [*scope["headers"], (b"x-request-id", name.encode())]}


def _cors(origin: str) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-expose-headers", EXPOSED),
        (b"vary", b"origin"),
    )
