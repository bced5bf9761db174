"""
Ends a request before its host would close the idle connection.

API Gateway closes a streamed response after 5 minutes without a byte, also before its head is sent:
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html
(2026-11).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..errors import DeadlineExceeded
from .asgi import Message
from .exchange import Exchange

MARGIN = 3.0
"""Seconds more than a model's response may take: its own error says more."""


@asynccontextmanager
async def limit_idle_time(exchange: Exchange, seconds: float) -> AsyncIterator[None]:
    """
    Raise `DeadlineExceeded` if the block begins no response within `seconds` and a margin.

    A stream begins within seconds, and is then never silent for long.
    """
    send = exchange.send
    try:
        async with asyncio.timeout(seconds + MARGIN) as timer:

            async def begin(message: Message) -> None:
                if timer.when() is not None:
                    timer.reschedule(None)
                await send(message)

            exchange.send = begin
            yield
    except TimeoutError:
        if not timer.expired():
            raise
        raise DeadlineExceeded(
            f"the request took more than {seconds + MARGIN:g} s; divide it into smaller ones"
        ) from None
    finally:
        exchange.send = send
