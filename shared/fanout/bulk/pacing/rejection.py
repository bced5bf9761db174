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
from .estimated_limit import (
    CALLS,
    CALLS_MADE,
    FAIR,
    LONG_PAUSE,
    ROUGH,
    SEARCHING,
    SETTLED,
    Estimate,
)
from .long_pauses import LEAST_USE, ends_window, peak_of, rate_and_burst, used_part

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

SURE, SURE_SECONDS, NEAR = 12, 5.0, 0.8
"""
Accepted calls, or seconds, that surely show a rate, and the part of the known one that fewer show.
"""

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

UNTRUE = 2.5
"""If calls are rejected for so many times a `Retry-After` of whole seconds, it is too short."""

WINDOW_REFILLS = 2.0
"""The calls for which a bucket would have had room again, after which it is a window."""

LEAST_OF_PEAK = 0.1
"""The part of the rate before the first 429 with which calls go on after a long pause."""

KEPT_OF_TOKENS = 0.9
"""The part of an estimate of tokens that is kept: a large call may exceed less than the limit."""

PRIOR, LONG_PRIOR, LONG_PART = -0.5, -1.0, 0.5
"""
The evidence before the first 429: limits of calls are more usual.

A mistake costs a long pause, if there is one: then the prior is lower, and a 429 counts less.
"""

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
        self, known: Estimate | None, state: Mapping[str, float], own: int, peak: float = 0.0
    ) -> Estimate | None:
        """
        The estimate after it; `None` if it is no news.

        Without a `known` one, this worker has made `own` calls in the last minute, but for this,
        and `peak` calls a minute in the last second.
        """
        if known is None:
            made = state.get(CALLS_MADE, 0.0)
            first = Estimate(own / 2, 0.0, ROUGH, made, minute=float(own), peak=peak)
            return self._with_evidence(self._first(first), first)
        if self.started < known.at - TOLERANCE:
            return self._in_flight(known)
        made, weight = self._calls_made(known, state), self._weight(known)
        since = (self.now - self.started) * known.rate_at(self.now) / MINUTE
        if known.rejected_at and made - since - known.calls - weight < FIRST_CALLS:
            return self._rejected_again(known, made)
        # What was left of a limit of tokens may have been almost as much as the rejected call.
        accepted = max(1.0, made - known.calls - weight) + max(0.0, weight - 1)
        return self._with_evidence(self._next(known, accepted, made, peak), known)

    def _with_evidence(self, found: Estimate, known: Estimate) -> Estimate:
        """
        The estimate, with the evidence whether the limit is one of tokens.

        The call that exceeds such a limit is of any size with a probability in proportion to that
        size. So the evidence is a log-likelihood ratio.
        """
        is_long = found.at - self.now > LONG_PAUSE or known.burst > 0
        before = known.evidence if known.rejected_at else LONG_PRIOR if is_long else PRIOR
        evidence = _bounded(before + math.log(self.size) * (LONG_PART if is_long else 1.0))
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
        peak = max(0.0, known.peak - MINUTE)
        rate = minute * MARGIN if known.is_window else known.rate
        if known.trust == ROUGH and known.is_window:
            rate = max(rate, peak * LEAST_OF_PEAK)
        found = replace(known, rate=max(1.0, rate), minute=minute, peak=peak)
        if self.size >= known.smallest:
            return found
        # A limit of tokens has no room for the smallest of the rejected calls.
        evidence = _bounded(known.evidence + math.log(self.size / known.smallest))
        return replace(found, evidence=evidence, smallest=self.size)

    def _next(self, known: Estimate, accepted: float, made: float, peak: float = 0.0) -> Estimate:
        """The estimate after so many calls were accepted; `peak` as for `after`."""
        seconds = max(0.1, self.started - known.at)
        before = known.minute * max(0.0, 1 - seconds / MINUTE)
        if known.trust == SEARCHING:
            minute = accepted + before
            rate = minute * MINUTE / (MINUTE + seconds)
            peak = peak_of(known, self.started, accepted, peak)
            found = replace(known, rate=rate, trust=ROUGH, calls=made, minute=minute, peak=peak)
            return self._first(found)
        if known.is_window and known.trust == ROUGH:
            if accepted < LEAST_PART * known.minute and self._has_room_soon(known):
                return self._rejected_again(known, made)
            before = 0.0  # calls of a window that is over
        elif known.is_window:
            return self._next_in_window(known, accepted, made)
        # A bucket was empty at both 429s.
        burst, whole = known.burst, min(self.started - known.rejected_at, seconds + known.pause)
        measured = accepted * MINUTE / whole
        if known.long_pause_at(max(known.minute, accepted * MINUTE / max(seconds, whole / 2))):
            measured, burst = rate_and_burst(known, self.started, accepted, measured)
        minute = measured if seconds >= MINUTE else accepted + before
        found = replace(
            known, calls=made, minute=minute, is_window=0.0, began=known.at, burst=burst
        )
        return self._measured(found, known, accepted, measured)

    def _next_in_window(self, known: Estimate, accepted: float, made: float) -> Estimate:
        """The next estimate if the limit seems to be that of a window of a minute."""
        seconds = max(0.1, self.started - known.at)
        is_short = seconds < MINUTE and accepted < LEAST_PART * known.minute
        if is_short and self.started - known.rejected_at <= MINUTE + ROUNDING:
            return self._rejected_again(known, made)  # room for a few of a sliding window
        if is_short or self._is_penalty(known):
            return self._next(replace(known, is_window=0.0), accepted, made)
        if seconds >= MINUTE:
            measured = accepted * MINUTE / seconds
            found = replace(known, calls=made, minute=measured, is_window=0.0, began=known.at)
            return self._measured(found, known, accepted, measured)
        if known.counts_tokens:
            accepted = max(accepted, known.rate_at(self.started) * KEPT_OF_TOKENS)
        end = known.at + MINUTE - self.now  # of the window that began before `at`
        rate = accepted * MARGIN
        found = replace(known, rate=rate, trust=SETTLED, calls=made, minute=accepted)
        return self._paused(found, end)

    def _measured(
        self, found: Estimate, known: Estimate, accepted: float, measured: float
    ) -> Estimate:
        """The estimate that was `found`, at the measured rate, so far as that is to be trusted."""
        rate, trust = known.rate_at(self.started), SETTLED
        is_brief = self.started - known.at < SURE_SECONDS and accepted < SURE and not found.burst
        if accepted < ENOUGH and known.trust == SETTLED:
            measured = rate
        elif accepted < ENOUGH:
            measured, trust = min(measured, rate), FAIR
        elif is_brief and measured < rate * NEAR:
            trust = FAIR
        shows_little = self.started - known.at < SURE_SECONDS or accepted < SURE
        is_used = shows_little or used_part(known, self.started, accepted) > LEAST_USE
        if measured < rate / 2 and is_used:  # a small bucket was full for a while
            measured, trust = rate / 2, max(FAIR, known.trust)
        return self._paused(replace(found, rate=min(measured, rate) * MARGIN, trust=trust))

    def _is_penalty(self, known: Estimate) -> bool:
        """Whether the provider states a long pause that ends at no window's end."""
        if not self.retry_after or self.retry_after <= LONG_PAUSE:
            return False
        return not ends_window(known.at, self.now + self.retry_after, 2 * ROUNDING)

    def _has_room_soon(self, known: Estimate) -> bool:
        """Whether the calls of a sliding window are about to leave it one by one."""
        soon = not self.retry_after or self.retry_after < known.long_pause / 2
        return soon and self.started - known.rejected_at <= MINUTE + ROUNDING

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
        stated, rejected = self.retry_after or 0.0, self.started - known.rejected_at
        if known.is_window and 1 <= stated < rejected / UNTRUE:
            stated = max(stated, known.pause)
        at = self.now + (stated or pause)
        rate = known.rate
        if known.trust == ROUGH and not known.is_window:
            shown = max(known.minute / 2, MINUTE / (at - known.rejected_at))
            rate = min(rate, max(shown, self._stated_rate))
        found = replace(known, rate=rate, at=at, calls=made, pause=pause)
        return self._if_window(found, rejected)

    def _if_window(self, found: Estimate, rejected: float) -> Estimate:
        """The estimate of a window, if calls were rejected for longer than a bucket's refill."""
        if rejected > MINUTE + ROUNDING:  # no limit of a minute
            return replace(found, rate=max(found.rate, LEAST_AFTER_LONG))
        is_unstated = rejected > max(MAX_PAUSE, (self.retry_after or 0.0) + ROUNDING)
        is_first = found.trust == ROUGH and not is_unstated
        refills = WINDOW_REFILLS * max(1.0, self.size if is_first else self._weight(found))
        if found.is_window or found.burst or found.minute * rejected < refills * MINUTE:
            return found
        window = replace(found, rate=found.minute * MARGIN, is_window=1.0)
        if is_first:  # it may also be a limit of seconds
            return replace(window, rate=max(window.rate, found.peak * LEAST_OF_PEAK))
        if found.began and not self._ends_window(found):
            return found
        return replace(window, trust=SETTLED)

    def _ends_window(self, found: Estimate) -> bool:
        """Whether the calls before this pause may have been all that a window accepts."""
        if self.retry_after:
            return ends_window(found.began, found.at, 2 * ROUNDING)
        return found.at - found.began > MINUTE - MAX_PAUSE


def _bounded(evidence: float) -> float:
    return max(-MAX_EVIDENCE, min(MAX_EVIDENCE, evidence))
