"""The endpoints for chat completions, models, health and the API's description."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Raw
from msgspec.structs import replace

from ..errors import Forbidden, NotFound, RequestError
from ..gateway.run import GatewayResponse, ResponseStream
from ..schema.fanout import FanOutRequest, parse_request
from ..wire.json import BadJSON, DuplicateKey, decode_strict
from .exchange import Exchange

if TYPE_CHECKING:
    from ..endpoints.base import Translation
    from ..gateway.report import Dropped

DEPLOYMENT_TAIL = "/chat/completions"
"""What follows the name in Azure's path."""

DROPPED = "x-fanout-dropped"
"""
The header with the fields of a request that were left out, or adapted.

It is not there if the model got the request as it was.
"""

MOST_NAMED, LONGEST_NAME = 40, 80
"""The most names in that header, and the most characters of one."""

_UNSAFE = re.compile(r"[^\w.\[\] ()*-]", re.ASCII)
"""What these names have not: some are the client's."""

_Respond: TypeAlias = "Callable[[Exchange, FanOutRequest, Translation | None], Awaitable[None]]"

CREATED = 1_677_610_602
"""The `created` of every model in the list: OpenAI's for gpt-3.5, which LiteLLM uses too."""

CREATED_AT = "2023-02-28T18:56:42Z"
"""The same, as Anthropic's API writes it."""


async def chat(exchange: Exchange) -> None:
    """`POST /v1/chat/completions`: send a conversation to one model or to several."""
    await respond_to(exchange, await exchange.parsed(_parsed))


async def deployment_chat(exchange: Exchange) -> None:
    """`POST /openai/deployments/{id}/chat/completions`: Azure's path; the id is the model name."""
    name, path = exchange.tail.removesuffix(DEPLOYMENT_TAIL), f"/openai/deployments/{exchange.tail}"
    if not name or name == exchange.tail:
        raise NotFound(f"no such path: `{path[:200]}`; Azure's is `…/NAME{DEPLOYMENT_TAIL}`")
    await respond_to(exchange, await exchange.parsed(partial(_parsed, model=name)))


def respond_to(
    exchange: Exchange, request: FanOutRequest, translation: Translation | None = None
) -> Awaitable[None]:
    """Send the response to a chat request, in the form of `translation` if there is one."""
    exchange.request = request
    # Set here so that errors, and streams whose first event is a keep-alive, have it too.
    exchange.response_headers["x-fanout-mode"] = request.mode
    gateway = exchange.gateway
    request = exchange.request = gateway.prepare(request, exchange.client)
    exchange.response_headers["x-fanout-mode"] = gateway.mode_of(request, exchange.client)
    respond = _streamed if request.stream else _whole
    if exchange.client.account is None:
        return respond(exchange, request, translation)
    return _charged(exchange, request, translation, respond)


async def _charged(
    exchange: Exchange, request: FanOutRequest, translation: Translation | None, respond: _Respond
) -> None:
    """Reserve the cost of a request of a virtual key, respond, and settle it."""
    from .charging import reserve  # only virtual keys need it

    charge = exchange.charge = await reserve(exchange, request)
    try:
        await respond(exchange, request, translation)
    finally:  # an error has the cost of its calls, too
        exchange.response_headers |= await charge.settle()


async def _whole(
    exchange: Exchange, request: FanOutRequest, translation: Translation | None
) -> None:
    async with exchange.opened() as group:
        if exchange.charge is not None:
            group.create_task(exchange.charge.open())
        response = await exchange.gateway.chat(request, exchange.context)
    exchange.winner = response.winner
    exchange.response_headers |= _response_headers(response, translation)
    if exchange.charge is not None:
        exchange.response_headers |= await exchange.charge.settle()
    body = response.body
    await exchange.json(body if translation is None else translation.respond(body))


async def _streamed(
    exchange: Exchange, request: FanOutRequest, translation: Translation | None
) -> None:
    from .sse_response import ChatEncoder, EventStream

    encoder = None if translation is None else translation.encoder()
    events = exchange.events = EventStream(
        exchange.send, exchange.response_headers, exchange.keep_alive, encoder or ChatEncoder()
    )
    charge, usage = exchange.charge, None
    is_charged = charge is not None and translation is None
    lost: dict[str, None] = {}
    async with exchange.opened() as group:
        if charge is not None:
            group.create_task(charge.open())
        keep_alive_task = group.create_task(events.keep_alive())
        try:
            async with exchange.gateway.stream(request, exchange.context) as response:
                exchange.winner = response.winner
                await events.start(_response_headers(response, translation))
                watched = None if response.passed_through else translation
                named = _dropped(response.dropped, translation)
                async for chunk in response.chunks:
                    if is_charged and chunk.get("usage") and not chunk["choices"]:
                        usage = chunk  # the last chunk: it gets the cost
                        continue
                    if watched is not None:
                        lost |= dict.fromkeys(watched.lost(chunk))
                    await events.chunk(chunk)
                later = _dropped(response.known_later(), translation)
                lost |= dict.fromkeys(name for name in later if name not in named)
        finally:
            keep_alive_task.cancel()
    if lost:
        await events.comment(DROPPED, dropped_header(lost)[DROPPED])
    if charge is not None:
        await events.cost(await charge.settle(), usage)
    exchange.status = 200
    await events.end()


def _parsed(body: bytes, model: str | None = None) -> FanOutRequest:
    """The request; `model` is that of its path, if it has one, and counts before the body's."""
    value = parse_body(body)
    if model is not None and isinstance(value, dict):
        value = {**value, "model": model}
    request = parse_request(value, len(body))
    chat = request.conversations[0]
    if isinstance(value, dict) and chat.body["messages"] is not value.get("messages"):
        return _with_names(request, value)
    return request


def _with_names(request: FanOutRequest, value: dict[str, Any]) -> FanOutRequest:
    """The request, whose errors name parts of other APIs as the client has sent them."""
    if request.nested or len(request.conversations) > 1:
        return request
    from ..endpoints.client_names import PARTS, ClientNames  # few clients send such parts

    names = ClientNames(value, lambda name: name, PARTS)
    chats = tuple(replace(one, names=names) for one in request.conversations)
    return replace(request, conversations=chats)


def parse_body(body: bytes) -> object:
    """
    The body's JSON value; raises `RequestError` if it is not valid JSON.

    Half of a surrogate pair is U+FFFD: programs that cut a text in the middle of an emoji send it.
    """
    try:
        return decode_strict(body)
    except DuplicateKey as error:
        raise RequestError(f"the body is ambiguous: {error}", error.key) from None
    except BadJSON as error:
        if b"\\u" in body:
            from ..wire.lenient_json import whole_characters  # few requests need it

            if (whole := whole_characters(body)) != body:
                return parse_body(whole)
        raise RequestError(f"the body is not JSON: {error}", None, "invalid_json") from None


def _response_headers(
    response: GatewayResponse | ResponseStream, translation: Translation | None
) -> dict[str, str]:
    headers: dict[str, str] = {"x-fanout-mode": response.mode}
    if response.winner is not None:
        headers["x-fanout-winner"] = response.winner
    dropped = _dropped(response.dropped, translation)
    if translation is not None and isinstance(response, GatewayResponse):
        dropped += translation.lost(response.body)
    return headers | dropped_header(dropped) if dropped else headers


def _dropped(found: Dropped, translation: Translation | None) -> tuple[str, ...]:
    """The client's fields that some model did not get."""
    if translation is None:
        return found.names
    return translation.dropped(found.names, translated=found.translated)


def dropped_header(names: Iterable[str]) -> dict[str, str]:
    """The header with the names of what was left out; none if there is nothing."""
    shown = dict.fromkeys(_UNSAFE.sub("_", name)[:LONGEST_NAME] for name in names)
    return {DROPPED: ", ".join([*shown][:MOST_NAMED])} if shown else {}


async def models(exchange: Exchange) -> None:
    """
    `GET /v1/models`: the model names that this client may use; with `mode=chat` for chat.

    The list has the fields of OpenAI's API and of Anthropic's. It is whole, whatever `limit` is.
    """
    names = await asyncio.to_thread(_names, exchange)  # it reads the price lists
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {}
    page = {"has_more": False, "first_id": None, "last_id": None, **ends}
    await exchange.json({"object": "list", "data": [_model(name) for name in names], **page})


async def model(exchange: Exchange) -> None:
    """`GET /v1/models/{id}`: one model name."""
    if not exchange.client.may_use(exchange.tail):
        raise Forbidden(
            f"the key `{exchange.client.name}` may not use the model `{exchange.tail}`", "model"
        )
    exchange.gateway.catalog.check_name(exchange.tail)
    await exchange.json(_model(exchange.tail))


def _names(exchange: Exchange) -> list[str]:
    from urllib.parse import parse_qs

    from ..telemetry.known_names import listed_names

    modes = parse_qs(exchange.query).get("mode", [])
    if modes not in ([], ["chat"]):
        raise RequestError("`mode` must be `chat`", "mode")
    listed = listed_names(exchange.gateway.catalog, only_chat=bool(modes))
    return [name for name in listed if exchange.client.may_use(name)]


def _model(name: str) -> dict[str, object]:
    anthropics = {"type": "model", "display_name": name, "created_at": CREATED_AT}
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "fanout", **anthropics}


async def openapi(exchange: Exchange) -> None:
    """`GET /openapi.json`: the API as an OpenAPI document; needs no key."""
    await exchange.json(await asyncio.to_thread(_description))


@cache
def _description() -> Raw:
    """The document that `make docs` writes."""
    return Raw(Path(__file__).with_name("openapi.json").read_bytes())


async def preflight(exchange: Exchange) -> None:
    """Respond to a browser that asks whether a page may send a request."""
    await exchange.empty(204)


async def health(exchange: Exchange) -> None:
    """`GET /health`: 200 while the process runs; calls no provider and needs no key."""
    await exchange.json({"status": "ok"})


async def liveness(exchange: Exchange) -> None:
    """`GET /health/liveliness`, `…/liveness`: LiteLLM's paths and response; needs no key."""
    await exchange.json("I'm alive!")


async def readiness(exchange: Exchange) -> None:
    """`GET /health/readiness`: 200 while requests are served; calls nothing and needs no key."""
    await exchange.json({"status": "healthy"})
