"""
When a native batch is given up, so that its lines can still be sent in real time. Pure.

Times are in seconds since 1970, durations in seconds.
"""

from __future__ import annotations

from msgspec import Struct

from ...providers.native_batch import Limits

FETCH = 120.0
"""Seconds to fetch the rows of a batch that has ended, and to merge them."""

MARGIN = 600.0
"""Seconds that are left over when all goes as expected."""

FACTOR = 1.5
"""By how much longer the lines may take in real time than they are expected to."""

RUN = 0.5
"""The part of a provider's usual window that a batch has at least before it is given up."""

LEAST_RUN = 1800.0
"""Seconds for which a batch may run at least; a shorter one is not worth its creation."""

LONGEST_RUN = 46 * 3600.0
"""
Seconds after which a batch is cancelled in any case.

Vendors aim at 24 hours. After 48, Gemini's batches expire without any row.
"""


class Deadline(Struct, frozen=True):
    """A job's end, and how long its lines that are at providers would take in real time."""

    at: float
    realtime: float

    def give_up_at(self, drain: float) -> float:
        """When a batch is to be cancelled that needs `drain` seconds for it."""
        return self.at - (drain + FETCH + self.realtime * FACTOR + MARGIN)

    def leaves_time(self, now: float, limits: Limits) -> bool:
        """Whether a batch that is created now has the time that is worth its creation."""
        return self.give_up_at(limits.drain) - now >= limits.window * RUN

    def end_at(self, opened_at: float, limits: Limits, *, may_follow: bool) -> float:
        """
        When a batch that was opened at a time is to be cancelled.

        If another one `may_follow` with the lines that it leaves, it is so early that this one has
        time, unless the first one has less time then. A batch may be stuck, and its counters do not
        tell.
        """
        end = self.give_up_at(limits.drain)
        before = end - limits.window - limits.drain - FETCH - MARGIN
        if may_follow and before - opened_at >= limits.window:
            end = before
        return min(end, opened_at + LONGEST_RUN)

    @property
    def hedge_at(self) -> float:
        """When lines are sent in real time although their batch has not ended."""
        return self.at - (self.realtime * FACTOR + MARGIN / 2)


def most_realtime(now: float, deadline: float, window: float, drain: float) -> float:
    """
    How long the lines that wait for batches from `now` on may take in real time.

    A batch has `window` seconds before it is given up.
    """
    left = deadline - now - window - drain - FETCH - MARGIN
    return max(0.0, left / FACTOR)
