"""
An engine over an httpx client that the user brings: its proxies, certificates, hooks and limits.

Works with `AsyncClient` and `Client`, of httpx and of httpx2, without importing either. The client
is the user's: it is not closed here. A `Client` blocks, so its calls run in threads; a call that is
cancelled before its response starts then ends only when the client returns.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from ..wire.http import WireResponse
from .engine import (
    MAX_ANSWER,
    Bounded,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    Incoming,
    Outgoing,
    Reply,
    SlowConnect,
)

PACKAGES = ("httpx", "httpx2")

# The exceptions of httpx and what they mean here; the first that fits.
# https://www.python-httpx.org/exceptions/
_FAULTS: tuple[tuple[str, type[EngineError], str], ...] = (
    ("TimeoutException", SlowConnect, "no response in time"),
    ("ConnectError", ConnectFailed, "no connection"),
    ("ProxyError", ConnectFailed, "the proxy refused the connection"),
    ("UnsupportedProtocol", ConnectFailed, "an address that the client does not support"),
    ("InvalidURL", ConnectFailed, "an address that is not valid"),
    ("RequestError", ConnectionLost, "the connection broke"),
    ("StreamError", ConnectionLost, "the connection broke"),
)


def is_client(value: object) -> bool:
    """Whether it is a client of httpx or httpx2, or of a class derived from one."""
    return _package(value) is not None and hasattr(value, "build_request")


class ClientEngine:
    """The engine; a whole response may have `max_answer` bytes."""

    def __init__(self, client: Any, *, max_answer: int = MAX_ANSWER) -> None:
        package = _package(client)
        if package is None:
            raise TypeError("an httpx client is needed")
        self._client = client
        self._max_answer = max_answer
        self._is_async = isinstance(client, package.AsyncClient)
        self._faults = tuple((getattr(package, name), kind, words) for name, kind, words in _FAULTS)

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole response."""
        async with self.stream(request) as reply:
            body = Bounded(self._max_answer)
            async for piece in reply.body:
                body.add(piece)
            return WireResponse(reply.status, reply.headers, body.whole())

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The response as it arrives; leaving the block closes it."""
        response = await self._translated(self._begin, request)
        try:
            yield Reply(response.status_code, dict(response.headers), self._pieces(response))
        finally:
            await (response.aclose() if self._is_async else asyncio.to_thread(response.close))

    async def aclose(self) -> None:
        """Nothing: the client is its owner's to close."""

    async def _begin(self, request: Outgoing) -> Any:
        sent = self._client.build_request(
            request.method, request.url, headers=dict(request.headers), content=request.body
        )
        if self._is_async:
            return await self._client.send(sent, stream=True, follow_redirects=False)
        sending = asyncio.ensure_future(
            asyncio.to_thread(self._client.send, sent, stream=True, follow_redirects=False)
        )
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            sending.add_done_callback(_close)
            raise

    async def _pieces(self, response: Any) -> AsyncIterator[bytes]:
        pieces = response.aiter_bytes() if self._is_async else response.iter_bytes()

        async def following() -> bytes | None:
            if self._is_async:
                return await anext(pieces, None)
            return await asyncio.to_thread(next, pieces, None)

        while (piece := await self._translated(following)) is not None:
            yield piece

    async def _translated(self, call: Callable[..., Any], *args: Any) -> Any:
        """What the call returns; the client's exceptions as `EngineError`s."""
        try:
            return await call(*args)
        except Exception as error:
            for kind, ours, words in self._faults:
                if isinstance(error, kind):
                    raise ours(words) from None
            raise


def _close(sending: asyncio.Future[Any]) -> None:
    """Close the response of a call that was cancelled meanwhile."""
    if not sending.cancelled() and sending.exception() is None:
        sending.result().close()


def _package(client: object) -> ModuleType | None:
    roots = [base.__module__.partition(".")[0] for base in type(client).__mro__]
    found = [root for root in roots if root in PACKAGES]
    return sys.modules.get(found[0]) if found else None
