"""
The door to httpx's types, both ways. The only importer of `httpx2`.

`HttpxEngine` lets any `httpx.AsyncBaseTransport` (a `MockTransport`, an `ASGITransport`) carry
the gateway's calls; `FanoutTransport` lends the gateway's engine to any httpx client, the OpenAI
SDK's for one. Imported only where it is used: httpx costs more start-up time than the rest of the
gateway together (decision 0001).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2 as httpx

from ..wire.http import WireResponse
from .connection_pool import PyqwestEngine
from .engine import (
    MAX_ANSWER,
    Bounded,
    ConnectFailed,
    ConnectionLost,
    Engine,
    EngineError,
    Incoming,
    Outgoing,
    Reply,
    SlowConnect,
    TooLong,
)

_FAULTS: tuple[tuple[type[Exception], type[EngineError]], ...] = (
    (httpx.TimeoutException, SlowConnect),
    (httpx.ConnectError, ConnectFailed),
    (httpx.RequestError, ConnectionLost),  # a body that cannot be decoded, for one
)
_OURS: Mapping[type[EngineError], type[httpx.TransportError]] = {
    SlowConnect: httpx.ConnectTimeout,
    TooLong: httpx.ReadError,
    ConnectFailed: httpx.ConnectError,
    ConnectionLost: httpx.ReadError,
}


class HttpxEngine:
    """An engine of any httpx transport; holds `max_answer` bytes of a whole reply."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, *, max_answer: int = MAX_ANSWER
    ) -> None:
        self._transport = transport
        self._max_answer = max_answer

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole reply."""
        async with self.stream(request) as reply:
            body = Bounded(self._max_answer)
            async for piece in reply.body:
                body.add(piece)
            return WireResponse(reply.status, reply.headers, body.whole())

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The reply as it arrives."""
        headers = dict(request.headers)
        sent = httpx.Request(request.method, request.url, headers=headers, content=request.body)
        try:
            response = await self._transport.handle_async_request(sent)
        except httpx.RequestError as error:
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
    except httpx.RequestError as error:
        raise _translated(error) from None


class _Body(httpx.AsyncByteStream):
    """A reply's body that closes the engine's stream when the client closes it."""

    def __init__(self, reply: Incoming, stack: AsyncExitStack, patience: float | None) -> None:
        self._reply = reply
        self._stack = stack
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = aiter(self._reply.body)
        try:
            while True:
                async with asyncio.timeout(self._patience):
                    piece = await anext(body, None)
                if piece is None:
                    return
                yield piece
        except TimeoutError:
            raise httpx.ReadTimeout("the answer fell silent") from None
        except EngineError as error:
            raise httpx.ReadError(str(error)) from None

    async def aclose(self) -> None:
        await self._stack.aclose()


# The engine hands over decoded bytes, so what described the encoded ones is left out.
_HOP_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


class FanoutTransport(httpx.AsyncBaseTransport):
    """
    The gateway's engine as an httpx transport: cancels upstream, shares HTTP/2 connections.

    Of the client's time-outs `read` counts, for the head and for each piece of the body; how long
    connecting may take is the engine's to say.

    `openai.AsyncOpenAI(http_client=httpx.AsyncClient(transport=FanoutTransport()))`.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine or PyqwestEngine()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Perform one request; the body arrives as it is read."""
        body = await request.aread()
        skip = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}
        headers = {name: value for name, value in request.headers.items() if name not in skip}
        outgoing = Outgoing(request.method, str(request.url), headers, body)
        patience = request.extensions.get("timeout", {}).get("read")
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(patience):
                    reply = await stack.enter_async_context(self._engine.stream(outgoing))
            except TimeoutError:
                raise httpx.ReadTimeout("no answer in time", request=request) from None
            except EngineError as error:
                raise _OURS[type(error)](str(error), request=request) from None
            kept = {name: v for name, v in reply.headers.items() if name not in _HOP_HEADERS}
            stream = _Body(reply, stack.pop_all(), patience)
            return httpx.Response(reply.status, headers=kept, stream=stream)
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close the engine."""
        await self._engine.aclose()
