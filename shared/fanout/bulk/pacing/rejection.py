"""
What a 429 says of a rate limit that is not stated: the next estimate of it.

Pure, time is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from ...providers.rate_limits import MINUTE
from .estimated_limit import CALLS, CALLS_MADE, FAIR, ROUGH, SEARCHING, SETTLED, Estimate

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

FIRST_CALLS = 0.9
"""Fewer accepted calls after a pause than these are none: the pause was too short."""

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


KEPT_OF_TOKENS = 0.9
"""The part of an estimate of tokens that is kept: a large call may exceed less than the limit."""

PRIOR = -0.5
"""The evidence before the first 429: limits of calls are more usual."""

MAX_EVIDENCE = 2.0
"""The evidence at most, either way, so that three or four 429s change it."""


class Rejection(Struct, frozen=True):
    """
    A 429 that came at `now` to a call that was `started` then, with its `Retry-After`.

    The call was of that `size`, 1 for the worker's mean call, or if the size does not matter.
    """

    started: float
    now: float
    retry_after: float | None
    size: float = 1.0

    def after(
        self, known: Estimate | None, state: Mapping[str, float], own: int
    ) -> Estimate | None:
        """
        The estimate after it; `None` if it is no news.

        Without a `known` one, this worker has made `own` calls in the last minute, but for this.
        """
        if known is None:
            made = state.get(CALLS_MADE, 0.0)
            first = Estimate(own / 2, 0.0, ROUGH, made, minute=float(own))
            return self._with_evidence(self._first(first), first)
        if self.started < known.at - TOLERANCE:
            return self._in_flight(known)
        made, weight = self._calls_made(known, state), self._weight(known)
        since = (self.now - self.started) * known.rate_at(self.now) / MINUTE
        if known.rejected_at and made - since - known.calls - weight < FIRST_CALLS:
            return self._rejected_again(known, made)
        # What was left of a limit of tokens may have been almost as much as the rejected call.
        accepted = max(1.0, made - known.calls - weight) + max(0.0, weight - 1)
        return self._with_evidence(self._next(known, accepted, made), known)

    def _with_evidence(self, found: Estimate, known: Estimate) -> Estimate:
        """
        The estimate, with the evidence whether the limit is one of tokens.

        The call that exceeds such a limit is of any size with a probability in proportion to that
        size. So the evidence is a log-likelihood ratio.
        """
        before = known.evidence if known.rejected_at else PRIOR
        evidence = _bounded(before + math.log(self.size))
        return replace(found, evidence=evidence, smallest=self.size)

    def _weight(self, known: Estimate) -> float:
        """As how many calls the rejected one counts."""
        return self.size if known.counts_tokens else 1.0

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
        found = replace(known, rate=max(1.0, rate), minute=minute)
        if self.size >= known.smallest:
            return found
        # A limit of tokens has no room for the smallest of the rejected calls.
        evidence = _bounded(known.evidence + math.log(self.size / known.smallest))
        return replace(found, evidence=evidence, smallest=self.size)

    def _next(self, known: Estimate, accepted: float, made: float) -> Estimate:
        """The estimate after so many calls were accepted since the last pause."""
        seconds = max(0.1, self.started - known.at)
        before = known.minute * max(0.0, 1 - seconds / MINUTE)
        if known.trust == SEARCHING:
            minute = accepted + before
            rate = minute * MINUTE / (MINUTE + seconds)
            return self._first(replace(known, rate=rate, trust=ROUGH, calls=made, minute=minute))
        rate = known.rate_at(self.started)
        if known.is_window:
            if seconds < MINUTE and accepted < LEAST_PART * known.minute:
                if self.started - known.rejected_at <= MINUTE + ROUNDING:
                    return self._rejected_again(known, made)  # room for a few of a sliding window
                return self._next(replace(known, is_window=0.0), accepted, made)
            if seconds < MINUTE:
                if known.counts_tokens:
                    accepted = max(accepted, rate * KEPT_OF_TOKENS)
                end = known.at + MINUTE - self.now  # of the window that began before `at`
                rate = accepted * MARGIN
                return self._paused(
                    replace(known, rate=rate, trust=SETTLED, calls=made, minute=accepted), end
                )
            measured = accepted * MINUTE / seconds
        else:  # a bucket was empty at both 429s
            whole = min(self.started - known.rejected_at, seconds + known.pause)
            measured = accepted * MINUTE / whole
        minute = measured if seconds >= MINUTE else accepted + before
        trust = SETTLED
        if accepted < ENOUGH and known.trust == SETTLED:
            measured = rate
        elif accepted < ENOUGH:
            measured, trust = min(measured, rate), FAIR
        if measured < rate / 2:  # a small bucket was full for a while
            measured, trust = rate / 2, max(FAIR, known.trust)
        rate = min(measured, rate) * MARGIN
        return self._paused(
            replace(known, rate=rate, trust=trust, calls=made, minute=minute, is_window=0.0)
        )

    def _first(self, found: Estimate) -> Estimate:
        """The first estimate: if the next call is accepted, a bucket had room for it."""
        paused = self._paused(found)
        if paused.is_window:
            return paused
        shown = MINUTE / (paused.at - self.started)
        return replace(paused, rate=max(paused.rate, shown))

    def _paused(self, found: Estimate, least: float = 0.0) -> Estimate:
        """An estimate that begins after a pause of at `least` so many seconds."""
        rate = max(1.0, found.rate)
        refill = REFILLS * max(1.0, self._weight(found)) * MINUTE / max(rate, found.minute)
        pause = min(FIRST_PAUSE, max(MIN_PAUSE, refill))
        at = self.now + (self.retry_after or max(least, pause))
        found = replace(found, rate=rate, at=at, rejected_at=self.started, pause=pause)
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

    def _if_window(self, found: Estimate, rejected: float) -> Estimate:
        """The estimate of a window, if calls were rejected for longer than a bucket's refill."""
        if rejected > MINUTE + ROUNDING:  # no limit of a minute
            return replace(found, rate=max(found.rate, LEAST_AFTER_LONG))
        refills = WINDOW_REFILLS * max(1.0, self._weight(found))
        if found.is_window or found.minute * rejected < refills * MINUTE:
            return found
        return replace(found, rate=found.minute * MARGIN, trust=SETTLED, is_window=1.0)


def _bounded(evidence: float) -> float:
    return max(-MAX_EVIDENCE, min(MAX_EVIDENCE, evidence))
