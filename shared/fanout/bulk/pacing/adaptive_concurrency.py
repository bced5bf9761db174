"""
How many lines may be under way: more while answers come, fewer when a provider says so.

Doubling to begin with, then one more for each round of answers; three tenths fewer at a 429 or a
time-out, once for all calls that were under way when it came. Pure: time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import Overloaded, QuotaExceeded, RateLimited, TimedOut
from ...routing.leg import Leg, Outcome

SLOWER = 0.7
MOST = 400
FIRST = 100


class AdaptiveConcurrency:
    """The limit, and how it moves; a `Watcher` of every call."""

    def __init__(
        self, clock: Callable[[], float], *, first: float = FIRST, most: int = MOST
    ) -> None:
        self._clock = clock
        self.most = most
        self.limit = float(min(first, most))
        self._calm = True
        self._lowered_at = float("-inf")
        self.slowed = 0

    def started(self, leg: Leg) -> None:
        """A call begins."""

    def first_token(self, leg: Leg) -> None:
        """It has begun to answer."""

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """A call is over: `leg.started` tells whether it knew of the last slowing."""
        if outcome == "ok":
            self.limit = min(self.most, self.limit + (1.0 if self._calm else 1.0 / self.limit))
        elif isinstance(error, QuotaExceeded):
            pass  # asking less would not help
        elif isinstance(error, RateLimited | TimedOut | Overloaded):
            self._slow(leg.started)

    def _slow(self, began: float | None) -> None:
        if began is not None and began <= self._lowered_at:
            return
        self._calm = False
        self._lowered_at = self._clock()
        self.limit = max(1.0, self.limit * SLOWER)
        self.slowed += 1
