"""Doubles behind an engine, by host, and behind an HTTP server, as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from fanout.transport.engine import ConnectionLost, Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireRequest, WireResponse

Call: TypeAlias = Callable[[WireRequest], Awaitable[WireResponse]]
Message: TypeAlias = MutableMapping[str, Any]

PART = 1_000
"""Bytes of a part of a streamed response."""


@asynccontextmanager
async def streamed(whole: WireResponse) -> AsyncIterator[Incoming]:
    """A response that arrives in small parts."""

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(whole.body), PART):
            yield whole.body[start : start + PART]

    yield StreamedResponse(whole.status, whole.headers, body())


class DoubleEngine:
    """An engine whose requests go to the double of their host, without a network."""

    def __init__(self, hosts: Mapping[str, Call]) -> None:
        self.hosts = hosts

    async def send(self, request: Outgoing) -> WireResponse:
        """The double's response; a lost one is a broken connection."""
        parts = urlsplit(request.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = self.hosts[parts.netloc]
        try:
            return await call(WireRequest(path, request.body, request.method, headers))
        except ConnectionResetError as error:
            raise ConnectionLost("the connection broke") from error

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The double's response, in small parts."""
        async with streamed(await self.send(request)) as incoming:
            yield incoming

    async def aclose(self) -> None:
        """Nothing is open."""


def asgi(call: Call) -> Callable[..., Awaitable[None]]:
    """An ASGI application; of a lost response, its connection closes after the headers."""

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        query = scope["query_string"].decode()
        path = scope.get("raw_path", scope["path"].encode()).decode()
        path = path + (f"?{query}" if query else "")
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        response = await call(WireRequest(path, body, scope["method"], headers))
        fields = [(name.encode(), value.encode()) for name, value in response.headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": fields})
        await send({"type": "http.response.body", "body": response.body})

    return app
