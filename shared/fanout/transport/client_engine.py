"""
An engine over an httpx client: its proxies, certificates, hooks, authentication and limits apply.

Works with `AsyncClient` and `Client`, of httpx and of httpx2, without importing either. A `Client`
blocks, so each of its calls runs in a thread of its own.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from ..concurrency import EarlyEnd
from ..concurrency.threaded_generator import ThreadedGenerator
from ..errors import RequestError
from ..wire.http import WireResponse
from .engine import (
    CERTIFICATE,
    MAX_RESPONSE_BYTES,
    NO_CERTIFICATE,
    REFUSED,
    Bounded,
    ConnectFailed,
    ConnectionLost,
    EngineError,
    Incoming,
    Outgoing,
    ProxyRefused,
    SlowConnect,
    SlowResponse,
    StreamedResponse,
    connect_failed,
    damaged,
    with_received,
)

PACKAGES = ("httpx", "httpx2")

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 3600.0
"""
Seconds, for a client that has httpx's default timeouts: 5 s are too short for a model. Fanout's own
timeouts are shorter than an hour; this one ends a thread whose result no caller awaits.
"""

# httpx's exceptions and Fanout's; the first that fits. https://www.python-httpx.org/exceptions/
_ERRORS: tuple[tuple[str, type[EngineError], str], ...] = (
    ("ConnectTimeout", SlowConnect, "no connection in time"),
    ("PoolTimeout", SlowConnect, "no free connection in time"),
    ("TimeoutException", SlowResponse, "no response in time"),
    ("ConnectError", ConnectFailed, "no connection"),
    ("UnsupportedProtocol", ConnectFailed, "an address that the client does not support"),
    ("LocalProtocolError", ConnectFailed, "a header that HTTP cannot carry"),
    ("RequestError", ConnectionLost, "the connection broke"),
    ("StreamError", ConnectionLost, "the connection broke"),
)

_ENCODING_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def is_client(value: object) -> bool:
    """Whether it is a client of httpx or httpx2, or of a class derived from one."""
    return _package(value) is not None and hasattr(value, "build_request")


class ClientEngine:
    """
    The engine; a whole response may have `max_response_bytes` bytes.

    The client's own headers are sent too; a header of the request replaces the client's. Redirects
    are not followed, even if the client's option is on. Cookies are stored if the client's jar does
    so, as a company's gateway may require. `aclose` closes the client only if `owns_client` is set:
    a user's client is the user's to close.
    """

    def __init__(
        self,
        client: Any,
        *,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        owns_client: bool = False,
    ) -> None:
        if not is_client(client):
            raise TypeError("an httpx client is needed")
        package = _package(client)
        self._client = client
        self._package = package
        self._max_response_bytes = max_response_bytes
        self._owns_client = owns_client
        fixes = "give `http_client` one", "name one in `ssl_certificate`"
        self._certificate_fix = fixes[owns_client]
        self._is_async = isinstance(client, package.AsyncClient)
        self._errors: tuple[tuple[type[Exception], type[EngineError], str], ...] = (
            *((getattr(package, name), kind, text) for name, kind, text in _ERRORS),
            (ssl.SSLError, ConnectionLost, "the connection broke"),
            (UnicodeError, ConnectFailed, "a host name that is not valid"),  # of `getaddrinfo`
        )

    async def send(self, request: Outgoing) -> WireResponse:
        """The whole response."""
        async with self.stream(request) as incoming:
            body = Bounded(self._max_response_bytes, by_bytes=request.by_bytes)
            try:
                with EarlyEnd() as early:
                    async for part in incoming.body:
                        body.add(part)
                        if request.watch is not None:
                            request.watch(early, incoming.status, incoming.headers, body)
            except EngineError as error:
                with_received(error, incoming.status, incoming.headers, body)
                raise
            broken_end = early.has_ended
            return WireResponse(incoming.status, incoming.headers, body.whole(), broken_end)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The response as it arrives; leaving the block closes it."""
        if self._client.is_closed:
            raise RequestError("`http_client` is closed: keep it open until the end", "http_client")
        built = self._built(request)
        async with self._awaited(built) if self._is_async else self._threaded(built) as incoming:
            yield incoming

    async def aclose(self) -> None:
        """Close the client, if it is the engine's own."""
        if self._owns_client:
            await self._client.aclose()

    def _built(self, request: Outgoing) -> Any:
        httpx, client = self._package, self._client
        timeout = client.timeout
        if timeout == httpx.Timeout(5.0):  # httpx's default
            timeout = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
        try:
            return client.build_request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.body,
                timeout=timeout,
            )
        except (httpx.InvalidURL, ValueError):
            raise ConnectFailed("an address or a header that HTTP cannot carry") from None

    # ---- an AsyncClient ----

    @asynccontextmanager
    async def _awaited(self, request: Any) -> AsyncGenerator[StreamedResponse, None]:
        try:
            response = await self._client.send(request, stream=True, follow_redirects=False)
        except self._package.HTTPStatusError as error:  # of a hook that calls `raise_for_status`
            response = error.response
        except Exception as error:
            raise self._without_response(error, request) from error
        try:
            async with aclosing(self._parts(response)) as body:
                yield _streamed(response, body)
        finally:
            await response.aclose()

    async def _parts(self, response: Any) -> AsyncGenerator[bytes, None]:
        if response.is_closed:
            yield self._read_by_hooks(response)
            return
        try:
            async with aclosing(response.aiter_bytes()) as parts:
                async for part in parts:
                    yield part
        except Exception as error:
            raise self._translated(error) from error

    # ---- a Client ----

    @asynccontextmanager
    async def _threaded(self, request: Any) -> AsyncGenerator[StreamedResponse, None]:
        """
        The response of a thread. Leaving the block never waits for the thread.

        Before the response starts, nothing can stop the thread: it closes the response as soon as
        that starts. After that, a read that blocks ends because its connection is shut down.
        """
        thread = ThreadedGenerator(self._steps(request), "fanout-http")
        response: Any = None
        try:
            try:
                response = await thread.next()
            except Exception as error:
                raise self._without_response(error, request) from error
            async with aclosing(self._threaded_parts(thread)) as body:
                yield _streamed(response, body)
        finally:
            thread.stop()
            if response is not None and thread.is_running and not response.is_closed:
                _shut_down(response)

    async def _threaded_parts(self, thread: ThreadedGenerator[Any]) -> AsyncGenerator[bytes, None]:
        while (part := await self._step(thread)) is not None:
            yield part

    async def _step(self, thread: ThreadedGenerator[Any]) -> Any:
        try:
            return await thread.next()
        except Exception as error:
            raise self._translated(error) from error

    def _steps(self, request: Any) -> Generator[Any, None, None]:
        """In the thread: first the response, then the parts of its body."""
        try:
            response = self._client.send(request, stream=True, follow_redirects=False)
        except self._package.HTTPStatusError as error:
            response = error.response
        try:
            yield response
            if response.is_closed:
                yield self._read_by_hooks(response)
            else:
                yield from response.iter_bytes()
        finally:
            with suppress(self._package.HTTPError, OSError):
                response.close()

    # ---- both ----

    def _read_by_hooks(self, response: Any) -> bytes:
        """The body of a response that the client's hooks have closed, if they read it."""
        try:
            content: bytes = response.content
        except self._package.ResponseNotRead:
            return b""
        return content

    def _without_response(self, error: Exception, request: Any) -> Exception:
        """The error before a response: TLS 1.3's alert may be lost to a reset that follows it."""
        found = self._translated(error)
        if isinstance(found, ConnectionLost) and request.url.scheme == "https":
            found.hint = f"if it requires a client certificate, {self._certificate_fix}"
        return found

    def _translated(self, error: Exception) -> Exception:
        """Fanout's error; what a user's hook, authentication or transport raises is named in it."""
        if isinstance(error, self._package.ProxyError):
            status = str(error)[:3]  # "407 Proxy Authentication Required"
            return ProxyRefused(f"HTTP {status}" if status.isdecimal() else "")
        # An alert of TLS that arrives after the handshake: an `AsyncClient` does not translate it.
        if isinstance(error, (self._package.TransportError, ssl.SSLError)):
            texts = _chain(error)
            if isinstance(error, self._package.ConnectError) or CERTIFICATE in texts.lower():
                return self._connect_failed(texts)
        if isinstance(error, self._package.DecodingError):
            return damaged()
        for kind, ours, text in self._errors:
            if isinstance(error, kind):
                return ours(text)
        if self._owns_client:
            return error
        return RequestError(f"`http_client` raised {error!r}", "http_client")

    def _connect_failed(self, texts: str) -> ConnectFailed:
        found = connect_failed(texts)
        if found.reason == REFUSED and not self._owns_client:
            found.reason += ", by it or by the proxy of `http_client`"
        if found.reason == NO_CERTIFICATE:
            found.reason = f"it requires a client certificate: {self._certificate_fix}"
        return found


def _chain(error: BaseException) -> str:
    """The texts of an error and of its causes."""
    cause = error.__cause__ or error.__context__
    return f"{error} {_chain(cause) if cause else ''}"


def _streamed(response: Any, body: AsyncIterator[bytes]) -> StreamedResponse:
    """The response with a decoded body, so without the headers of the encoded one."""
    headers: Mapping[str, str] = {
        name: value for name, value in response.headers.items() if name not in _ENCODING_HEADERS
    }
    return StreamedResponse(response.status_code, headers, body)


def _shut_down(response: Any) -> None:
    """
    End the connection of a response, and so the read that blocks its thread.

    Over HTTP/2, other calls share the connection, so it stays.
    https://www.python-httpx.org/advanced/extensions/#network_stream
    """
    stream = response.extensions.get("network_stream")
    if stream is None or response.http_version == "HTTP/2":
        return
    connection = stream.get_extra_info("socket")
    if isinstance(connection, socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _package(client: object) -> Any:
    """The module `httpx` or `httpx2` that the class comes from, or `None`."""
    roots = [base.__module__.partition(".")[0] for base in type(client).__mro__]
    found = [root for root in roots if root in PACKAGES]
    return sys.modules.get(found[0]) if found else None
