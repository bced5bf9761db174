"""
The response to one invocation: ASGI's `receive` and `send`, in Lambda's streaming format.

The stream begins with JSON for API Gateway (status and headers) and eight zero bytes:
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
(2026-11).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from fanout.http.asgi import Message
from fanout.schema.error import error_body
from fanout.wire import json
from fanout.wire.sse import encode_event

from .runtime_api import Connection, FunctionError, Invocation, RuntimeAPIError

DELIMITER = b"\0" * 8
MAX_PRELUDE = 16 * 1024
"""Bytes within which API Gateway looks for the delimiter."""

END_TIMEOUT = 5.0
"""Seconds that the Runtime API has for the end of a response that failed."""

NOT_SENT = frozenset({"connection", "transfer-encoding"})


class StreamedResponse:
    """
    A response, streamed to the Runtime API as the app sends it.

    The last chunk is sent by `end` and not with the last part of the body: it lets Lambda freeze
    the process, so everything about the request must be done before it.
    """

    def __init__(self, connection: Connection, invocation: Invocation) -> None:
        self._connection = connection
        self._invocation = invocation
        self._request_body: bytes | None = b""
        self._has_body = True
        self._start: Message | None = None  # not written yet
        self._gone = asyncio.Event()
        self._closes_at = math.inf
        self._is_event_stream = False
        self.is_started = False  # whether the client has got a status
        self.is_complete = False
        self.rejection: str | None = None

    def expect(self, method: str, body: bytes) -> None:
        """Take the request's method, and its body for `receive`."""
        self._has_body = method != "HEAD"
        self._request_body = body

    def close_after(self, seconds: float) -> None:
        """Take nothing from the app after so many seconds: it has been cancelled by then."""
        self._closes_at = asyncio.get_running_loop().time() + seconds

    @property
    def is_gone(self) -> bool:
        """Whether the Runtime API takes no more of this response."""
        return self._gone.is_set()

    async def watch(self) -> None:
        """Read what the Runtime API says to the response; before its end, that is a rejection."""
        try:
            reply = await self._connection.reply()
        except RuntimeAPIError as error:
            self.rejection = self.rejection or str(error)
        else:
            if not reply.is_accepted:
                self.rejection = f"the Runtime API responds with {reply.status}"
        self._gone.set()

    async def receive(self) -> dict[str, Any]:
        """Return the body; after that, wait until the Runtime API takes no more."""
        body, self._request_body = self._request_body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """
        Send a part of the response, the status and headers together with the first part.

        Waits if the Runtime API does not take what was sent before.
        """
        if self.is_gone or asyncio.get_running_loop().time() >= self._closes_at:
            return
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self.is_complete or (self._start is None and not self.is_started):
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        body = message.get("body", b"") if self._has_body else b""
        if self._start is not None:
            self._write_start(self._start, body)
        elif body:
            self._connection.write(body)
        self.is_complete = not message.get("more_body", False)
        await self._drain()

    def _write_start(self, start: Message, body: bytes) -> None:
        """In one write, and without waiting, as another task may send the next part."""
        prelude = encode_prelude(start["status"], start["headers"])
        kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
        self._is_event_stream = any(kind.startswith(b"text/event-stream") for kind in kinds)
        self._connection.start_response(self._invocation, prelude, body)
        self._start, self.is_started = None, True

    async def end(self, error: FunctionError | None) -> None:
        """
        End the response when the app has returned; `error` is why it is not complete.

        A client that has got a status cannot get another one. It gets an error event if it reads
        events, and the end of the connection if not.
        """
        if self.is_gone:
            return
        if not self.is_started:
            self._connection.fail(self._invocation, error or INCOMPLETE)
        elif self.is_complete:
            self._connection.end()
        else:
            if self._is_event_stream:
                self._connection.write(ERROR_EVENT)
            self._connection.end(error or INCOMPLETE)
        try:
            async with asyncio.timeout(None if self.is_complete else END_TIMEOUT):
                await self._drain()
        except TimeoutError:
            self._connection.abort()

    def drop(self) -> None:
        """Send nothing more: the invocation has ended, and its client has got Lambda's error."""
        self.rejection = "the response was not complete when the invocation ended"
        self._connection.abort()

    async def _drain(self) -> None:
        try:
            await self._connection.drain()
        except ConnectionError as error:
            self.rejection = f"the Runtime API has closed the connection ({type(error).__name__})"
            self._gone.set()


INCOMPLETE = FunctionError("Function.IncompleteResponse", "the app ended the response too early")
ERROR_EVENT = encode_event(json.encode(error_body(RuntimeError())))
"""The error of a bug, which says nothing about it; it is in the log."""


def encode_prelude(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """
    Return status and headers for API Gateway, and the delimiter.

    API Gateway rejects a header that is repeated, so its values are joined (RFC 9110, 5.3); cookies
    have a field of their own. Raises `RuntimeError` if the headers are too large.
    """
    single: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name not in NOT_SENT:
            single[name] = f"{single[name]}, {value}" if name in single else value
    fields: dict[str, object] = {"statusCode": status, "headers": single}
    if cookies:
        fields["cookies"] = cookies
    prelude = json.encode(fields) + DELIMITER
    if len(prelude) > MAX_PRELUDE:
        raise RuntimeError(f"the response's headers are over {MAX_PRELUDE} bytes")
    return prelude
