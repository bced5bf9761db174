"""
What a 429 says that is followed by a long pause: the limit may be one of a minute or of seconds.

Some providers reject all calls for half a minute after too many in a second. So a rate limit of
seconds is found by the rate just before the 429, not by the calls of the last minute. Pure.
"""

from __future__ import annotations

from ...providers.rate_limits import MINUTE
from .estimated_limit import SETTLED, Estimate

FIRST_BURST, BURST_GROWTH = 0.5, 4.0
"""
Seconds' worth of calls that a limit of seconds accepts at once, before that is known.

By the factor it is more, if an estimate was too high.
"""

LONG_RUN = 30.0
"""Seconds for which calls are accepted at a rate that is right, at least."""

MORE, MORE_CALLS = 1.3, 3.0
"""So many times as many calls as before the first 429, and so many more, exceed its limit."""

LEAST_USE = 0.5
"""The part of an allowed rate that calls use at least, if it says anything of their rate."""

HALF_CALL = 0.5
"""Only whole calls are accepted, so that on average half a one more would have been."""

PEAK_OF_MEAN = 4.0
"""So many times the mean rate before the first 429 may be that of the last second."""


def rate_and_burst(
    known: Estimate, started: float, accepted: float, measured: float
) -> tuple[float, float]:
    """
    The rate after a 429 to a call that `started` then, if the limit may be one of seconds.

    So many calls were `accepted` since the last pause. The `measured` rate is that of a bucket that
    was empty at its beginning. Also the `burst` of the estimate.
    """
    burst = known.burst or FIRST_BURST
    pause = known.at - known.rejected_at
    was_high = known.trust == SETTLED and started - known.at < max(pause, LONG_RUN)
    if was_high:  # or else the limit accepts more at once
        burst = min(pause, burst * BURST_GROWTH)
    is_sure = known.burst or was_high or accepted > known.minute * MORE + MORE_CALLS
    return max(measured, reached(known, started, accepted, burst)), burst if is_sure else 0.0


def reached(known: Estimate, started: float, accepted: float, burst: float) -> float:
    """
    The highest rate that the accepted calls show, if so many seconds' worth come at once.

    It is that of the last seconds before the 429, since the rate has grown until then. It is 0 if
    the calls did not use what was allowed.
    """
    seconds = min(MINUTE, max(1.0, started - known.at))
    made = found = 0.0
    for age in range(int(seconds)):
        made += known.rate_at(started - age - 0.5) / MINUTE
        found = max(found, (made + HALF_CALL) / (age + 1 + burst))
    used = used_part(known, started, accepted)
    return found * MINUTE * min(1.0, used) if used > LEAST_USE else 0.0


def used_part(known: Estimate, started: float, accepted: float) -> float:
    """The part of the allowed calls since the last pause that were made: jobs may have few."""
    seconds = max(1.0, started - known.at)
    steps = int(min(MINUTE, seconds))
    rates = [known.rate_at(started - seconds * (step + 0.5) / steps) for step in range(steps)]
    return accepted * MINUTE / (sum(rates) / steps * seconds)


def peak_of(known: Estimate, started: float, accepted: float, own: float) -> float:
    """Calls a minute of all workers before the first 429; this worker made `own` at last."""
    mean = accepted * MINUTE / max(0.1, started - known.at)
    return min(known.rate_at(started), max(own, mean * PEAK_OF_MEAN))


def ends_window(began: float, at: float, tolerance: float) -> bool:
    """Whether windows of a minute may begin and end then."""
    seconds = at - began
    return abs(seconds - MINUTE * max(1, round(seconds / MINUTE))) <= tolerance
