"""
The app: finds the route, checks the key, and makes an OpenAI error object of every fault.

A caller that hangs up takes its upstream calls with it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from ..errors import (
    FanoutError,
    Forbidden,
    HeadersTooLarge,
    NotFound,
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
    PATIENCE,
    ClientGone,
    Headers,
    Receive,
    Scope,
    Send,
    drain,
    headers_of,
    impatient,
    send_json,
)
from .auth import ANYONE, Access
from .errors import error_headers
from .exchange import MEGABYTE, Exchange, LazyBatchService
from .sse_response import INTERVAL

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
MAX_HEADER_BYTES = 64 * 1024
"""OpenAI's own limit for all headers of a request."""

Endpoint: TypeAlias = Callable[[Exchange], Awaitable[None]]
Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Gateway]]
Jobs: TypeAlias = Callable[[Gateway], AbstractAsyncContextManager[LazyBatchService]]


class Route(Struct, frozen=True):
    """`path` without a `/v1`; with `has_tail` it stands for everything below it."""

    method: str
    path: str
    endpoint: Endpoint
    has_tail: bool = False
    is_public: bool = False


def _bulk(name: str) -> Endpoint:
    """An endpoint of `bulk.py`, which is loaded when it is first asked."""

    async def endpoint(exchange: Exchange) -> None:
        from . import batch_endpoints as bulk

        await getattr(bulk, name)(exchange)

    endpoint.__name__ = name
    return endpoint


async def _page(exchange: Exchange) -> None:
    """The page and its files, which are loaded when the first is asked for."""
    from . import page_assets as page

    await (page.send_asset if exchange.tail else page.send_page)(exchange)


ROUTES = (
    Route("POST", "/chat/completions", endpoints.chat),
    Route("GET", "/models", endpoints.models),
    Route("GET", "/models/", endpoints.model, has_tail=True),
    Route("GET", "/health", endpoints.health, is_public=True),
    Route("GET", "/openapi.json", endpoints.openapi, is_public=True),
    Route("POST", "/files", _bulk("create_file")),
    Route("GET", "/files", _bulk("list_files")),
    Route("GET", "/files/", _bulk("read_file"), has_tail=True),
    Route("DELETE", "/files/", _bulk("delete_file"), has_tail=True),
    Route("POST", "/uploads", _bulk("create_upload")),
    Route("POST", "/uploads/", _bulk("continue_upload"), has_tail=True),
    Route("POST", "/batches", _bulk("create_batch")),
    Route("GET", "/batches", _bulk("list_batches")),
    Route("GET", "/batches/", _bulk("read_batch"), has_tail=True),
    Route("POST", "/batches/", _bulk("continue_batch"), has_tail=True),
)
PAGE = (
    Route("GET", "/", _page, is_public=True),
    Route("GET", "/page/", _page, has_tail=True, is_public=True),
)


class _Live(Struct, frozen=True):
    """What a server has while it is up."""

    gateway: Gateway
    access: Access
    admission: Admission
    door: LazyBatchService | None


def _live(gateway: Gateway, keys: SecretSource, door: LazyBatchService | None) -> _Live:
    general = gateway.catalog.general
    bodies = max(general.max_body_memory_mb, general.max_request_size_mb)  # one always fits
    admission = Admission(general.max_requests, int(bodies * MEGABYTE))
    return _Live(gateway, Access(gateway.catalog.callers, keys), admission, door)


class App:
    """
    The ASGI app over a gateway that lives as long as the server does.

    `deadline` reads the seconds that the host has left out of a request's headers (Lambda's);
    `keys` knows the texts of the gateway's own keys; `keep_alive` is the silence in seconds after
    which a stream says that it is still there, `patience` how many seconds a caller may not read;
    `jobs` opens the way to files and batches; `page` is whether the page is served where the config
    does not say.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        opening: Opening,
        *,
        observer: Observer | None = None,
        keys: SecretSource | None = None,
        deadline: Callable[[Headers], float | None] | None = None,
        keep_alive: float = INTERVAL,
        patience: float = PATIENCE,
        jobs: Jobs | None = None,
        page: bool = False,
    ) -> None:
        self._opening = opening
        self._observer = observer or NullObserver()
        self._keys = keys or EnvironmentSecrets()
        self._deadline = deadline
        self._keep_alive = keep_alive
        self._patience = patience
        self._jobs = jobs
        self._page = page
        self._routes: Sequence[Route] = ROUTES
        self._live: _Live | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with AsyncExitStack() as stack:
                gateway = await stack.enter_async_context(self._opening())
                wanted = gateway.catalog.general.page
                self._routes = (
                    (*ROUTES, *PAGE) if wanted or (wanted is None and self._page) else ROUTES
                )
                jobs = self._jobs(gateway) if self._jobs else None
                door = await stack.enter_async_context(jobs) if jobs else None
                self._live = _live(gateway, self._keys, door)
                await send({"type": "lifespan.startup.complete"})
                await receive()
                self._live = None
        except FanoutError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._live is None:
            raise RuntimeError("the app's lifespan has not started")
        live = self._live
        started = time.perf_counter()
        headers = headers_of(scope)
        send = impatient(send, self._patience)
        exchange = Exchange(live.gateway, ANYONE, receive, send, headers, _request_id(headers))
        exchange.out["x-request-id"] = exchange.request_id
        exchange.deadline = self._deadline(headers) if self._deadline else None
        exchange.keep_alive = self._keep_alive
        exchange.door = live.door
        exchange.query = scope.get("query_string", b"").decode("latin-1")
        error: Exception | None = None
        try:
            _check_headers(scope)
            route, exchange.tail = find(scope["method"], scope["path"], self._routes)
            if not route.is_public:
                exchange.caller = await live.access.caller(headers.get("authorization"))
                exchange.visit = live.admission.enter()
            await route.endpoint(exchange)
        except ClientGone as gone:
            error, exchange.status = gone, 499
        except Exception as raised:  # noqa: BLE001 -- the surface: nothing may leave it unanswered
            error = raised
            with suppress(ClientGone):
                await self._fail(exchange, raised)
        finally:
            if exchange.visit:
                exchange.visit.end()
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
            return  # a whole answer broke while it was sent: the server cuts the connection
        headers = {**exchange.out, **error_headers(error)}
        rest = partial(drain, exchange.receive) if exchange.unread else None
        await send_json(exchange.send, exchange.status, error_body(error), headers, rest)

    def _record(self, exchange: Exchange, error: Exception | None, seconds: float) -> None:
        asked = exchange.asked
        if asked is None and error is None:
            return  # /health and /models
        self._observer.request(
            RequestRecord(
                request_id=exchange.request_id,
                caller=exchange.caller.name,
                mode=asked.mode if asked else "none",
                models=_known(exchange, error),
                winner=exchange.winner,
                stream=bool(asked and asked.stream),
                status=exchange.status or 0,
                error=type(error).__name__ if error else None,
                duration_ms=round(seconds * 1000, 1),
            )
        )


def _known(exchange: Exchange, error: Exception | None) -> tuple[str, ...]:
    """The models asked for; where they are not allowed or not there, those that there are."""
    names = exchange.asked.models if exchange.asked else ()
    if not isinstance(error, UnknownModel | Forbidden):
        return names
    return tuple(name for name in names if name in exchange.gateway.catalog.groups)


def _request_id(headers: Mapping[str, str]) -> str:
    """The caller's own, where it is a plain word, or a new one."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else f"req_{random.getrandbits(96):024x}"


def _check_headers(scope: Scope) -> None:
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if size > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"the headers are {size} bytes; at most {MAX_HEADER_BYTES}")


def find(method: str, path: str, routes: Sequence[Route] = ROUTES) -> tuple[Route, str]:
    """The route of a request, and what its path has behind it; with and without `/v1`."""
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
    raise NotFound("there is nothing at this path; chat is at `POST /v1/chat/completions`")
