"""
Counts the tokens of a prompt, without a response to it.

Anthropic counts for its own models; for others, and if it cannot, the number is an estimate.
Imported with the first such request.
"""

from __future__ import annotations

import asyncio

from ..endpoints.base import RequestBody
from ..endpoints.messages.count import API, CountRequest, read_count
from ..errors import MissingKey, ProviderError
from ..transport.client import encode_request
from ..transport.pass_through import for_original
from ..wire import json
from ..wire.http import WireResponse
from .endpoints import parse_body
from .exchange import Exchange

SECONDS = 10.0
"""How long the vendor may take; then the number is an estimate."""

REJECTED = frozenset({400, 413})
"""Statuses of the vendor that are about the prompt. The client gets its words."""

SOURCE = "x-fanout-tokens"
"""The header that says whether the number is `counted` or `estimated`."""


async def count_tokens(exchange: Exchange) -> None:
    """`POST /v1/messages/count_tokens`: the tokens of a prompt, counted or estimated."""

    def read(body: bytes) -> CountRequest:
        return read_count(RequestBody(parse_body(body), body, exchange.headers))

    found = await exchange.parsed(read)
    counted = await _counted(exchange, found)
    exchange.response_headers[SOURCE] = "estimated" if counted is None else "counted"
    if counted is None:
        await exchange.json({"input_tokens": found.tokens})
    else:
        await exchange.json(json.decode(counted.body), status=counted.status)


async def _counted(exchange: Exchange, found: CountRequest) -> WireResponse | None:
    """The response of a vendor that counts; `None` if there is none."""
    request = exchange.gateway.prepare(found.request, exchange.client)
    deployments = exchange.gateway.catalog.find(request.models[0])
    chat = request.conversations[0]
    if chat.original is None:
        return None
    able = (one for one in deployments if one.provider.pass_through(API, one.target) is not None)
    deployment = next(able, None)
    if deployment is None:
        return None
    deployment = for_original(deployment, chat)
    try:
        async with asyncio.timeout(SECONDS):
            wire = encode_request(deployment, chat, stream=False)
            response = await exchange.gateway.exchange(deployment, wire)
    except (MissingKey, ProviderError, TimeoutError):
        return None
    value = json.decode_or_none(response.body)
    is_number = isinstance(value, dict) and isinstance(value.get("input_tokens"), int)
    if response.status in REJECTED and isinstance(value, dict):
        return response
    return response if response.status == 200 and is_number else None  # noqa: PLR2004
