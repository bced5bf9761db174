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
    """
    A job's end for a batch, as it is `now`.

    Its lines, those that are sent after it and those that no batch holds take `realtime` seconds in
    real time, all lines without a result take `whole`, and those that no batch holds are `ahead`
    seconds of it. These times have the turns of other jobs.
    """

    at: float
    realtime: float
    whole: float
    ahead: float
    now: float

    def give_up_at(self, drain: float) -> float:
        """When a batch is to be cancelled that needs `drain` seconds for it."""
        slack = drain + FETCH
        return self._turn_at(slack + MARGIN, slack + MARGIN / 2)

    def _turn_at(self, slack: float, before: float) -> float:
        """
        When the batch's lines are needed, with so much `slack`.

        While those ahead are sent, they are not, until shortly `before` the end of that. But if
        these wait for something else, the batch's own time is kept.
        """
        end = self.at - slack
        own = end - max(0.0, self.realtime - self.ahead) * FACTOR
        return min(own, max(end - self.realtime * FACTOR, self.now + self.ahead - before))

    def _latest(self, drain: float, realtime: float) -> float:
        return self.at - (drain + FETCH + realtime * FACTOR + MARGIN)

    def leaves_time(self, now: float, limits: Limits) -> bool:
        """
        Whether a batch that is created now has the time that is worth its creation.

        Until then, no line of the job has to be sent in real time.
        """
        return self._latest(limits.drain, self.whole) - now >= limits.window * RUN

    def end_at(self, opened_at: float, limits: Limits, *, may_follow: bool) -> float:
        """
        When a batch that was opened at a time is to be cancelled.

        If another one `may_follow` with the lines that it leaves, it is so early that this one has
        time, unless the first one has less time then. A batch may be stuck, and its counters do not
        tell.
        """
        end = self.give_up_at(limits.drain)
        first = self._latest(limits.drain, self.whole)
        before = first - limits.window - limits.drain - FETCH - MARGIN
        if may_follow and before - opened_at >= limits.window:
            end = before
        return min(end, opened_at + LONGEST_RUN)

    @property
    def hedge_at(self) -> float:
        """When lines are sent in real time although their batch has not ended."""
        return self._turn_at(MARGIN / 2, 0.0)


def most_realtime(now: float, deadline: float, window: float, drain: float) -> float:
    """
    How long the lines that wait for batches from `now` on may take in real time.

    A batch has `window` seconds before it is given up.
    """
    left = deadline - now - window - drain - FETCH - MARGIN
    return max(0.0, left / FACTOR)
