"""The paths of the HTTP API, and what serves each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from ..errors import NotFound, WrongMethod
from . import endpoints
from .exchange import Exchange

AZURE = "/openai/deployments/"
"""Azure's path, with the model's name after it. Its other paths are OpenAI's after `/openai`."""

Endpoint: TypeAlias = Callable[[Exchange], Awaitable[None]]


class Route(Struct, frozen=True):
    """
    One route. `path` is without `/v1`; with `has_tail` it matches every path below it.

    Without `is_limited`, its requests are served also while `max_requests` are in flight. With
    `is_idempotent`, a request with an `Idempotency-Key` is served once. `surface` is the folder of
    `endpoints/` that translates its requests, responses and errors; without one they are OpenAI's.
    If it `is_shared`, two APIs have it, and `surface_of` says which one a request is of.
    """

    method: str
    path: str
    endpoint: Endpoint
    has_tail: bool = False
    is_public: bool = False
    is_limited: bool = True
    is_idempotent: bool = False
    surface: str = ""
    is_shared: bool = False


JOBS = frozenset({"list_batches", "read_batch", "delete_batch", "continue_batch"})
"""Endpoints of jobs that exist: requests for them do not count against a key's rate."""

BATCHES = JOBS | {"create_batch"}
"""The endpoints of `batch_endpoints.py`; those of `file_endpoints.py` are the others."""


def _lazy_batch_endpoint(name: str) -> Endpoint:
    """An endpoint of files or batches, whose module is imported at its first request."""

    async def endpoint(exchange: Exchange) -> None:
        from . import batch_endpoints, file_endpoints

        serve = getattr(batch_endpoints if name in BATCHES else file_endpoints, name)
        if exchange.client.account is None or name in JOBS:
            await serve(exchange)
            return
        from .charging import counted  # only virtual keys need it

        is_upload = name in {"create_file", "create_upload", "continue_upload"}
        async with counted(exchange, is_upload=is_upload):
            await serve(exchange)

    endpoint.__name__ = name
    return endpoint


async def _open_request(exchange: Exchange) -> None:
    """
    Cancel an open request of the same key, or renew its lease; `id` is its `x-request-id`.

    `request_control.py` is imported at the first such request.
    """
    from .request_control import control_request

    await control_request(exchange)


async def _model_info(exchange: Exchange) -> None:
    """
    The deployments of the models that this client may use, as LiteLLM's `/model/info` has them.

    `model_info.py` is imported at the first such request.
    """
    from .model_info import model_info

    await model_info(exchange)


async def _model_group_info(exchange: Exchange) -> None:
    """
    The models that this client may use, as LiteLLM's `/model_group/info` has them.

    `model_info.py` is imported at the first such request.
    """
    from .model_info import model_group_info

    await model_group_info(exchange)


async def _translated(exchange: Exchange) -> None:
    """`POST /v1/NAME` of another API; `translated.py` is imported at the first such request."""
    from .translated import serve

    await serve(exchange)


async def _count_tokens(exchange: Exchange) -> None:
    """
    The tokens of a prompt for Anthropic's API: counted by the vendor, or an estimate.

    `count_tokens.py` is imported at the first such request.
    """
    from .count_tokens import count_tokens

    await count_tokens(exchange)


async def _count_input_tokens(exchange: Exchange) -> None:
    """
    The tokens of a prompt for OpenAI's Responses API: counted by the vendor, or an estimate.

    `count_tokens.py` is imported at the first such request.
    """
    from .count_tokens import count_input_tokens

    await count_input_tokens(exchange)


async def _embeddings(exchange: Exchange) -> None:
    """
    The vectors of texts; `embeddings.py` is imported at the first such request.

    The path of Azure's clients has the model's name.
    """
    from .embeddings import embeddings

    await embeddings(exchange)


async def _deployment(exchange: Exchange) -> None:
    """One of Azure's paths, which end with the name of the endpoint."""
    is_for_vectors = exchange.tail.endswith("/embeddings")
    await (_embeddings if is_for_vectors else endpoints.deployment_chat)(exchange)


async def _page(exchange: Exchange) -> None:
    """The page and its files; `page_assets.py` is imported at the first request for one."""
    from . import page_assets as page

    await (page.send_asset if exchange.tail else page.send_page)(exchange)


SURFACES: tuple[str, ...] = ("messages", "responses")
"""The folders of `endpoints/` whose endpoint is `POST /v1/NAME`."""

SHARED_PATHS = ("/models",)
"""Paths that two APIs have."""

BY_HEADER: Mapping[str, str] = {"anthropic-version": "messages"}
"""Headers that clients of an API send, and its folder: how errors look at the paths of two APIs."""

ROUTES = (
    Route("POST", "/chat/completions", endpoints.chat, is_idempotent=True),
    Route("POST", "/chat/completions/", _open_request, has_tail=True, is_limited=False),
    Route("POST", "/embeddings", _embeddings, is_idempotent=True),
    Route("GET", "/models", endpoints.models, is_shared=True),
    Route("GET", "/models/", endpoints.model, has_tail=True, is_shared=True),
    Route("GET", "/health", endpoints.health, is_public=True),
    Route("GET", "/health/liveliness", endpoints.liveness, is_public=True),
    Route("GET", "/health/liveness", endpoints.liveness, is_public=True),
    Route("GET", "/health/readiness", endpoints.readiness, is_public=True),
    Route("GET", "/openapi.json", endpoints.openapi, is_public=True),
    Route("GET", "/model/info", _model_info),
    Route("GET", "/model_group/info", _model_group_info),
    *(
        Route("POST", f"/{name}", _translated, is_idempotent=True, surface=name)
        for name in SURFACES
    ),
    Route("POST", "/messages/count_tokens", _count_tokens, surface="messages"),
    Route("POST", "/responses/input_tokens", _count_input_tokens, surface="responses"),
    Route("GET", "/api/hello", endpoints.health, is_public=True),
    Route("POST", AZURE, _deployment, has_tail=True, is_idempotent=True),
    Route("POST", "/files", _lazy_batch_endpoint("create_file"), is_idempotent=True),
    Route("GET", "/files", _lazy_batch_endpoint("list_files")),
    Route("GET", "/files/", _lazy_batch_endpoint("read_file"), has_tail=True),
    Route("DELETE", "/files/", _lazy_batch_endpoint("delete_file"), has_tail=True),
    Route("POST", "/uploads", _lazy_batch_endpoint("create_upload")),
    Route("POST", "/uploads/", _lazy_batch_endpoint("continue_upload"), has_tail=True),
    Route("POST", "/batches", _lazy_batch_endpoint("create_batch"), is_idempotent=True),
    Route("GET", "/batches", _lazy_batch_endpoint("list_batches")),
    Route("GET", "/batches/", _lazy_batch_endpoint("read_batch"), has_tail=True),
    Route("DELETE", "/batches/", _lazy_batch_endpoint("delete_batch"), has_tail=True),
    Route("POST", "/batches/", _lazy_batch_endpoint("continue_batch"), has_tail=True),
)
PREFLIGHT = Route("OPTIONS", "", endpoints.preflight, is_public=True)
PAGE = (
    Route("GET", "/", _page, is_public=True),
    Route("GET", "/page/", _page, has_tail=True, is_public=True),
)


def find_route(method: str, path: str, routes: Sequence[Route] = ROUTES) -> tuple[Route, str]:
    """
    The route of a request and the rest of its path; paths work with and without `/v1`.

    Those of Azure's clients begin with `/openai` or `/openai/v1`. HEAD is served as GET; the server
    leaves out the body.
    """
    given, wanted = path, "GET" if method == "HEAD" else method
    path = path.removeprefix("/v1") if path.startswith("/v1/") else path
    if path.startswith("/openai/") and not path.startswith(AZURE):
        path = path.removeprefix("/openai")
        path = path.removeprefix("/v1") if path.startswith("/v1/") else path
    path = path.rstrip("/") or "/"
    others = []
    for route in routes:
        fits = path == route.path or (
            route.has_tail and path.startswith(route.path) and len(path) > len(route.path)
        )
        if fits and route.method == wanted:
            return route, path[len(route.path) :]
        if fits:
            others += ["GET", "HEAD"] if route.method == "GET" else [route.method]
    if others:
        raise WrongMethod(method, others)
    from .unserved_paths import hint

    raise NotFound(hint(given))


def surface_of(path: str, headers: Mapping[str, str]) -> str:
    """The folder whose errors a client expects at a path that is no endpoint of it; or nothing."""
    first = f"/{path.removeprefix('/v1').lstrip('/').partition('/')[0]}"
    if first in SHARED_PATHS:
        return next((name for header, name in BY_HEADER.items() if header in headers), "")
    return first[1:] if first[1:] in SURFACES else ""


def call_endpoint(route: Route, exchange: Exchange) -> Awaitable[None]:
    """Run the endpoint, and end it if the host would close the idle connection."""
    if exchange.host_idle_timeout is None:
        return route.endpoint(exchange)
    return _in_time(route, exchange, exchange.host_idle_timeout)


async def _in_time(route: Route, exchange: Exchange, seconds: float) -> None:
    from .idle_timeout import limit_idle_time

    async with limit_idle_time(exchange, seconds):
        await route.endpoint(exchange)
