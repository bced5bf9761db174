"""
The part of ASGI that a dozen JSON routes need: read a body within a limit, send a response.

A framework would take longer to import than everything else in this folder (decision 0003).
See https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from itertools import chain
from types import TracebackType
from typing import Any, TypeAlias

from ..concurrency import TaskGroup, within
from ..errors import HeadersTooLarge, MalformedRequest, TooLarge
from ..wire import json

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Mapping[str, str]


MAX_HEADER_BYTES = 64 * 1024
"""OpenAI's own limit for all headers of a request."""

SEND_TIMEOUT = 60.0
"""Seconds that a client may leave its response unread before it counts as disconnected."""


class ClientGone(Exception):
    """The client disconnected, or stopped reading its response."""


def send_with_timeout(send: Send, seconds: float = SEND_TIMEOUT) -> Send:
    """
    `send` with a time limit: raises `ClientGone` if the client reads nothing for `seconds`.

    Without a limit, the provider's stream would stay open as long as the client does not read.
    """
    return lambda message: within(seconds, send(message), ClientGone)


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers, names in lower case; if one is repeated, its last value."""
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


def check_headers(scope: Scope, headers: Headers, single: Iterable[str]) -> None:
    """
    Reject headers that are too large, and one of `single` that is there twice.

    Such a header is a key, and another server may have checked the other one.
    """
    given = scope["headers"]
    has_repeated = len(headers) < len(given)
    if has_repeated:
        names = [name.lower() for name, _ in given]
        for header in single:
            if names.count(header.encode()) > 1:
                raise MalformedRequest(f"there are several `{header}` headers")
    size = sum(map(len, chain.from_iterable(given)))
    if size > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"the headers are {size} bytes; at most {MAX_HEADER_BYTES}")


async def read_body(
    receive: Receive, headers: Headers, limit: int, reserve: Callable[[int], None]
) -> bytes:
    """
    Read the whole body. Raises `TooLarge` over `limit` bytes, `ClientGone` if the client leaves.

    `reserve` is called before bytes are kept and may raise. It is called for the whole body at
    once if the request has a content length, so that no request is rejected half-way.
    """
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    held = int(announced) if announced.isdigit() else 0
    reserve(held)
    body = bytearray()  # one of many small parts would take many times their bytes
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size = len(body) + len(part)
        if size > limit:
            raise _too_large(limit)
        if size > held:
            reserve(size - held)
            held = size
        more = message.get("more_body", False)
        if not (more or body):
            return part
        body += part
    return bytes(body)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"the request body is over {limit / 1_000_000:g} MB "
        "(`general_settings.max_request_size_mb` in the gateway's config)"
    )


async def wait_for_disconnect(receive: Receive) -> None:
    """Never return; raise `ClientGone` when the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone


async def send_json(send: Send, status: int, body: object, headers: Headers) -> None:
    """Send one whole JSON response."""
    content = json.encode(body)
    raw = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *raw_headers(headers),
    ]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers in ASGI's form; a value with characters not allowed in headers is percent-encoded."""
    return [(name.encode(), _safe(value)) for name, value in headers.items()]


def _safe(value: str) -> bytes:
    if value.isascii() and value.isprintable():
        return value.encode()
    from urllib.parse import quote

    return quote(value, safe=" ,/:").encode()


async def _raise(error: Exception) -> None:
    raise error


class CancelOnDisconnect:
    """
    Cancels the block when the client disconnects, and raises `ClientGone`.

    The block gets a task group for tasks beside it, and must end them. The request's body must have
    been read before. A class, because it costs each request less than `asynccontextmanager`.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._group = TaskGroup()
        self._watcher: asyncio.Task[None]

    async def __aenter__(self) -> asyncio.TaskGroup:
        """Start to watch for the disconnect."""
        await self._group.__aenter__()
        self._watcher = self._group.create_task(wait_for_disconnect(self._receive))
        return self._group

    def fail(self, error: Exception) -> None:
        """Cancel the block, which then raises `error`, unless it ends already."""
        failing = _raise(error)
        try:
            self._group.create_task(failing)
        except RuntimeError:  # the group takes no more tasks, because it has failed before
            failing.close()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to watch; raises the error itself and not an exception group around it."""
        self._watcher.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as raised:
            raise raised.exceptions[0] from None
