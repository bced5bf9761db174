"""
The ASGI app: finds the route, checks the key, and turns every error into OpenAI's error object.

When a client disconnects, its calls to providers are cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import TYPE_CHECKING, TypeAlias

from ..config.catalog import Catalog
from ..errors import (
    DamagedRecord,
    FanoutError,
    NoWebSocket,
    ShuttingDown,
    StorageBusy,
    StorageError,
    StorageFull,
    drop_all_tracebacks,
    status_of,
)
from ..gateway.gateway import Gateway
from ..telemetry.observers import NullObserver, Observer
from ..transport.credentials import EnvironmentSecrets, SecretSource
from .asgi import (
    SEND_TIMEOUT,
    ClientGone,
    Receive,
    Scope,
    Send,
    check_headers,
    headers_of,
    send_json,
    send_with_timeout,
)
from .auth import ANONYMOUS, KEY_HEADERS, KeysUnavailable
from .exchange import KEEP_ALIVE_INTERVAL, Exchange, LazyBatchService, request_id_of
from .open_requests import OtherProcesses
from .request_record import observe
from .routes import PAGE, PREFLIGHT, ROUTES, Route, call_endpoint, find_route, surface_of
from .running_app import OpenKeys, RunningApp, running_app

if TYPE_CHECKING:
    from .web_origins import WebOrigins

LOGGED = frozenset({StorageError, StorageFull, DamagedRecord})
"""Errors of this machine, whose cause only the log has."""

OpenGateway: TypeAlias = Callable[[], AbstractAsyncContextManager[Gateway]]
OpenBatchService: TypeAlias = Callable[[Gateway], AbstractAsyncContextManager[LazyBatchService]]


class App:
    """
    The ASGI app over one gateway, which is opened at start-up and closed at shutdown.

    `deadline` reads from a request's scope how many seconds the host (Lambda) has left, `capacity`
    is how many requests it sends at the same time, if the config's `max_requests` are more. `keys`
    looks up the gateway's own keys. `host_idle_timeout` is the seconds after which the host closes
    a response that has not begun. `keep_alive` is the idle time in seconds after which a stream
    sends a comment, `send_timeout` the seconds that a client may leave a response unread. `jobs`
    opens files and batches. `page` is whether the page is served if the config does not set it.
    `others` reaches the open requests of other processes; `received` reads from a request's scope
    when it reached the host, in seconds since 1970. `metrics` returns what `GET /metrics` sends.
    `virtual_keys` opens the ledger of virtual keys, which there are if the config has a master key.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        open_gateway: OpenGateway,
        *,
        observer: Observer | None = None,
        keys: SecretSource | None = None,
        deadline: Callable[[Scope], float | None] | None = None,
        capacity: int | None = None,
        host_idle_timeout: float | None = None,
        keep_alive: float = KEEP_ALIVE_INTERVAL,
        send_timeout: float = SEND_TIMEOUT,
        jobs: OpenBatchService | None = None,
        page: bool = False,
        others: OtherProcesses | None = None,
        received: Callable[[Scope], float | None] | None = None,
        metrics: Callable[[str], tuple[bytes, str]] | None = None,
        virtual_keys: OpenKeys | None = None,
    ) -> None:
        self._open_gateway = open_gateway
        self._observer = observer or NullObserver()
        self._keys = keys or EnvironmentSecrets()
        self._deadline = deadline
        self._capacity = capacity
        self._host_idle_timeout = host_idle_timeout
        self._keep_alive = keep_alive
        self._send_timeout = send_timeout
        self._open_batch_service = jobs
        self._page = page
        self._others = others
        self._received = received
        self._metrics = metrics
        self._open_keys = virtual_keys
        self._routes: Sequence[Route] = ROUTES
        self._running: RunningApp | None = None

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
                self._routes = self._served_routes(gateway.catalog)
                jobs = self._open_batch_service(gateway) if self._open_batch_service else None
                batch_service = await stack.enter_async_context(jobs) if jobs else None
                running = self._running = running_app(
                    gateway,
                    self._keys,
                    batch_service,
                    self._capacity,
                    self._others,
                    self._open_keys,
                )
                stack.push_async_callback(running.authenticator.close)
                await send({"type": "lifespan.startup.complete"})
                await receive()
                self._running = None
        except FanoutError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    def _served_routes(self, catalog: Catalog) -> Sequence[Route]:
        """All routes, with the page's, those of virtual keys, and that of the metrics if wanted."""
        page = self._page if catalog.general.page is None else catalog.general.page
        routes = (*ROUTES, *PAGE) if page else ROUTES
        if self._open_keys is not None and catalog.has_virtual_keys:
            from .key_management.routes import KEY_ROUTES

            routes = (*routes, *KEY_ROUTES)
        if self._metrics is None:
            return routes
        from .metrics import metrics_route

        return (*routes, metrics_route(self._metrics))

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._running.admission.in_flight if self._running else 0

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._running is None:
            raise RuntimeError("the app's lifespan has not started")
        running, started = self._running, time.perf_counter()
        exchange = self._exchange(running, scope, receive, send)
        headers = exchange.headers
        error: Exception | None = None
        try:
            check_headers(scope, headers, KEY_HEADERS)
            route, exchange.tail = self._route(scope, exchange, running.web_origins)
            if not route.is_public:
                client = exchange.client = await running.authenticator.authenticate(headers)
                if route.is_limited:
                    exchange.admitted = running.admit(client)
            await _serving(route, exchange)
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
            try:
                if exchange.charge is not None or exchange.single is not None:
                    await self._settle(exchange)
            finally:
                _forget(exchange, error)
                if exchange.admitted is not None:
                    exchange.admitted.release()
        if not isinstance(self._observer, NullObserver):
            observe(self._observer, exchange, error, time.perf_counter() - started)

    def _exchange(
        self, running: RunningApp, scope: Scope, receive: Receive, send: Send
    ) -> Exchange:
        headers = headers_of(scope)
        request_id = request_id_of(headers)
        return Exchange(
            running.gateway,
            ANONYMOUS,
            receive,
            send_with_timeout(send, self._send_timeout),
            headers,
            request_id,
            running.open_requests,
            received=self._received(scope) if self._received else None,
            query=scope.get("query_string", b"").decode("latin-1"),
            batch_service=running.batch_service,
            deadline=self._deadline(scope) if self._deadline else None,
            host_idle_timeout=self._host_idle_timeout,
            keep_alive=self._keep_alive,
            authenticator=running.authenticator,
            response_headers={"x-request-id": request_id},
        )

    async def _settle(self, exchange: Exchange) -> None:
        """End the request; one with an `Idempotency-Key` is remembered, or frees it."""
        fault = exchange.charge and exchange.charge.fault
        if fault and not isinstance(fault, StorageBusy):
            self._observer.unexpected_error(exchange.request_id, fault)
        if exchange.single:
            await exchange.single.settle()
            if exchange.single.fault:
                self._observer.unexpected_error(exchange.request_id, exchange.single.fault)

    def _route(
        self, scope: Scope, exchange: Exchange, web_origins: WebOrigins | None
    ) -> tuple[Route, str]:
        """The request's route, if its page may use the gateway."""
        method, path, headers = scope["method"], scope["path"], exchange.headers
        if web_origins is not None:
            exchange.response_headers |= web_origins.response_headers(headers)
            web_origins.check(headers, path)
            if (allowed := web_origins.preflight(method, headers)) is not None:
                exchange.response_headers |= allowed
                return PREFLIGHT, ""
        if "content-encoding" in headers:
            exchange.unpack()
        if method == "GET" and "sec-websocket-version" in headers:  # RFC 6455, section 4.1
            raise NoWebSocket
        try:
            route, tail = find_route(method, path, self._routes)
        except FanoutError:
            _set_surface(exchange, surface_of(path, headers))
            raise
        if route.surface or route.is_shared:
            _set_surface(exchange, route.surface or surface_of(path, headers))
        return route, tail

    async def _fail(self, exchange: Exchange, error: Exception) -> None:
        cause = error.__cause__
        if isinstance(error, KeysUnavailable) and cause and not isinstance(cause, StorageBusy):
            self._observer.unexpected_error(exchange.request_id, cause)
        if not isinstance(error, FanoutError) or type(error) in LOGGED:
            self._observer.unexpected_error(exchange.request_id, error)
        begun = exchange.status is not None
        surface = exchange.surface
        exchange.status = status_of(error) if surface is None else surface.status(error)
        if exchange.single:
            exchange.single.error = error
        if exchange.events and exchange.events.started:
            await exchange.events.fail(error, exchange.response_headers)
            return
        if begun:
            return  # the response failed half-way: the server closes the connection
        from ..schema.error import error_body
        from .errors import error_headers

        headers = {**exchange.response_headers, **error_headers(error)}
        if surface is None:
            body: object = error_body(error)
        else:
            body = surface.error_body(error, exchange.request_id)
        await send_json(exchange.send, exchange.status, body, headers)


def _serving(route: Route, exchange: Exchange) -> Awaitable[None]:
    """Run the endpoint: once for all requests with the same `Idempotency-Key`."""
    if route.is_idempotent and "idempotency-key" in exchange.headers:
        from .idempotency import serve_once

        return serve_once(route, exchange)
    return call_endpoint(route, exchange)


def _forget(exchange: Exchange, error: Exception | None) -> None:
    """Free what the functions that raised the request's errors had; each error has been logged."""
    charge, single = exchange.charge, exchange.single
    faults = [error, charge.fault if charge else None, single.fault if single else None]
    drop_all_tracebacks(*(fault for fault in faults if fault is not None))


def _set_surface(exchange: Exchange, name: str) -> None:
    """Let the endpoint's translation make the responses, also the errors before it is called."""
    if not name:
        return
    from ..endpoints.base import find_surface  # imported with the first such request

    surface = exchange.surface = find_surface(name)
    exchange.response_headers |= surface.headers(exchange.request_id)
