"""Clocks of the doubles: seconds since 1970 that move only when a test, or a virtual loop, does."""

from __future__ import annotations

import asyncio

EPOCH = 1_788_370_740.0
"""2026-09-02T17:39:00Z."""


class Clock:
    """A clock that stands still until `advance`."""

    def __init__(self) -> None:
        self.time = EPOCH

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds


def loop_clock() -> float:
    """The running event loop's time: on a virtual loop, its jumps."""
    return EPOCH + asyncio.get_running_loop().time()
