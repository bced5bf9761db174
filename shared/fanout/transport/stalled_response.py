"""
Ends a response that is complete but stalls: its connection stays open, as if more were to come.

Its `Content-Length` is too large, or its last chunk never comes. Without this, the call would wait
until its time is over, and a response that is paid would be lost. Imported with the first response
that is not there at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from msgspec import Struct

from ..concurrency import EarlyEnd
from ..wire.http import WireResponse
from .engine import Bounded

QUIET = 1.0
"""Seconds without any further byte, after which a whole response has ended."""

MARGIN = 0.05
"""Seconds before the end of the call's time at which a whole response has ended in any case."""


LEAST = 0.005
"""Seconds between two checks, at least."""


def pause_before(until: float | None, now: float) -> float:
    """Seconds to wait for more of a response that may be whole; `until` ends the call's time."""
    if until is None or until <= now:
        return QUIET
    left = until - now
    return max(LEAST, min(QUIET, left - min(MARGIN, left / 2)))


def watch_end(
    early: EarlyEnd,
    status: int,
    headers: Mapping[str, str],
    body: Bounded,
    *,
    is_whole: Callable[[WireResponse], bool],
    until: float | None,
) -> None:
    """
    End the block early once what has arrived is a whole response, and nothing follows.

    `is_whole` says so by the response's body; at `until`, a time of the loop's clock, the caller
    stops reading.
    """
    if not early.is_watched:
        check = _QuietCheck(status, headers, body, is_whole, until, body.size)
        early.watch(check, pause_before(until, asyncio.get_running_loop().time()))


class _QuietCheck(Struct):
    """Whether the response has ended; a body that is not whole is tried again when it has grown."""

    status: int
    headers: Mapping[str, str]
    body: Bounded
    is_whole: Callable[[WireResponse], bool]
    until: float | None
    last_size: int
    tried_size: int = 0

    def __call__(self) -> float | None:
        """Seconds until it is asked again; `None` if the response has ended."""
        size, until = self.body.size, self.until
        now = asyncio.get_running_loop().time()
        may_end = size == self.last_size or (until is not None and now >= until - MARGIN)
        if may_end and size != self.tried_size:
            self.tried_size = size
            if self.is_whole(WireResponse(self.status, self.headers, self.body.whole())):
                return None
        self.last_size = size
        return pause_before(until, now)
