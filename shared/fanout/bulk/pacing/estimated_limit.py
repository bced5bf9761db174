"""
An estimate of a rate limit that is not stated, in calls of mean size a minute.

It comes from the calls that were accepted between 429s (`rejection.py`). A call counts as one; if
the limit seems to be one of tokens, it counts by its tokens (docs/decisions/0019).

After a 429 all workers pause and then go on at the estimated rate, which grows until the next 429.
A pause ends when the provider says, or else after attempts at growing intervals. What rejects calls
for longer than a bucket takes to refill is a window of a minute: its limit is the number of calls
that it accepted. The estimate is part of the model's rate limit state, so all workers share it, and
it counts the calls of all of them. Pure, time is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import asdict

from ...providers.rate_limits import DAY, MINUTE

CALLS = "calls"
"""The kind of reservations at an estimated rate, and their key in the state."""

CALLS_MADE = "calls made"
"""The key of the number of calls that were reserved at estimated rates, of all workers."""

_PREFIX = "429 "
AT, REJECTED_AT, BEGAN = f"{_PREFIX}at", f"{_PREFIX}rejected_at", f"{_PREFIX}began"
"""The keys that are times."""

SEARCHING, ROUGH, FAIR, SETTLED = 0.0, 1.0, 1.5, 2.0
"""How far an estimate is to be trusted, and so how fast it grows."""

OTHERS = "search others"
"""The key of when another worker last waited for the one that searches."""

SEARCH_DOUBLING, SEARCH_END = 1.5, 60_000.0
"""Seconds in which the rate doubles before the first 429; calls a minute that end the search."""

COUNTED = 120.0
"""Seconds in which the calls of several workers are counted all the same: two windows."""

DOUBLING, DOUBLING_CALLS, DOUBLINGS = 2.5, 1.0, 6.0
"""Seconds, and calls, in which a rough estimate doubles; and how often it does."""

DOUBLING_AT_PEAK = 30.0
"""Seconds in which a rough estimate near the peak doubles, if 429s are followed by long pauses."""

FAIR_FACTOR = 6.0
"""How many times slower a fair estimate grows than a rough one."""

SLOW_RATE, MAX_SPEED = 40.0, 4.0
"""
Calls a minute above which a settled estimate grows faster, and so many times at most.

Then a 429 is a small part of the calls until the next one.
"""

SETTLED_PAUSE = 10.0
"""Seconds of a pause up to which a settled estimate grows as fast as after a short one."""

MAX_GROWTH = 8.0
"""A settled estimate grows slowly, up to so many times: the limit may have been raised."""

GROWTH_STEP = 1.0
"""Seconds between two steps in which an estimate grows."""

VERY_LONG_PAUSE = 20.0
"""Seconds of a pause that is long however few calls there were before it."""

LONG_PAUSE, LONG_PAUSE_CALLS = 5.0, 2.0
"""Seconds, and calls, of a pause that costs so much that the next 429 is approached slowly."""

NEAR_PEAK = 1 / 2
"""The part of the rate before the first 429 that is near it."""


class Estimate(Struct, frozen=True):
    """
    `rate` calls of mean size a minute from the time `at` on, and how it came about.

    `trust` is one of the three above. When it was made, `calls` had been reserved by all workers,
    `minute` of them in the minute before the 429 at `rejected_at`. `is_window` is 1 if that was
    followed by rejections for longer than a bucket's; while it is rough, the limit may also be one
    of seconds. `pause` is the last one without a `Retry-After`.

    `peak` is the rate, in calls a minute, of the last second before the first 429. `began` is when
    the calls before the last pause began. `burst` is how many seconds' worth of calls the provider
    accepts at once, if its limit is known to be one of seconds.

    If `evidence` is positive, the limit seems to be one of tokens. `smallest` is the size of the
    smallest call that the last 429s rejected, 1 for the mean one.
    """

    rate: float
    at: float
    trust: float = SEARCHING
    calls: float = 0.0
    minute: float = 0.0
    rejected_at: float = 0.0
    is_window: float = 0.0
    pause: float = 0.0
    evidence: float = 0.0
    smallest: float = 0.0
    peak: float = 0.0
    began: float = 0.0
    burst: float = 0.0

    @property
    def long_pause(self) -> float:
        """The seconds of the last pause, if it was long; otherwise 0."""
        return self.long_pause_at(self.minute)

    def long_pause_at(self, rate: float) -> float:
        """The same, if so many calls a minute are accepted: a bucket has room for some after it."""
        pause = self.at - self.rejected_at
        calls = LONG_PAUSE_CALLS * max(1.0, self.smallest)
        is_long = pause > LONG_PAUSE and pause * rate > calls * MINUTE
        return pause if self.rejected_at and is_long else 0.0

    @property
    def counts_tokens(self) -> bool:
        """Whether the limit seems to be one of tokens, so that each call counts by its size."""
        return self.evidence > 0

    def rate_at(self, now: float) -> float:
        """Calls a minute as they have grown until then."""
        age = max(0.0, now - self.at) // GROWTH_STEP * GROWTH_STEP
        if self.trust == SEARCHING:
            return min(SEARCH_END, self.rate * math.exp2(min(age / SEARCH_DOUBLING, 30.0)))
        is_very_long = self.at - self.rejected_at > VERY_LONG_PAUSE * max(1.0, self.smallest)
        if self.trust == ROUGH and self.peak and (is_very_long or self.long_pause):
            return self._towards_peak(age)
        if self.trust < SETTLED:
            seconds = max(DOUBLING, DOUBLING_CALLS * MINUTE / self.rate)
            seconds *= FAIR_FACTOR if self.trust == FAIR else 1.0
            return self.rate * math.exp2(min(age / seconds, DOUBLINGS))
        minutes = age / MINUTE
        if self.at - self.rejected_at <= LONG_PAUSE:
            minutes *= min(MAX_SPEED, max(1.0, self.rate / SLOW_RATE))
        elif not self.is_window:
            minutes /= max(1.0, self.long_pause / SETTLED_PAUSE)
        return self.rate * min(MAX_GROWTH, 1 + 0.01 * minutes + 0.002 * minutes**3)

    def _towards_peak(self, age: float) -> float:
        """The rate after so many seconds: it doubles with each call, then slower, then slowly."""
        rate, fast = self.rate, DOUBLING_CALLS * MINUTE / DOUBLING
        near = max(rate, self.peak * NEAR_PEAK)
        if rate < (by_calls := min(fast, near)):
            per_second = math.log(2) / MINUTE / DOUBLING_CALLS
            seconds = (1 / rate - 1 / by_calls) / per_second
            if age < seconds:
                return 1 / (1 / rate - age * per_second)
            rate, age = by_calls, age - seconds
        seconds = DOUBLING * math.log2(near / rate)
        if age < seconds:
            return rate * math.exp2(age / DOUBLING)
        doublings = (age - seconds) / DOUBLING_AT_PEAK
        return near * math.exp2(min(doublings, DOUBLINGS))

    @property
    def numbers(self) -> dict[str, float]:
        """The estimate as a part of a model's state."""
        return {_PREFIX + name: float(value) for name, value in asdict(self).items()}

    @property
    def restart(self) -> dict[str, float]:
        """The same, and the end of all reservations that were made before."""
        return {**self.numbers, CALLS: self.at, CALLS_MADE: self.calls}


def read_estimate(state: Mapping[str, float], now: float) -> Estimate | None:
    """The estimate in a model's state, if it is younger than a day and its search is not over."""
    if now - state.get(AT, float("-inf")) > DAY:
        return None
    fields = {name: state.get(_PREFIX + name, 0.0) for name in Estimate.__struct_fields__}
    found = Estimate(**fields)
    if found.rate <= 0:
        return None
    if found.trust == SEARCHING and found.rate_at(now) >= SEARCH_END:
        has_others = found.at - state.get(OTHERS, float("-inf")) < MINUTE
        return found if has_others and now - found.at < COUNTED else None
    return found
