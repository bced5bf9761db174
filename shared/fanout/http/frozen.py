"""
For a host that is frozen between requests, as a Lambda is: nothing is left running after an answer.

The last piece of an answer is held until everything about the request is done: its log lines are
written, its renewed keys are in. Knows nothing of AWS but the header that tells the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from msgspec import MsgspecError, Struct

from ..wire import json
from .app import App
from .asgi import Headers, Message, Receive, Scope, Send

CONTEXT_HEADER = "x-amzn-lambda-context"
"""Set by the Lambda Web Adapter: JSON with the invocation's `deadline`, milliseconds since 1970."""


class _LambdaContext(Struct, frozen=True):
    deadline: int


def lambda_deadline(
    margin: float, now: Callable[[], float] = time.time
) -> Callable[[Headers], float | None]:
    """Reads the seconds that an invocation has left, less `margin`, for `App(deadline=…)`."""

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


class Frozen:
    """The app, with the last piece of each answer held until `beside` has been left."""

    def __init__(self, app: App, beside: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._app = app
        self._beside = beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        last: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                last.append(message)
            else:
                await send(message)

        async with self._beside():
            await self._app(scope, receive, hold)
        for message in last:
            await send(message)
