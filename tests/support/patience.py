"""How long a test waits for what must happen, and how often it measures what must be quick."""

from __future__ import annotations

from collections.abc import Callable

PATIENCE = 60.0
"""
Seconds until a test gives up: much more than a busy machine needs, and less than pytest's own limit
for a test (`timeout` in pyproject.toml). A test that passes never waits this long.
"""

TRIES = 20
"""How often a time may be measured: a busy machine delays some of the measured events, not each."""


def quickest(measure: Callable[[], float], limit: float, tries: int = TRIES) -> float:
    """The first measured time (in seconds) under the limit, or else the least of `tries` times."""
    least = float("inf")
    for _ in range(tries):
        least = min(least, measure())
        if least < limit:
            break
    return least
