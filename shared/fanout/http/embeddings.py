"""
`POST /v1/embeddings`: the vectors of texts, sent in pieces as the calls end.

Up to `HELD` bytes are kept until the whole response is there, so that an error of any call is an
ordinary HTTP error. A larger response begins before its end; if a call fails then, the connection
is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from ..endpoints.embeddings.request import EmbeddingRequest, parse_request
from ..endpoints.embeddings.response import HEAD, entries, tail
from ..errors import NotFound
from .asgi import raw_headers
from .endpoints import dropped_header, parse_body
from .exchange import Exchange
from .request_tags import split_tags

TAIL = "/embeddings"
"""What follows the name in Azure's path."""

HELD = 4_000_000
"""Bytes of a response that are kept before its first piece is sent."""


async def embeddings(exchange: Exchange) -> None:
    """Send the vectors of the request's inputs."""
    read = partial(_parsed, model=_model_of_path(exchange))
    request, exchange.tags = await exchange.parsed(read)
    exchange.request = request.options
    exchange.response_headers["x-fanout-mode"] = request.options.mode
    if exchange.client.account is None:
        await _respond(exchange, request)
        return
    from .charging import reserve_embeddings  # only virtual keys need it

    charge = exchange.charge = await reserve_embeddings(exchange, request)
    try:
        await _respond(exchange, request)
    finally:  # an error has the cost of its calls, too
        exchange.response_headers |= await charge.settle()


async def _respond(exchange: Exchange, request: EmbeddingRequest) -> None:
    response, context = _Response(exchange), exchange.context
    if context.deadline_hint:
        context = replace(context, deadline_hint="send fewer inputs in a request")
    async with exchange.opened() as group:
        if exchange.charge is not None:
            group.create_task(exchange.charge.open())
        tokens = await exchange.gateway.embed(request, context, response.add, response.note)
        if exchange.charge is not None:
            exchange.response_headers |= await exchange.charge.settle()
        await response.end(tail(request.model, tokens))


def _model_of_path(exchange: Exchange) -> str | None:
    """The model's name in Azure's path, `/openai/deployments/NAME/embeddings`."""
    if not exchange.tail:
        return None
    name = exchange.tail.removesuffix(TAIL)
    if not name:
        raise NotFound(f"no such path; Azure's is `/openai/deployments/NAME{TAIL}`")
    return name


def _parsed(body: bytes, model: str | None) -> tuple[EmbeddingRequest, tuple[str, ...]]:
    """
    The request, and its tags.

    `model` is that of its path, if it has one, and counts before the body's.
    """
    value, tags = split_tags(parse_body(body))
    if model is not None and isinstance(value, dict):
        value = {**value, "model": model}
    return parse_request(value, len(body)), tags


class _Response:
    """The response's pieces: kept up to `HELD` bytes, then sent."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._pieces = [HEAD]
        self._size = len(HEAD)
        self._has_begun = False
        self._dropped: dict[str, None] = {}

    def note(self, dropped: Iterable[str]) -> None:
        """Note the fields that are left out of a call, for the header."""
        self._dropped |= dict.fromkeys(dropped)

    async def add(self, start: int, vectors: Sequence[bytes]) -> None:
        """Add the vectors of the inputs from this index on."""
        for piece in entries(start, vectors):
            self._pieces.append(piece)
            self._size += len(piece)
            if self._has_begun or self._size > HELD:
                await self._begin()
                await self._send_pieces()

    async def end(self, last: bytes) -> None:
        """Add the end, and send what is left."""
        self._pieces.append(last)
        self._size += len(last)
        await self._begin(None if self._has_begun else self._size)
        await self._send_pieces()
        await self._exchange.send({"type": "http.response.body", "body": b""})

    async def _begin(self, length: int | None = None) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        exchange = self._exchange
        exchange.status = 200
        headers = {"content-type": "application/json", **exchange.response_headers}
        headers |= dropped_header(self._dropped)
        if length is not None:
            headers["content-length"] = str(length)
        raw = raw_headers(headers)
        await exchange.send({"type": "http.response.start", "status": 200, "headers": raw})

    async def _send_pieces(self) -> None:
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            message = {"type": "http.response.body", "body": piece, "more_body": True}
            await self._exchange.send(message)
