"""
The little of ASGI that a dozen JSON routes need: a body read within a limit, and answers sent.

A framework would cost more start-up time than the rest of the surface (decision 0003).
See https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeAlias

from ..errors import TooLarge
from ..wire import json

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Mapping[str, str]


LINGER, LONGEST = 5.0, 30.0
"""
Seconds of silence after which a refused caller has been heard out, and seconds in all: one that is
still sending may not look for an answer yet. They are nginx's `lingering_timeout` and
`lingering_time`: https://nginx.org/en/docs/http/ngx_http_core_module.html.
"""


PATIENCE = 60.0
"""Seconds that a caller may leave its answer unread before it counts as gone."""


class ClientGone(Exception):
    """The caller hung up, or reads no more."""


def impatient(send: Send, seconds: float = PATIENCE) -> Send:
    """`send`, raising `ClientGone` where nobody takes what is sent: providers would wait too."""

    async def sent(message: Message) -> None:
        try:
            async with asyncio.timeout(seconds):
                await send(message)
        except TimeoutError:
            raise ClientGone from None

    return sent


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers; of one that comes twice, the last."""
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


async def read_body(
    receive: Receive, headers: Headers, limit: int, hold: Callable[[int], None]
) -> bytes:
    """
    The whole body; `TooLarge` if it is over `limit` bytes, `ClientGone` if it never ends.

    `hold` is told of the bytes before they are kept, of all of them where their number is
    announced, and may refuse them: half of every body in memory would help nobody.
    """
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    held = int(announced) if announced.isdigit() else 0
    hold(held)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if size > held:
            hold(size - held)
            held = size
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def drain(receive: Receive) -> None:
    """Read what is left of a body and throw it away, while there comes any."""
    clock = asyncio.get_running_loop().time
    until = clock() + LONGEST
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER) as silence:
            while (await receive()).get("more_body", False):
                silence.reschedule(min(clock() + LINGER, until))


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"the request's body is over {limit / 1_000_000:g} MB "
        "(`general_settings.max_request_size_mb` in the gateway's config)"
    )


async def hang_up(receive: Receive) -> None:
    """Return never; raise `ClientGone` when the caller hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone


async def send_json(
    send: Send,
    status: int,
    body: object,
    headers: Headers,
    linger: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """
    One whole JSON answer.

    `linger` is awaited between its last byte and its end: a server may close the connection there,
    and a caller that is still sending would see that, and not the answer.
    """
    content = json.encode(body)
    raw = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *raw_headers(headers),
    ]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    if linger is None:
        await send({"type": "http.response.body", "body": content})
        return
    await send({"type": "http.response.body", "body": content, "more_body": True})
    await linger()
    await send({"type": "http.response.body", "body": b""})


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them; a value that a header cannot hold is percent-encoded."""
    return [(name.encode(), _safe(value)) for name, value in headers.items()]


def _safe(value: str) -> bytes:
    if value.isascii() and value.isprintable():
        return value.encode()
    from urllib.parse import quote

    return quote(value, safe=" ,/:").encode()


class UntilHangUp:
    """
    Run the block until the caller hangs up: then it is cancelled, and `ClientGone` raised.

    The group is the block's own, for a task beside it; tasks left in it are cancelled at its end.
    The request's body must have been read. A class, as it costs each request less than a generator.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._group = asyncio.TaskGroup()
        self._watcher: asyncio.Task[None]

    async def __aenter__(self) -> asyncio.TaskGroup:
        """Begin to watch."""
        await self._group.__aenter__()
        self._watcher = self._group.create_task(hang_up(self._receive))
        return self._group

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no longer; raises what went wrong, and not a group with that in it."""
        self._watcher.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as raised:
            raise raised.exceptions[0] from None
