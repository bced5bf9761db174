"""
How many lines a worker sends at the same time: AIMD, with slow start.

The limit doubles each round of responses until the provider first pushes back; after that it grows
slowly. If too large a part of the calls fails, it falls by 30 %. Lines that fail by themselves do
not lower it for long: a trial shows that they fail at a lower limit, too (`load_trial.py`). If
nothing succeeds any more, the model is down: then the limit is 1 until a call succeeds, and doubles
up to its old value. A 429 only ends the doubling: the rate limiter lowers the rate. Pure.
"""

from __future__ import annotations

import math

from msgspec import Struct

from ...errors import Overloaded, QuotaExceeded, RateLimited, TimedOut, Unreachable
from ...routing.leg import Leg, Outcome
from .line_faults import OVERLOADS
from .load_trial import MAJORITY, FirstCalls, LoadTrial

DECREASE, DECREASE_AGAIN = 0.7, 0.85
"""By these factors the limit falls: the second time near the same one, it need not fall so far."""

MAX_CONCURRENCY = 400
INITIAL_CONCURRENCY = 100
"""So many calls may be in flight two seconds after the first one, if none has failed."""

FIRST_CONCURRENCY, PER_SECOND = 10, 3.0
"""The calls that are sent at once, and the factor by which they grow each second until then."""

GROWTH, LEAST_GROWTH = 1.0, 0.1
"""By so much the limit grows in a round of calls: after each load half as fast, to the least."""

LEAST_PART = 0.015
"""A low limit grows by this part of it at least: one call too many is a large part of its calls."""

TOLERANCE = 0.05
"""The part of the calls that may fail, beside those that are known to fail at any load."""

FEW_FAILURES = 5
"""So many failures say nothing of the load, unless the provider says that it has too many calls."""

DOWN_AFTER = 10
"""If so many lines fail at first, and none started meanwhile succeeds, the model is down."""

STEP = 1.1
"""When the limit has grown by this factor, the count of the calls begins again."""

NEAR = 0.8
"""A limit above this part of one that was too high is too high for the same reason."""

CALM_CALLS = 10
"""Calls at least of which hardly any has failed, so that the provider takes so many at a time."""

FAR_BELOW, FORGET = 0.1, 0.97
"""
Below this part of a limit at which hardly any call failed, failures are those of an outage.

With each one, that limit counts for so much less: the provider may not become what it was.
"""

FIRST_ROUNDS, MAX_ROUNDS = 2, 32
"""Rounds of calls after which a trial is made again, as it may have been wrong; they double."""


class _Start(Struct, frozen=True):
    """What a call belongs to: the `calls` of its time, and the `streak` of failures then."""

    calls: FirstCalls
    streak: FirstCalls | None
    is_retry: bool
    counts: bool


class AdaptiveConcurrency:
    """
    The current limit; a `Watcher` of each call, whose outcome moves it.

    `is_down` says that nothing succeeds at present. In the first seconds, `grow` raises the limit
    up to the `initial` one.
    """

    def __init__(
        self, *, initial: float = INITIAL_CONCURRENCY, maximum: int = MAX_CONCURRENCY
    ) -> None:
        self.maximum = maximum
        self.limit = float(min(initial, maximum, FIRST_CONCURRENCY))
        self._initial = float(min(initial, maximum))
        self._began: float | None = None
        self.is_down = False
        self._slow_until = float(maximum)  # up to this, the limit doubles
        self._growth = GROWTH
        self._too_high = math.inf
        self._known = 0.0  # the share of the calls that fail at any load
        self._calls, self._from = FirstCalls(), self.limit
        self._trial: LoadTrial | None = None
        self._rounds = FIRST_ROUNDS
        self._until_trial = 0
        self._before = (self.limit, GROWTH, math.inf)  # the last failures began
        self._calm = self._before  # hardly any call failed
        self._calm_limit = self.limit  # of `_calm`, however many failures came later
        self._until = self.limit  # so far it doubles when the model is up again
        self._served = self._cut = 0  # of the calls that were in flight then
        self._starts: dict[int, _Start] = {}
        self._in_flight = self._most = 0
        self._streak: FirstCalls | None = None  # of failures

    def grow(self, now: float) -> None:
        """Raise the limit of the first seconds, by a clock of seconds."""
        if self.limit >= self._initial:
            return
        if self._began is None:
            self._began = now
        grown = FIRST_CONCURRENCY * PER_SECOND ** min(now - self._began, 60.0)
        self.limit = max(self.limit, min(self._initial, grown))

    def started(self, leg: Leg, *, is_retry: bool = False) -> None:
        """A call starts: the first of its line, or a retry."""
        self._in_flight += 1
        self._most = max(self._most, self._in_flight)
        counts = not is_retry or self.limit > self._too_high * NEAR
        start = self._starts[id(leg)] = _Start(self._calls, self._streak, is_retry, counts)
        start.calls.started += counts
        if start.streak is not None:
            start.streak.started += not is_retry

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """
        Raise the limit after a success, lower it if too many calls fail.

        A call that was started before the last change of the limit does not lower it again.
        """
        self._in_flight -= 1
        start = self._starts.pop(id(leg))
        failed = isinstance(error, TimedOut | Overloaded | Unreachable)
        if outcome == "ok":
            self._succeeded(start)
        elif failed:
            self._initial = 0.0
            self._failed(start)
        elif isinstance(error, RateLimited) and not isinstance(error, QuotaExceeded):
            self._slow_until = 0.0
        if not start.counts:
            return
        if outcome == "cancelled":
            start.calls.started -= 1
            return
        start.calls.ended += 1
        start.calls.failed += failed
        is_full = isinstance(error, Overloaded) and error.upstream in OVERLOADS
        start.calls.full += is_full
        if is_full and start.calls is not self._calls:
            self._rejected_later(start.calls)
        if not self.is_down:
            self._judge(self._calls)

    def _succeeded(self, start: _Start) -> None:
        if start.streak is self._streak:
            self._streak = None
        if self.is_down and start.calls is not self._calls:
            self._served += 1
            return
        if self.is_down:
            self.is_down, self._streak = False, None
            if self._served and self._cut:  # it takes so many calls at a time
                self._slow_until = self._served
            else:
                self._slow_until = max(self._slow_until, self._until)
            self._begin(1.0)
        if self._trial is None:
            if self.limit > self._too_high / NEAR:
                self._growth, self._too_high = GROWTH, math.inf
            is_slow_start = self.limit < self._slow_until
            step = 1.0 if is_slow_start else self._growth / self.limit
            self.limit = min(self.maximum, self.limit + step)
            if not is_slow_start and self.limit >= max(self._from * STEP, int(self._from) + 1):
                self._begin(self.limit)

    def _failed(self, start: _Start) -> None:
        self._cut += start.calls is not self._calls
        if start.is_retry:
            return
        if self._streak is None:
            self._streak = FirstCalls()
            limit = self.limit if self._trial is None else self._trial.limit
            self._before = (limit, self._growth, self._too_high)
        streak = self._streak
        streak.failed += start.streak is streak
        if streak.failed >= max(DOWN_AFTER, 0.9 * streak.started) and not self.is_down:
            self._go_down()

    def _go_down(self) -> None:
        self.is_down, self._served, self._cut = True, 0, 0
        limit, self._growth, self._too_high = max(self._before, self._calm)
        self._until = max(limit, self._calm_limit)
        self._begin(1.0)

    def _rejected_later(self, calls: FirstCalls) -> None:
        """
        Lower the limit to the calls that are left of those that were too many.

        A call that was rejected at once shows that the provider takes no more than are in flight.
        """
        if calls.show_load and self.limit > self._in_flight and not self.is_down:
            before = self.limit
            self._too_high, self._slow_until = self._in_flight + 1.0, 0.0
            self._begin(self._in_flight)
            if not self._in_flight:  # it rejects them late, and others may have been accepted
                self._slow_until = min(before * DECREASE, calls.ended - calls.failed)

    def _begin(self, limit: float, trial: LoadTrial | None = None) -> None:
        """Begin to count calls at another limit."""
        self.limit = max(1.0, min(limit, self.maximum))
        self._trial = trial
        self._calls, self._from = FirstCalls(), self.limit
        self._most = self._in_flight

    def _judge(self, calls: FirstCalls) -> None:
        """Change the limit if these calls show that it is too high, or was not."""
        if self._trial is not None:
            is_load = self._trial.is_load(calls)
            if is_load:
                self._lower(self._trial.higher, self.limit)
            elif is_load is False:
                self._by_themselves(self._trial.limit, self._trial.before.share)
            return
        self._until_trial -= 1
        share, count = calls.share, max(1, calls.started)
        if calls.ended >= max(CALM_CALLS, self.limit / 2) and share <= TOLERANCE:
            self._calm = self.limit, self._growth, self._too_high
            self._calm_limit = self.limit
        known = 0.0 if self._until_trial <= 0 else self._known
        noise = 2 * math.sqrt(known * (1 - known) / count)
        least = 1 if calls.full > 1 else FEW_FAILURES
        if calls.failed > least and share > known + TOLERANCE + noise:
            self._too_many_fail(calls, known)
        elif count > max(80, 4 * self.limit) and calls.ended > count // 2:
            self._known = min(self._known, share)
            calls.halve()

    def _too_many_fail(self, calls: FirstCalls, known: float) -> None:
        used = min(self.limit, float(max(1, self._most)))
        limit, growth, too_high = self._calm
        if used < limit * FAR_BELOW:
            self._calm = limit * FORGET, growth, too_high
            if calls.share > MAJORITY:
                self._go_down()
            else:
                self._begin(used * DECREASE)
        elif int(used) == 1:
            self._by_themselves(self.limit, calls.share)
        elif self._too_high * NEAR < used < self._too_high / NEAR:
            self._lower(max(used, self._too_high), min(used * DECREASE_AGAIN, int(used) - 1))
        elif calls.share > MAJORITY or calls.show_load:
            self._lower(used, min(used * DECREASE, int(used) - 1))
        else:
            lower = max(1.0, min(used * DECREASE, used - 1))
            self._begin(lower, LoadTrial(self.limit, used, lower, calls, known))

    def _lower(self, too_high: float, lower: float) -> None:
        self._too_high, self._slow_until = too_high, 0.0
        self._growth = max(min(LEAST_GROWTH, lower * LEAST_PART), self._growth / 2)
        self._begin(lower)

    def _by_themselves(self, limit: float, share: float) -> None:
        """Go on at this limit: such a share of the calls fails at any load."""
        self._known = share
        self._until_trial = self._rounds * int(max(limit, 10))
        self._rounds = min(MAX_ROUNDS, 2 * self._rounds)
        self._begin(limit)
