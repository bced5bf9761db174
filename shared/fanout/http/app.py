"""
The ASGI app: finds the route, checks the key, and turns every error into OpenAI's error object.

When a client disconnects, its calls to providers are cancelled.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from itertools import chain
from typing import TypeAlias

from msgspec import Struct

from ..errors import (
    FanoutError,
    Forbidden,
    HeadersTooLarge,
    NotFound,
    ShuttingDown,
    UnknownModel,
    WrongMethod,
    status_of,
)
from ..gateway.gateway import Gateway
from ..schema.error import error_body
from ..telemetry.observers import NullObserver, Observer, RequestRecord
from ..transport.credentials import EnvironmentSecrets, SecretSource
from . import endpoints
from .admission import Admission
from .asgi import (
    SEND_TIMEOUT,
    ClientGone,
    Headers,
    Receive,
    Scope,
    Send,
    headers_of,
    send_json,
    send_with_timeout,
)
from .auth import ANONYMOUS, Authenticator
from .errors import error_headers
from .exchange import MEGABYTE, Exchange, LazyBatchService
from .sse_response import KEEP_ALIVE_INTERVAL

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
MAX_HEADER_BYTES = 64 * 1024
"""OpenAI's own limit for all headers of a request."""

Endpoint: TypeAlias = Callable[[Exchange], Awaitable[None]]
OpenGateway: TypeAlias = Callable[[], AbstractAsyncContextManager[Gateway]]
OpenBatchService: TypeAlias = Callable[[Gateway], AbstractAsyncContextManager[LazyBatchService]]


class Route(Struct, frozen=True):
    """One route. `path` is without `/v1`; with `has_tail` it matches every path below it."""

    method: str
    path: str
    endpoint: Endpoint
    has_tail: bool = False
    is_public: bool = False


def _lazy_batch_endpoint(name: str) -> Endpoint:
    """An endpoint of `batch_endpoints.py`, which is imported at its first request."""

    async def endpoint(exchange: Exchange) -> None:
        from . import batch_endpoints as bulk

        await getattr(bulk, name)(exchange)

    endpoint.__name__ = name
    return endpoint


async def _page(exchange: Exchange) -> None:
    """The page and its files; `page_assets.py` is imported at the first request for one."""
    from . import page_assets as page

    await (page.send_asset if exchange.tail else page.send_page)(exchange)


ROUTES = (
    Route("POST", "/chat/completions", endpoints.chat),
    Route("GET", "/models", endpoints.models),
    Route("GET", "/models/", endpoints.model, has_tail=True),
    Route("GET", "/health", endpoints.health, is_public=True),
    Route("GET", "/openapi.json", endpoints.openapi, is_public=True),
    Route("POST", "/files", _lazy_batch_endpoint("create_file")),
    Route("GET", "/files", _lazy_batch_endpoint("list_files")),
    Route("GET", "/files/", _lazy_batch_endpoint("read_file"), has_tail=True),
    Route("DELETE", "/files/", _lazy_batch_endpoint("delete_file"), has_tail=True),
    Route("POST", "/uploads", _lazy_batch_endpoint("create_upload")),
    Route("POST", "/uploads/", _lazy_batch_endpoint("continue_upload"), has_tail=True),
    Route("POST", "/batches", _lazy_batch_endpoint("create_batch")),
    Route("GET", "/batches", _lazy_batch_endpoint("list_batches")),
    Route("GET", "/batches/", _lazy_batch_endpoint("read_batch"), has_tail=True),
    Route("POST", "/batches/", _lazy_batch_endpoint("continue_batch"), has_tail=True),
)
PAGE = (
    Route("GET", "/", _page, is_public=True),
    Route("GET", "/page/", _page, has_tail=True, is_public=True),
)


class _Running(Struct, frozen=True):
    """What the app has from start-up to shutdown."""

    gateway: Gateway
    authenticator: Authenticator
    admission: Admission
    batch_service: LazyBatchService | None


def _running(
    gateway: Gateway, keys: SecretSource, batch_service: LazyBatchService | None
) -> _Running:
    general = gateway.catalog.general
    bodies = max(general.max_body_memory_mb, general.max_request_size_mb)  # one always fits
    admission = Admission(general.max_requests, int(bodies * MEGABYTE))
    return _Running(
        gateway, Authenticator(gateway.catalog.client_keys, keys), admission, batch_service
    )


class App:
    """
    The ASGI app over one gateway, which is opened at start-up and closed at shutdown.

    `deadline` reads from a request's headers how many seconds the host (Lambda) has left. `keys`
    looks up the gateway's own keys. `keep_alive` is the silence in seconds after which a stream
    sends a comment, `send_timeout` the seconds that a client may leave a response unread. `jobs`
    opens files and batches. `page` is whether the page is served if the config does not set it.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        open_gateway: OpenGateway,
        *,
        observer: Observer | None = None,
        keys: SecretSource | None = None,
        deadline: Callable[[Headers], float | None] | None = None,
        keep_alive: float = KEEP_ALIVE_INTERVAL,
        send_timeout: float = SEND_TIMEOUT,
        jobs: OpenBatchService | None = None,
        page: bool = False,
    ) -> None:
        self._open_gateway = open_gateway
        self._observer = observer or NullObserver()
        self._keys = keys or EnvironmentSecrets()
        self._deadline = deadline
        self._keep_alive = keep_alive
        self._send_timeout = send_timeout
        self._open_batch_service = jobs
        self._page = page
        self._routes: Sequence[Route] = ROUTES
        self._running: _Running | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope: the lifespan or one HTTP request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with AsyncExitStack() as stack:
                gateway = await stack.enter_async_context(self._open_gateway())
                wanted = gateway.catalog.general.page
                self._routes = (
                    (*ROUTES, *PAGE) if wanted or (wanted is None and self._page) else ROUTES
                )
                jobs = self._open_batch_service(gateway) if self._open_batch_service else None
                batch_service = await stack.enter_async_context(jobs) if jobs else None
                self._running = _running(gateway, self._keys, batch_service)
                await send({"type": "lifespan.startup.complete"})
                await receive()
                self._running = None
        except FanoutError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._running is None:
            raise RuntimeError("the app's lifespan has not started")
        running = self._running
        started = time.perf_counter()
        headers = headers_of(scope)
        send = send_with_timeout(send, self._send_timeout)
        exchange = Exchange(
            running.gateway, ANONYMOUS, receive, send, headers, _request_id(headers)
        )
        exchange.response_headers["x-request-id"] = exchange.request_id
        exchange.deadline = self._deadline(headers) if self._deadline else None
        exchange.keep_alive = self._keep_alive
        exchange.batch_service = running.batch_service
        exchange.query = scope.get("query_string", b"").decode("latin-1")
        error: Exception | None = None
        try:
            _check_headers(scope)
            route, exchange.tail = find_route(scope["method"], scope["path"], self._routes)
            if not route.is_public:
                exchange.client = await running.authenticator.authenticate(
                    headers.get("authorization")
                )
                exchange.admitted = running.admission.admit()
            await route.endpoint(exchange)
        except ClientGone as gone:
            error, exchange.status = gone, 499
        except asyncio.CancelledError:  # by the server, which stops: this is the last response
            error = ShuttingDown("the gateway is shutting down; try again")
            with suppress(ClientGone):
                await self._fail(exchange, error)
        except Exception as raised:  # noqa: BLE001 -- every request gets a response
            error = raised
            with suppress(ClientGone):
                await self._fail(exchange, raised)
        finally:
            if exchange.admitted:
                exchange.admitted.release()
        if not isinstance(self._observer, NullObserver):
            self._record(exchange, error, time.perf_counter() - started)

    async def _fail(self, exchange: Exchange, error: Exception) -> None:
        if not isinstance(error, FanoutError):
            self._observer.bug(exchange.request_id, error)
        begun = exchange.status is not None
        exchange.status = status_of(error)
        if exchange.events and exchange.events.started:
            await exchange.events.fail(error)
            return
        if begun:
            return  # the response failed half-way: the server closes the connection
        headers = {**exchange.response_headers, **error_headers(error)}
        await send_json(exchange.send, exchange.status, error_body(error), headers)

    def _record(self, exchange: Exchange, error: Exception | None, seconds: float) -> None:
        request = exchange.request
        if request is None and error is None:
            return  # /health and /models
        self._observer.request(
            RequestRecord(
                request_id=exchange.request_id,
                caller=exchange.client.name,
                mode=request.mode if request else "none",
                models=_known_models(exchange, error),
                winner=exchange.winner,
                stream=bool(request and request.stream),
                status=exchange.status or 0,
                error=type(error).__name__ if error else None,
                duration_ms=round(seconds * 1000, 1),
            )
        )


def _known_models(exchange: Exchange, error: Exception | None) -> tuple[str, ...]:
    """The request's models; if one is unknown or not allowed, only those that exist."""
    names = exchange.request.models if exchange.request else ()
    if not isinstance(error, UnknownModel | Forbidden):
        return names
    return tuple(name for name in names if exchange.gateway.catalog.has(name))


def _request_id(headers: Mapping[str, str]) -> str:
    """The client's `x-request-id` if it has only safe characters, else a new one."""
    given = headers.get("x-request-id")
    return given if given and REQUEST_ID.fullmatch(given) else f"req_{random.getrandbits(96):024x}"


def _check_headers(scope: Scope) -> None:
    size = sum(map(len, chain.from_iterable(scope["headers"])))
    if size > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"the headers are {size} bytes; at most {MAX_HEADER_BYTES}")


def find_route(method: str, path: str, routes: Sequence[Route] = ROUTES) -> tuple[Route, str]:
    """The route of a request and the rest of its path; paths work with and without `/v1`."""
    path = path.removeprefix("/v1") if path.startswith("/v1/") else path
    path = path.rstrip("/") or "/"
    others = []
    for route in routes:
        fits = path == route.path or (
            route.has_tail and path.startswith(route.path) and len(path) > len(route.path)
        )
        if fits and route.method == method:
            return route, path[len(route.path) :]
        if fits:
            others.append(route.method)
    if others:
        raise WrongMethod(method, others)
    raise NotFound("no such path; chat completions are at `POST /v1/chat/completions`")
