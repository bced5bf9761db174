"""
An estimate of a rate limit that is not stated, from the calls that were accepted between 429s.

After a 429 all workers pause and then go on at the estimated rate, which grows until the next 429.
A pause ends when the provider says, or else after attempts at growing intervals. What rejects calls
for longer than a bucket takes to refill is a window of a minute: its limit is the number of calls
that it accepted. The estimate is part of the model's rate limit state, so all workers share it, and
it counts the calls of all of them. Pure, time is an argument.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import asdict, replace

from ...providers.rate_limits import DAY, MINUTE

CALLS = "calls"
"""The kind of reservations at an estimated rate, and their key in the state."""

CALLS_MADE = "calls made"
"""The key of the number of calls that were reserved at estimated rates, of all workers."""

_PREFIX = "429 "
AT, REJECTED_AT = f"{_PREFIX}at", f"{_PREFIX}rejected_at"
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

FAIR_FACTOR = 6.0
"""How many times slower a fair estimate grows than a rough one."""

MAX_GROWTH = 8.0
"""A settled estimate grows slowly, up to so many times: the limit may have been raised."""

SLOWEST = 0.3
"""The part of that growth that a low estimate has at least; under 60 a minute it grows slower."""

GROWTH_STEP = 1.0
"""Seconds between two steps in which an estimate grows."""

MARGIN = 0.95
"""The part of the measured rate that is used after a 429."""

MIN_PAUSE, FIRST_PAUSE, MAX_PAUSE, PAUSE_GROWTH = 0.5, 2.0, 20.0, 3.0
"""
Seconds of a pause after a 429 that names none: the shortest and longest first one, the longest,
and the factor by which it grows if the next call is rejected, too.
"""

REFILLS = 1.2
"""The calls for which a bucket has room again after the first pause."""

ENOUGH = 3
"""Accepted calls that show a rate."""

TOLERANCE = 0.2
"""Seconds by which clocks may differ."""

IN_FLIGHT = 0.5
"""Seconds after the first rejected call in which others were started that are rejected, too."""

FIRST_CALLS = 1.9
"""Fewer calls after a pause than these are the rejected one alone: the pause was too short."""

LEAST_AFTER_LONG = 60.0
"""Calls a minute after a pause that is longer than a minute: it shows nothing of a minute."""

LEAST_PART = 0.4
"""
The part of a window's first measured limit that its real one is at least.

The first may be that of two windows.
"""

ROUNDING = 1.5
"""Seconds by which a `Retry-After` may be longer than the wait."""

WINDOW_REFILLS = 2.0
"""The calls for which a bucket would have had room again, after which it is a window."""


class Estimate(Struct, frozen=True):
    """
    `rate` calls a minute from the time `at` on, and how it came about.

    `trust` is one of the three above. When it was made, `calls` had been reserved by all workers,
    `minute` of them in the minute before the 429 at `rejected_at`. `is_window` is 1 if that was
    followed by rejections for longer than a bucket's. `pause` is the last one without a
    `Retry-After`.
    """

    rate: float
    at: float
    trust: float = SEARCHING
    calls: float = 0.0
    minute: float = 0.0
    rejected_at: float = 0.0
    is_window: float = 0.0
    pause: float = 0.0

    def rate_at(self, now: float) -> float:
        """Calls a minute as they have grown until then."""
        age = max(0.0, now - self.at) // GROWTH_STEP * GROWTH_STEP
        if self.trust == SEARCHING:
            return min(SEARCH_END, self.rate * math.exp2(min(age / SEARCH_DOUBLING, 30.0)))
        if self.trust < SETTLED:
            seconds = max(DOUBLING, DOUBLING_CALLS * MINUTE / self.rate)
            seconds *= FAIR_FACTOR if self.trust == FAIR else 1.0
            return self.rate * math.exp2(min(age / seconds, DOUBLINGS))
        minutes = age / MINUTE * min(1.0, max(SLOWEST, self.rate / MINUTE))
        return self.rate * min(MAX_GROWTH, 1 + 0.01 * minutes + 0.002 * minutes**3)

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


class Rejection(Struct, frozen=True):
    """A 429 that came at `now` to a call that was `started` then, with its `Retry-After`."""

    started: float
    now: float
    retry_after: float | None

    def after(
        self, known: Estimate | None, state: Mapping[str, float], own: int
    ) -> Estimate | None:
        """
        The estimate after it; `None` if it is no news.

        Without a `known` one, this worker has made `own` calls in the last minute, but for this.
        """
        if known is None:
            made = state.get(CALLS_MADE, 0.0)
            return self._estimate(own / 2, ROUGH, float(own), made, is_first=True)
        if self.started < known.at - TOLERANCE:
            return self._in_flight(known)
        made = self._calls_made(known, state)
        since = (self.now - self.started) * known.rate_at(self.now) / MINUTE
        if known.rejected_at and made - since - known.calls < FIRST_CALLS:
            return self._rejected_again(known, made)
        return self._next(known, max(1.0, made - known.calls - 1), made)

    def _calls_made(self, known: Estimate, state: Mapping[str, float]) -> float:
        """The calls that have been started until now."""
        ahead = max(0.0, state.get(CALLS, 0.0) - self.now)
        return state.get(CALLS_MADE, 0.0) - ahead * known.rate_at(self.now) / MINUTE

    @property
    def _stated_rate(self) -> float:
        """The rate of a provider that asks for a part of a second; whole ones may be rounded."""
        return MINUTE / self.retry_after if self.retry_after and self.retry_after < 1 else 0.0

    def _in_flight(self, known: Estimate) -> Estimate | None:
        """The estimate after another 429 to a call that was in flight at the first one."""
        if abs(self.started - known.rejected_at) > IN_FLIGHT or known.minute <= 1:
            return None  # an attempt after it, or an old call
        minute = known.minute - 1
        rate = minute * MARGIN if known.is_window else known.rate
        return replace(known, rate=max(1.0, rate), minute=minute)

    def _next(self, known: Estimate, accepted: float, made: float) -> Estimate:
        """The estimate after so many calls were accepted since the last pause."""
        seconds = max(0.1, self.started - known.at)
        before = known.minute * max(0.0, 1 - seconds / MINUTE)
        if known.trust == SEARCHING:
            minute = accepted + before
            rate = minute * MINUTE / (MINUTE + seconds)
            return self._estimate(rate, ROUGH, minute, made, is_first=True)
        rate = known.rate_at(self.started)
        if known.is_window:
            if seconds < MINUTE and accepted < LEAST_PART * known.minute:
                return self._rejected_again(known, made)  # room for a few of a sliding window
            if seconds < MINUTE:
                end = known.at + MINUTE - self.now  # of the window that began before `at`
                return self._estimate(
                    accepted * MARGIN, SETTLED, accepted, made, is_window=1.0, pause=end
                )
            measured = accepted * MINUTE / seconds
        else:  # a bucket was empty at both 429s
            measured = accepted * MINUTE / (self.started - known.rejected_at)
        minute = measured if seconds >= MINUTE else accepted + before
        trust = SETTLED
        if accepted < ENOUGH:
            measured, trust = min(measured, rate), max(FAIR, known.trust)
        if measured < rate / 2:  # a small bucket was full for a while
            measured, trust = rate / 2, max(FAIR, known.trust)
        return self._estimate(min(measured, rate) * MARGIN, trust, minute, made)

    def _estimate(
        self,
        rate: float,
        trust: float,
        minute: float,
        made: float,
        *,
        is_window: float = 0.0,
        pause: float = 0.0,
        is_first: bool = False,
    ) -> Estimate:
        """An estimate that begins after a pause."""
        rate = max(1.0, rate)
        first = min(FIRST_PAUSE, max(MIN_PAUSE, REFILLS * MINUTE / max(rate, minute)))
        wait = self.retry_after or max(pause, first)
        if is_first:  # if the next call is accepted, a bucket had room for it
            rate = max(rate, MINUTE / (wait + self.now - self.started))
        found = Estimate(rate, self.now + wait, trust, made, minute, self.started, is_window, first)
        if self.retry_after:
            return self._if_window(found, self.retry_after - ROUNDING)
        return found

    def _rejected_again(self, known: Estimate, made: float) -> Estimate:
        """The estimate after another pause."""
        pause = min(MAX_PAUSE, known.pause * PAUSE_GROWTH)
        at = self.now + (self.retry_after or pause)
        rate = known.rate
        if known.trust == ROUGH:
            shown = max(known.minute / 2, MINUTE / (at - known.rejected_at))
            rate = min(rate, max(shown, self._stated_rate))
        found = replace(known, rate=rate, at=at, calls=made, pause=pause)
        return self._if_window(found, self.started - known.rejected_at)

    @staticmethod
    def _if_window(found: Estimate, rejected: float) -> Estimate:
        """The estimate of a window, if calls were rejected for longer than a bucket's refill."""
        if rejected > MINUTE + ROUNDING:  # no limit of a minute
            return replace(found, rate=max(found.rate, LEAST_AFTER_LONG))
        if found.is_window or found.minute * rejected < WINDOW_REFILLS * MINUTE:
            return found
        return replace(found, rate=found.minute * MARGIN, trust=SETTLED, is_window=1.0)


COUNT_SECONDS = 0.05
"""Seconds in which calls count as started together, so that the memory for them is bounded."""


class OwnCalls:
    """When one worker started its calls of a model in the last minute."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._counts: deque[int] = deque()

    def started(self, now: float) -> None:
        """Note a call."""
        times, counts = self._times, self._counts
        if times and now - times[-1] < COUNT_SECONDS:
            counts[-1] += 1
            return
        times.append(now)
        counts.append(1)
        while times[0] < now - MINUTE:
            times.popleft()
            counts.popleft()

    def recent(self, now: float, seconds: float = MINUTE) -> int:
        """How many calls were started in so many seconds."""
        since = now - seconds
        pairs = zip(self._times, self._counts, strict=True)
        return sum(count for time, count in pairs if time >= since)
