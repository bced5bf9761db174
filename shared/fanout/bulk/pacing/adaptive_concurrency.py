"""
How many lines a worker sends at the same time: AIMD, with slow start.

The limit doubles each round of responses until the provider first pushes back; after that it grows
by one a round. A time-out or an overload reduces it by 30 %, once for all calls that were in flight
at that moment. A 429 only ends the doubling: the rate limiter lowers the rate. Pure: time is an
argument.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import Overloaded, QuotaExceeded, RateLimited, TimedOut
from ...routing.leg import Leg, Outcome

DECREASE = 0.7
MAX_CONCURRENCY = 400
INITIAL_CONCURRENCY = 100


class AdaptiveConcurrency:
    """The current limit; a `Watcher` of each call, whose outcome moves it."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        initial: float = INITIAL_CONCURRENCY,
        maximum: int = MAX_CONCURRENCY,
    ) -> None:
        self._clock = clock
        self.maximum = maximum
        self.limit = float(min(initial, maximum))
        self._is_slow_start = True
        self._decreased_at = float("-inf")

    def started(self, leg: Leg) -> None:
        """A call starts."""

    def first_token(self, leg: Leg) -> None:
        """A call has its first token."""

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """
        Raise the limit after a success, lower it after a pushback.

        A call that started before the last decrease does not lower it again.
        """
        if outcome == "ok":
            step = 1.0 if self._is_slow_start else 1.0 / self.limit
            self.limit = min(self.maximum, self.limit + step)
        elif isinstance(error, QuotaExceeded):
            pass  # fewer calls at a time would not help
        elif isinstance(error, RateLimited):
            self._is_slow_start = False
        elif isinstance(error, TimedOut | Overloaded):
            self._decrease(leg.started)

    def _decrease(self, started: float | None) -> None:
        if started is not None and started <= self._decreased_at:
            return
        self._is_slow_start = False
        self._decreased_at = self._clock()
        self.limit = max(1.0, self.limit * DECREASE)
