"""`GET /metrics`: the metrics for Prometheus, if the config turns them on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from ..errors import Forbidden
from .asgi import raw_headers
from .exchange import Exchange
from .routes import Route

Rendered: TypeAlias = Callable[[str], tuple[bytes, str]]
"""The metrics and their content type, for an `Accept` header."""


def metrics_route(rendered: Rendered) -> Route:
    """The route of the metrics; a key that is limited to some models may not read them."""

    async def metrics(exchange: Exchange) -> None:
        if exchange.client.is_limited or exchange.client.account is not None:
            raise Forbidden("this key may not read metrics: they are about every client", None)
        content, content_type = await asyncio.to_thread(
            rendered, exchange.headers.get("accept", "")
        )
        headers = {"content-type": content_type, "content-length": str(len(content))}
        raw = raw_headers({**headers, **exchange.response_headers})
        exchange.status = 200
        await exchange.send({"type": "http.response.start", "status": 200, "headers": raw})
        await exchange.send({"type": "http.response.body", "body": content})

    return Route("GET", "/metrics", metrics, is_limited=False)
