"""
Serves the endpoints of other APIs: their translation to chat completions is sent as those are.

Imported with the first such request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..endpoints.base import RequestBody, TranslatedRequest, Translation
from .endpoints import dropped_header, parse_body, respond_to
from .request_tags import bytes_without_tags, split_tags

if TYPE_CHECKING:
    from .exchange import Exchange


async def serve(exchange: Exchange) -> None:
    """Send the response to a request of the endpoint that `exchange.surface` translates."""
    surface = exchange.surface
    if surface is None:
        raise AssertionError("the route names a surface")

    def read(body: bytes) -> tuple[TranslatedRequest, tuple[str, ...]]:
        parsed = value = parse_body(body)
        tags: tuple[str, ...] = ()
        if surface.has_own_metadata:
            value, tags = split_tags(parsed)
        data = body
        if value is not parsed:
            data = bytes_without_tags(body, value)
        return surface.read(RequestBody(value, data, exchange.headers, exchange.query)), tags

    found, exchange.tags = await exchange.parsed(read)
    found = replace(found, id=exchange.request_id, created=int(time.time()))
    if found.dropped and all(one.original is None for one in found.request.conversations):
        exchange.response_headers |= dropped_header(found.dropped)  # errors have it, too
    await respond_to(exchange, found.request, Translation(surface, found))
