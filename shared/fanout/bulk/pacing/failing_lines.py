"""
Tells a line that fails by itself from an outage of its provider.

In an outage, all lines of a model fail, and are sent again until it is over. A poison line fails
while other lines succeed, and may not hold up its job.
"""

from __future__ import annotations

import math

from msgspec import Struct

from .line_faults import Evidence

POISON_RETRIES = 4
"""The failed retries after which a poison line fails. Retries in an outage do not count."""

POISON_SECONDS = 60.0
"""
Seconds after which a line also fails at the end of its job, when no line is left to be started.

Then only poison lines are left, so nothing succeeds any more. The line fails if more lines have
succeeded since its first failure than fail with it; if others succeeded during an attempt of it and
most of the last lines did; or if few lines are left of many. As long as lines that failed succeed
later, failures are a matter of chance.
"""

BLOCK_SECONDS, BLOCK = 110.0, 9
"""
Seconds after which the lines at the end of a job fail together, and how much rarer they must be.

So many times as many lines must have succeeded, and the provider must have failed at each of them.
"""

BLAME = 5.0
"""
The evidence against a line that suffices after `POISON_RETRIES`: a log-likelihood.

Each failure with a success started after the attempt before adds the logarithm of how rare
failures are: a line that fails by chance alone is blamed once in 150 times at most.
"""

FEW, MANY = 3, 10
"""So few failing lines are to blame themselves if so many times as many have succeeded."""

PRIOR_SHARE, PRIOR_LINES = 0.1, 4.0
"""The share of the lines that fail at first, before any is sent; it counts as so many lines."""

RECENT = 50.0
"""Lines of which the share that fails at first is known; older ones count less."""


class ModelOutcomes:
    """How the lines of one model fare: how many have succeeded, and how many are failing now."""

    def __init__(self) -> None:
        self.successes = 0
        self.failing = 0
        self.started = float("-inf")  # the last call that succeeded
        self.recovered = float("-inf")  # the last call that succeeded after faults of its line
        self._lines = PRIOR_LINES
        self._share = PRIOR_SHARE  # of the lines fail at first

    def succeeded(self, started: float, *, faults: int = 0) -> None:
        """
        Count a line whose successful call was started then, after so many faults.

        A line that succeeds in the end shows that lines fail by chance.
        """
        self.successes += 1
        self.started = max(self.started, started)
        if faults:
            self.recovered = max(self.recovered, started)
        for _ in range(faults):
            self._count(1.0)
        self._count(0.0)

    def failed(self) -> None:
        """Count a line's first fault."""
        self._count(1.0)

    def _count(self, failure: float) -> None:
        self._lines = min(RECENT, self._lines + 1)
        self._share += (failure - self._share) / self._lines

    @property
    def most_succeed(self) -> bool:
        """Whether most of the last lines did not fail at first."""
        return self._share < 1 / 2

    @property
    def surprise(self) -> float:
        """How rare it is that a line fails, as a logarithm."""
        return -math.log(max(0.01, self._share))


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
    _since: float = 0.0
    _began: float = 0.0
    _now: float = 0.0
    _waited: float = 0.0
    _successes: int = 0

    def failed(self, began: float, now: float, evidence: Evidence) -> None:
        """Count an attempt that was started at `began` and failed now, with such an error."""
        is_fault = evidence != "none"
        if not self.attempts:
            self._since = now
            self._successes = self.outcomes.successes
            self.outcomes.failing += 1
        elif is_fault and self.outcomes.started > self._began:  # since the attempt before
            self._alone += 1
            self._blame += self.outcomes.surprise
        if is_fault and not self.faults:
            self.outcomes.failed()
        self._began, self._now = began, now
        self.attempts += 1
        self.faults += is_fault
        self._strong += evidence == "strong"
        self.seconds = now - self._since - self._waited

    def waited(self, seconds: float) -> None:
        """Do not count seconds in which the line waited until other lines were done."""
        self._waited += max(0.0, seconds)

    def is_poison(self, *, is_end: bool) -> bool:
        """Whether the line is to blame, not its provider; `is_end`: no line is left to start."""
        if self.faults <= POISON_RETRIES:
            return False
        if self._blame >= BLAME:
            return True
        return is_end and self.seconds >= POISON_SECONDS and self._is_left_over()

    def _is_left_over(self) -> bool:
        """Whether the line is one of those that are left because they always fail."""
        outcomes = self.outcomes
        if outcomes.failing <= FEW and outcomes.successes >= MANY * outcomes.failing:
            return True
        if self._now - outcomes.recovered < POISON_SECONDS:
            return False  # lines that failed succeed now
        is_odd = self._alone > 0 and outcomes.most_succeed
        since = outcomes.successes - self._successes
        if is_odd or since > outcomes.failing - 1:
            return True
        is_rare = outcomes.successes >= BLOCK * outcomes.failing
        return is_rare and self._strong == self.attempts and self.seconds >= BLOCK_SECONDS

    def pause(self, seconds: float) -> float:
        """The pause, shortened so that the next attempt is not long after `POISON_SECONDS`."""
        left = POISON_SECONDS - self.seconds
        return min(seconds, left) if left > 0 and self.attempts >= POISON_RETRIES else seconds

    def close(self) -> None:
        """Count the line, which has failed, no longer among those that are failing."""
        self.outcomes.failing -= 1
