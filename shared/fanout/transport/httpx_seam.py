"""
The door to httpx's types, both ways. The only importer of `httpx2`.

`HttpxEngine` lets any `httpx.AsyncBaseTransport` (a `MockTransport`, an `ASGITransport`) carry
the gateway's calls; `FanoutTransport` lends the gateway's engine to any httpx client, the OpenAI
SDK's for one. Imported only where it is used: httpx costs more start-up time than the rest of the
gateway together (decision 0001).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2 as httpx

from ..wire.http import WireResponse
from .engine import (
    ConnectFailed,
    ConnectionLost,
    Engine,
    EngineError,
    Incoming,
    Outgoing,
    SlowConnect,
)
from .lanes import LanesEngine, Reply

_FAULTS: tuple[tuple[type[Exception], type[EngineError]], ...] = (
    (httpx.TimeoutException, SlowConnect),
    (httpx.ConnectError, ConnectFailed),
    (httpx.TransportError, ConnectionLost),
)


class HttpxEngine:
    """An engine of any httpx transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole reply."""
        async with self.stream(request) as reply:
            body = b"".join([piece async for piece in reply.body])
            return WireResponse(reply.status, reply.headers, body)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The reply as it arrives."""
        headers = dict(request.headers)
        sent = httpx.Request(request.method, request.url, headers=headers, content=request.body)
        try:
            response = await self._transport.handle_async_request(sent)
        except httpx.TransportError as error:
            raise _translated(error) from None
        try:
            yield Reply(response.status_code, dict(response.headers), _pieces(response))
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def _translated(error: Exception) -> EngineError:
    kind = next(ours for fault, ours in _FAULTS if isinstance(error, fault))
    return kind(type(error).__name__)


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in response.aiter_bytes():
            yield piece
    except httpx.TransportError as error:
        raise _translated(error) from None


class _Body(httpx.AsyncByteStream):
    """A reply's body that closes the engine's stream when the client closes it."""

    def __init__(self, reply: Incoming, stack: AsyncExitStack) -> None:
        self._reply = reply
        self._stack = stack

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._reply.body:
                yield piece
        except EngineError as error:
            raise httpx.ReadError(str(error)) from None

    async def aclose(self) -> None:
        await self._stack.aclose()


# The engine hands over decoded bytes, so what described the encoded ones is left out.
_HOP_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


class FanoutTransport(httpx.AsyncBaseTransport):
    """
    The gateway's engine as an httpx transport: cancels upstream, shares HTTP/2 connections.

    `openai.AsyncOpenAI(http_client=httpx.AsyncClient(transport=FanoutTransport()))`.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine or LanesEngine()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Perform one request; the body arrives as it is read."""
        body = await request.aread()
        skip = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}
        headers = {name: value for name, value in request.headers.items() if name not in skip}
        outgoing = Outgoing(request.method, str(request.url), headers, body)
        async with AsyncExitStack() as stack:
            try:
                reply = await stack.enter_async_context(self._engine.stream(outgoing))
            except SlowConnect as error:
                raise httpx.ConnectTimeout(str(error), request=request) from None
            except EngineError as error:
                raise httpx.ConnectError(str(error), request=request) from None
            kept = {name: v for name, v in reply.headers.items() if name not in _HOP_HEADERS}
            return httpx.Response(reply.status, headers=kept, stream=_Body(reply, stack.pop_all()))
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close the engine."""
        await self._engine.aclose()
