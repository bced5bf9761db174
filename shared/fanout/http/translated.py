"""
Serves the endpoints of other APIs: their translation to chat completions is sent as those are.

Imported with the first such request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..endpoints.base import RequestBody, TranslatedRequest, Translation
from .endpoints import DROPPED, parse_body, respond_to

if TYPE_CHECKING:
    from .exchange import Exchange


async def serve(exchange: Exchange) -> None:
    """Send the response to a request of the endpoint that `exchange.surface` translates."""
    surface = exchange.surface
    if surface is None:
        raise AssertionError("the route names a surface")

    def read(body: bytes) -> TranslatedRequest:
        return surface.read(RequestBody(parse_body(body), body, exchange.headers))

    found = await exchange.parsed(read)
    found = replace(found, id=exchange.request_id, created=int(time.time()))
    if found.dropped and all(one.original is None for one in found.request.conversations):
        exchange.response_headers[DROPPED] = ", ".join(found.dropped)  # errors have it, too
    await respond_to(exchange, found.request, Translation(surface, found))
