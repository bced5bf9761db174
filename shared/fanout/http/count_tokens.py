"""
Counts the tokens of a prompt, without a response to it.

Anthropic, OpenAI and Gemini, and clouds with their models, count for these; for others, and if they
cannot, the number is an estimate.
Imported with the first such request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..endpoints.base import RequestBody
from ..endpoints.token_counts import CountRequest
from ..errors import MissingKey, ProviderError
from ..transport.client import DECODE_ERRORS
from ..transport.pass_through import for_original
from ..transport.request_encoding import encode_request
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
    from ..endpoints.messages import count

    await _count(exchange, count.read_count, count.API, {})


async def count_input_tokens(exchange: Exchange) -> None:
    """`POST /v1/responses/input_tokens`: the same for OpenAI's Responses API."""
    from ..endpoints.responses import count

    await _count(exchange, count.read_count, count.API, {"object": "response.input_tokens"})


async def _count(
    exchange: Exchange,
    read: Callable[[RequestBody], CountRequest],
    api: str,
    shape: Mapping[str, Any],
) -> None:
    def parse(body: bytes) -> CountRequest:
        return read(RequestBody(parse_body(body), body, exchange.headers, exchange.query))

    found = await exchange.parsed(parse)
    counted = await _counted(exchange, found, api)
    if counted is None or counted.status not in REJECTED:
        exchange.response_headers[SOURCE] = "estimated" if counted is None else "counted"
    if counted is None:
        await exchange.json({**shape, "input_tokens": found.tokens})
    else:
        body = json.decode(counted.body)
        body = body if counted.status in REJECTED else {**shape, **body}
        await exchange.json(body, status=counted.status)


async def _counted(exchange: Exchange, found: CountRequest, api: str) -> WireResponse | None:
    """The response of a vendor that counts; `None` if there is none."""
    request = exchange.gateway.prepare(found.request, exchange.client)
    deployments = exchange.gateway.catalog.find(request.models[0])
    chat = request.conversations[0]
    if chat.original is None:
        return None
    error = chat.original.untranslatable
    if error is not None and not _able(deployments, api.partition("/")[0]):
        raise error  # no model of this name would respond to it
    deployment = next(iter(_able(deployments, api)), None)
    if deployment is None:
        return None
    deployment = for_original(deployment, chat)
    try:
        async with asyncio.timeout(SECONDS):
            wire = encode_request(deployment, chat, stream=False)
            response = await exchange.gateway.exchange(deployment, wire)
    except (MissingKey, ProviderError, TimeoutError):
        return None
    return _read(deployment, response)


def _able(deployments: Sequence[Deployment], api: str) -> list[Deployment]:
    """The deployments whose vendor has this API."""
    return [one for one in deployments if one.provider.pass_through(api, one.target) is not None]


def _read(deployment: Deployment, response: WireResponse) -> WireResponse | None:
    """The response in the form of the client's API, which may not be the vendor's."""
    value = json.decode_or_none(response.body)
    if not isinstance(value, dict):
        return None
    if response.status in REJECTED:  # a vendor with another API has another form of errors
        return response if "type" in _object(value.get("error")) else None
    if response.status != 200:  # noqa: PLR2004
        return None
    return response if isinstance(value.get("input_tokens"), int) else _own(deployment, response)


def _own(deployment: Deployment, response: WireResponse) -> WireResponse | None:
    """The number of a vendor with another API, in the form of the client's."""
    try:
        usage = deployment.provider.chat.decode(response, deployment.target).get("usage")
    except DECODE_ERRORS:
        return None
    count = _object(usage).get("prompt_tokens")
    return None if not count else replace(response, body=json.encode({"input_tokens": count}))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
