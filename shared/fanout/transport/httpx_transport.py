"""
The gateway's HTTP engine as an httpx transport, for any httpx client, such as the OpenAI SDK's.

Imported only if it is used: importing httpx takes longer than the rest of the gateway together
(decision 0001).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import httpx2 as httpx

from .connection_pool import PyqwestEngine
from .engine import (
    ConnectFailed,
    ConnectionLost,
    Engine,
    EngineError,
    Incoming,
    Outgoing,
    ProxyRefused,
    SlowConnect,
    SlowResponse,
    TooLong,
)

_TO_HTTPX: Mapping[type[EngineError], type[httpx.TransportError]] = {
    SlowConnect: httpx.ConnectTimeout,
    SlowResponse: httpx.ReadTimeout,
    ProxyRefused: httpx.ProxyError,
    TooLong: httpx.ReadError,
    ConnectFailed: httpx.ConnectError,
    ConnectionLost: httpx.ReadError,
}


def _as_httpx(error: EngineError) -> type[httpx.TransportError]:
    """Httpx's class of an error, or of the error that it is a kind of."""
    return next(_TO_HTTPX[kind] for kind in type(error).__mro__ if kind in _TO_HTTPX)


class _Body(httpx.AsyncByteStream):
    """The body of a response; closing it closes the engine's stream."""

    def __init__(
        self, incoming: Incoming, stack: AsyncExitStack, read_timeout: float | None
    ) -> None:
        self._incoming = incoming
        self._stack = stack
        self._read_timeout = read_timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = aiter(self._incoming.body)
        try:
            while True:
                async with asyncio.timeout(self._read_timeout):
                    part = await anext(body, None)
                if part is None:
                    return
                yield part
        except TimeoutError:
            raise httpx.ReadTimeout("no more data in time") from None
        except EngineError as error:
            raise httpx.ReadError(str(error)) from None

    async def aclose(self) -> None:
        await self._stack.aclose()


# The engine decodes the body, so headers that describe the encoded bytes are removed.
_HOP_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


class FanoutTransport(httpx.AsyncBaseTransport):
    """
    The gateway's engine as an httpx transport: it cancels upstream and shares HTTP/2 connections.

    Only the client's `read` timeout is used, for the headers and for each part of the body. The
    connect timeout is the engine's.

    `openai.AsyncOpenAI(http_client=httpx.AsyncClient(transport=FanoutTransport()))`.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine or PyqwestEngine()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the body is read as it arrives."""
        body = await request.aread()
        skip = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}
        headers = {name: value for name, value in request.headers.items() if name not in skip}
        outgoing = Outgoing(request.method, str(request.url), headers, body)
        read_timeout = request.extensions.get("timeout", {}).get("read")
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(read_timeout):
                    incoming = await stack.enter_async_context(self._engine.stream(outgoing))
            except TimeoutError:
                raise httpx.ReadTimeout("no response in time", request=request) from None
            except EngineError as error:
                raise _as_httpx(error)(str(error), request=request) from None
            kept = {name: v for name, v in incoming.headers.items() if name not in _HOP_HEADERS}
            stream = _Body(incoming, stack.pop_all(), read_timeout)
            return httpx.Response(incoming.status, headers=kept, stream=stream)
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close the engine."""
        await self._engine.aclose()
