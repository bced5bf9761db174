"""
Estimates a model's rate limit from its 429s, if neither the config nor a response states it.

A 429 means that the limit is used up: the calls accepted in the last minute, or since the 429
before, show the rate. Then one call at a time, the probe, is tried after pauses that grow, or when
the provider says, until one is accepted. The others follow at the estimated rate, which grows until
the next 429. So each 429 costs only the calls in flight and some probes. One worker's observations
of one model; pure, time is an argument.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from ...providers.rate_limits import MINUTE

MIN_PAUSE, MAX_PAUSE, PAUSE_GROWTH = 0.5, 20.0, 3.0
"""Seconds without a call after a 429 that names no pause: the first, the longest, the factor."""

MARGIN = 0.95
"""The part of the measured rate that is used after a 429."""

LOWEST_STEP, FIRST_LOWEST_STEP, HIGHEST_STEP = 0.5, 0.1, 0.95
"""
By how much a 429 changes a known estimate, at most and at least.

An estimate from the first 429 grows fast, and may be far too high at the second one.
"""

LOWEST_ROUGH = 30.0
"""The lowest first estimate: a few 429s at the start of a job do not mean one call a minute."""

ENOUGH = 10
"""Accepted calls that show a rate; 429s after fewer of them may have another reason."""

MAX_WINDOWS = 2.2
"""By how much two windows of a minute may exceed the calls accepted before the first 429."""

RECENT = 3.0
"""Seconds before a 429 that show how fast a bucket refills."""

ASSUMED_AFTER = 1.0
"""Seconds after which a probe without a response counts as accepted: rejections come at once."""


class Estimate(Struct, frozen=True):
    """A rate in calls a minute; a `rough` one may be far too low, and grows fast."""

    rate: float
    is_rough: bool


class ObservedRate:
    """See above; times are seconds by any one clock."""

    def __init__(self) -> None:
        self._sent: Counter[int] = Counter()  # by second, without the rejected ones
        self._since = self._until = 0  # calls since the last 429, and between the two before
        self._at = self._before = float("-inf")  # those two 429s
        self._failed_at: float | None = None  # the last probe that was rejected
        self._known: Estimate | None = None
        self._first_minute = 0.0
        self._lowest = LOWEST_ROUGH
        self._pause = MIN_PAUSE
        self._probe: float | None = None
        self.is_probing = False

    # ---- calls ----

    def sent(self, now: float) -> None:
        """Count a call; while a probe is due, it is the probe."""
        self._sent[int(now)] += 1
        self._since += 1
        if self.is_probing and self._probe is None:
            self._probe = now

    def rejected(
        self, started: float, now: float, known: Estimate | None, retry_after: float | None
    ) -> Estimate | None:
        """
        Note a 429 to a call that was started then; returns an estimate, if it is the first news.

        `known` is the estimate used so far, if there is one. A provider that asks for a short pause
        accepts a call after each such pause.
        """
        self._sent[int(started)] -= 1
        if started <= self._at:  # in flight at the last 429
            self._until -= 1
            return None
        self._since -= 1
        if self.is_probing:
            if self._probe is not None and started >= self._probe:
                self._failed_at, self._probe = started, None
                self._pause = min(MAX_PAUSE, self._pause * PAUSE_GROWTH)
            return None
        self.is_probing, self._probe, self._failed_at = True, None, None
        self._pause = MIN_PAUSE
        self._before, self._at = self._at, now
        self._until, self._since, self._known = self._since, 0, known
        self._lowest = max(LOWEST_ROUGH, MINUTE / retry_after if retry_after else 0.0)
        return self._estimate()

    def responded(self, started: float, now: float) -> Estimate | None:
        """Note that a call was not rejected; a better estimate, if it was the probe."""
        if self._probe is None or started < self._probe:
            return None
        return self.recovered(now)

    def recovered(self, now: float) -> Estimate | None:
        """The probe counts as accepted; the estimate for the calls that follow."""
        if self._probe is None:
            return None
        probe, self._probe, self.is_probing = self._probe, None, False
        for second in [one for one in self._sent if one < now - 3 * MINUTE]:
            del self._sent[second]
        estimate = self._estimate()
        if not estimate.is_rough:
            return estimate
        measured = self._in_seconds_before(self._at, MINUTE)
        if self._failed_at is not None and measured * (self._failed_at - self._at) > MINUTE:
            return Estimate(estimate.rate, is_rough=False)  # a window, not a bucket that refills
        refill = MINUTE / max(probe - self._at, MIN_PAUSE)
        return Estimate(max(estimate.rate, refill), is_rough=True)

    def _estimate(self) -> Estimate:
        """The estimate that the calls up to the last 429 show."""
        measured = float(self._in_seconds_before(self._at, MINUTE))
        if self._known is None:
            self._first_minute = measured
            return Estimate(max(self._lowest, measured * MARGIN), is_rough=True)
        between = self._at - self._before
        if between < float("inf"):
            measured = max(measured, self._until * MINUTE / between)
        if max(self._until, measured) < ENOUGH:
            rate = self._lowest if self._known.is_rough else self._known.rate * HIGHEST_STEP
            return Estimate(max(1.0, rate, measured * MARGIN), self._known.is_rough)
        if self._known.is_rough and measured > MAX_WINDOWS * self._first_minute:
            # It is a bucket with room for a few calls: the last seconds show how fast it refills.
            measured = self._in_seconds_before(self._at, RECENT) * MINUTE / RECENT
        known = self._known.rate
        lowest = known * (FIRST_LOWEST_STEP if self._known.is_rough else LOWEST_STEP)
        rate = min(known * HIGHEST_STEP, max(lowest, measured * MARGIN))
        return Estimate(max(1.0, rate), is_rough=False)

    def _in_seconds_before(self, at: float, seconds: float) -> int:
        return sum(n for second, n in self._sent.items() if at - seconds < second <= at)

    # ---- the probe ----

    @property
    def probe_until(self) -> float | None:
        """Until when the other calls wait for the probe; `None` if there is none in flight."""
        return None if self._probe is None else self._probe + ASSUMED_AFTER

    def pause(self, now: float) -> float:
        """Seconds until the next probe: at the latest when the last minute's calls are past."""
        recent = [second for second, n in self._sent.items() if n > 0 and second + MINUTE >= now]
        past = min(recent) + 1 + MINUTE - now if recent else self._pause
        return min(self._pause, max(MIN_PAUSE, past))
