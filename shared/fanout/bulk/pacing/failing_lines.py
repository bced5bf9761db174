"""
Tells a line that fails by itself from an outage of its provider.

In an outage, all lines of a model fail, and are sent again until it is over. A poison line fails
while other lines succeed, and may not hold up its job.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort

from msgspec import Struct

from .line_faults import Evidence

POISON_RETRIES = 4
"""The failed retries after which a poison line fails. Retries in an outage do not count."""

POISON_SECONDS = 60.0
"""
Seconds after which a line also fails at the end of its job, when no line is left to be started.

Then only poison lines are left, so nothing succeeds any more. The line fails if more lines have
succeeded that were started after it than fail with it; if others succeeded during an attempt of it
and most of the last lines did; or if few lines were started last. Lines that failed and succeed
later show that failures are a matter of chance: then none fails until nothing has succeeded for as
long, and for so many calls that `SUSPICION` is reached.
"""

BLOCK_SECONDS, BLOCK = 110.0, 9
"""
Seconds after which the lines at the end of a job fail together, and how much rarer they must be.

So many times as many lines must have succeeded, and the provider must have failed at each of them.
"""

FEW, MANY = 3, 10
"""So few lines that were started last are to blame if so many times as many have succeeded."""

BLAME = -math.log(1e-7)
"""
The evidence against a line that suffices after `POISON_RETRIES`: a log-likelihood.

Each failure with a success started after the attempt before adds the logarithm of how rare a
failure is then. So a line that fails by chance alone is blamed once in ten million lines.
"""

SUSPICION = -math.log(1e-3)
"""The evidence after which a line counts as poison for the estimate of how rare failures are."""

PRIOR_SHARE, PRIOR_CALLS = 0.1, 4.0
"""The share of the calls that fail, before any is sent; it counts as so many calls."""

RECENT = 50
"""Calls of which the share that fails is known; older ones count less."""

LEAST_SHARE = 0.01
"""Failures are never taken to be rarer than this."""

RECENT_LINES, PRIOR_LINES = 200, 5.0
"""Lines of which the poison part is known, and so many that were not poison before any is sent."""

MOST_POISON = 0.3
"""The part of the lines that is taken for poison at most: more failures are those of an outage."""

STARTS = 1000
"""Successful calls of which the start is known."""


class Mean(Struct, eq=False):
    """The mean of the last `recent` numbers, of which older ones count less."""

    weight: float
    value: float
    recent: int

    def add(self, number: float) -> None:
        """Count a number."""
        self.weight = min(self.recent, self.weight + 1)
        self.value += (number - self.value) / self.weight


class ModelOutcomes:
    """
    How the lines of one model fare: how many have succeeded, and when failing ones were started.

    Of a line that fails, only the first fault is counted until it succeeds: a poison line has many.
    What is left after the known part of poison lines is the rate at which a line fails by chance.
    It is rather too high than too low, so that an outage is not taken for poison lines.
    """

    def __init__(self) -> None:
        self.successes = 0
        self.failing: list[float] = []
        self.started = float("-inf")  # the last call that succeeded
        self.recovered = float("-inf")  # the last call that succeeded after faults of its line
        self.silence = 0.0  # how rare it is that so many retries in a row fail, as a logarithm
        self._failures = Mean(PRIOR_CALLS, PRIOR_SHARE, RECENT)
        self._poison = Mean(PRIOR_LINES, 0.0, RECENT_LINES)
        self._starts: list[float] = []

    def succeeded(self, started: float, *, faults: int = 0) -> None:
        """
        Count a line whose successful call was started then, after so many faults.

        A line that succeeds in the end shows that lines fail by chance.
        """
        self.successes += 1
        self.started = max(self.started, started)
        insort(self._starts, started)
        del self._starts[:-STARTS]
        self.silence = 0.0
        if faults:
            self.recovered = max(self.recovered, started)
        for _ in range(faults):
            self._failures.add(1.0)
        self._failures.add(0.0)
        self._poison.add(0.0)

    def failed(self) -> None:
        """Count a line's first fault."""
        self._failures.add(1.0)

    def is_poison(self) -> None:
        """Count a line that seems to fail at any time."""
        self._poison.add(1.0)

    def succeeded_since(self, time: float) -> int:
        """How many calls were started since that time and have succeeded, `STARTS` at most."""
        return len(self._starts) - bisect_left(self._starts, time)

    @property
    def last_failing(self) -> int:
        """How many failing lines were started after each call that has succeeded."""
        return len(self.failing) - bisect_right(self.failing, self.started)

    @property
    def most_succeed(self) -> bool:
        """Whether most of the last calls succeeded."""
        return self._failures.value < 1 / 2

    @property
    def surprise(self) -> float:
        """How rare it is now that a line fails that is not poison, as a logarithm."""
        poison = min(MOST_POISON, self._poison.value)
        by_chance = (self._failures.value - poison) / (1 - poison)
        return -math.log(max(LEAST_SHARE, by_chance))


class FailingLine(Struct, eq=False):
    """
    The failed attempts of one line; times are seconds by any one clock.

    `faults` are those that are evidence against the line, `cut` those with a response that was cut.
    `seconds` are those since the first failure in which it did not wait for others.
    """

    outcomes: ModelOutcomes
    attempts: int = 0
    faults: int = 0
    cut: int = 0
    seconds: float = 0.0
    _strong: int = 0
    _alone: int = 0
    _blame: float = 0.0
    _first: float = 0.0
    _since: float = 0.0
    _began: float = 0.0
    _now: float = 0.0
    _waited: float = 0.0

    def failed(self, began: float, now: float, evidence: Evidence) -> None:
        """Count an attempt that was started at `began` and failed now, with such an error."""
        is_fault = evidence != "none"
        if not self.attempts:
            self._first, self._since = began, now
            insort(self.outcomes.failing, began)
        elif is_fault:
            self._failed_again()
        if is_fault and not self.faults:
            self.outcomes.failed()
        self._began, self._now = began, now
        self.attempts += 1
        self.faults += is_fault
        self._strong += evidence == "strong"
        self.seconds = now - self._since - self._waited

    def _failed_again(self) -> None:
        surprise = self.outcomes.surprise
        self.outcomes.silence += surprise
        if self.outcomes.started > self._began:  # since the attempt before
            self._alone += 1
            self._blame += surprise
            if self._blame - surprise < SUSPICION <= self._blame:
                self.outcomes.is_poison()

    def waited(self, seconds: float) -> None:
        """Do not count seconds in which the line waited until other lines were done."""
        self._waited += max(0.0, seconds)

    def is_poison(self, *, is_end: bool) -> bool:
        """Whether the line is to blame, not its provider; `is_end`: no line is left to start."""
        if self.faults <= POISON_RETRIES:
            return False
        return self._blame >= BLAME or (is_end and self._is_left_over())

    def _is_left_over(self) -> bool:
        """Whether the line is one of those that are left because they always fail."""
        outcomes = self.outcomes
        if self.seconds < POISON_SECONDS:
            return False
        if outcomes.recovered > self._since and outcomes.silence < SUSPICION:
            return False  # lines that failed succeed by chance
        if self._now - outcomes.recovered < POISON_SECONDS:
            return False  # lines that failed succeed now
        is_odd = self._alone > 0 and outcomes.most_succeed
        count = len(outcomes.failing)
        if is_odd or outcomes.succeeded_since(self._first) > count - 1:
            return True
        if outcomes.last_failing <= FEW:
            return outcomes.successes >= MANY * FEW
        is_rare = outcomes.successes >= BLOCK * count
        return is_rare and self._strong == self.attempts and self.seconds >= BLOCK_SECONDS

    def pause(self, seconds: float) -> float:
        """The pause, shortened so that the next attempt is not long after `POISON_SECONDS`."""
        left = POISON_SECONDS - self.seconds
        return min(seconds, left) if left > 0 and self.attempts >= POISON_RETRIES else seconds

    def close(self) -> None:
        """Count the line, which has failed, no longer among those that are failing."""
        self.outcomes.failing.remove(self._first)
