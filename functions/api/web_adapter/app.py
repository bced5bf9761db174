"""
The app, with what the Lambda Web Adapter passes on in headers.

The adapter sets both headers itself, whatever a client sends:
https://github.com/aws/aws-lambda-web-adapter (2026-11).
"""

from __future__ import annotations

from msgspec import MsgspecError, Struct

from fanout.http.asgi import Message, Receive, Scope, Send, headers_of
from fanout.http.lambda_lifecycle import Invocation, set_invocation
from fanout.wire import json

from ..runtime_loop import App

CONTEXT_HEADER = "x-amzn-lambda-context"
"""JSON with the invocation's `deadline`, milliseconds since 1970."""

REQUEST_HEADER = "x-amzn-request-context"
"""JSON with API Gateway's `requestId`, which its own logs contain, and `requestTimeEpoch`."""


class _LambdaContext(Struct, frozen=True):
    deadline: int | None = None


class _RequestContext(Struct, frozen=True, rename="camel"):
    request_id: str | None = None
    request_time_epoch: int | None = None


class BehindAdapter:
    """
    The app behind the adapter, which lets Lambda freeze the process as soon as a response ends.

    So the last message of a response is held back until the app has returned.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        last: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                last.append(message)
            else:
                await send(message)

        set_invocation(scope, read_headers(scope))
        await self._app(scope, receive, hold)
        for message in last:
            await send(message)


def read_headers(scope: Scope) -> Invocation:
    """Return what the adapter's headers say of the invocation; unreadable ones say nothing."""
    headers = headers_of(scope)
    try:
        context = json.decode(headers.get(CONTEXT_HEADER, "{}").encode(), type=_LambdaContext)
    except MsgspecError:
        context = _LambdaContext()
    try:
        request = json.decode(headers.get(REQUEST_HEADER, "{}").encode(), type=_RequestContext)
    except MsgspecError:
        request = _RequestContext()
    deadline = None if context.deadline is None else context.deadline / 1000
    received = request.request_time_epoch
    return Invocation(deadline, request.request_id, received and received / 1000)
