"""The start and the end of an ASGI app, as its host asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Lifespan:
    """
    The app's start and end (https://asgi.readthedocs.io/en/latest/specs/lifespan.html).

    `started` has the message of an app that cannot start, or `None`. Set `ended` to end the app.
    """

    def __init__(self) -> None:
        self.started: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self._is_begun = False

    async def run(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        """Start the app, and return when it has ended."""
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if not self._is_begun:
            self._is_begun = True
            return {"type": "lifespan.startup"}
        await self.ended.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: dict[str, Any]) -> None:
        if not self.started.done():
            self.started.set_result(message.get("message"))
