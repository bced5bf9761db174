"""
Keeps complete responses of HTTP/2 whose end was not read, so that their streams are not reset.

Does not depend on HTTP clients.
"""

from __future__ import annotations

import asyncio
from collections import deque

UNREAD_END = 1.0
"""Seconds for which a response is kept, at least."""

UNREAD_STEPS = 4
"""Steps in which they pass, so that all responses of a step share a timer."""


class UnreadEnds:
    """
    Keeps responses until the server has ended their streams: an open stream would be reset.

    Servers count resets, and close connections with many (CVE-2023-44487). A response that is
    dropped closes its stream if the server has not.
    """

    __slots__ = ("_loop", "_steps")

    def __init__(self) -> None:
        self._steps: deque[list[object]] = deque(maxlen=UNREAD_STEPS + 1)
        self._loop: asyncio.AbstractEventLoop | None = None  # if it has a timer

    def keep(self, response: object) -> None:
        """Keep a response for a second."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._steps.append([])
            loop.call_later(UNREAD_END / UNREAD_STEPS, self._step, loop)
        self._steps[-1].append(response)

    def _step(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drop the oldest responses; end with the last ones."""
        if loop is not self._loop:
            return
        self._steps.append([])
        if any(self._steps):
            loop.call_later(UNREAD_END / UNREAD_STEPS, self._step, loop)
        else:
            self._loop = None
