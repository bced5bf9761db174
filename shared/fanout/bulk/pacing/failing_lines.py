"""
Tells a line that fails by itself from an outage of its provider.

In an outage, all lines of a model fail, and are sent again until it is over. A poison line fails
while other lines succeed, and may not hold up its job.
"""

from __future__ import annotations

import math

from msgspec import Struct

POISON_RETRIES = 4
"""The failed retries after which a poison line fails. Retries in an outage do not count."""

POISON_SECONDS = 60.0
"""
Seconds after which a line also fails at the end of its job, when no line is left to be started.

Then only poison lines are left, so nothing succeeds any more. The line fails if more lines have
succeeded since its first failure than fail with it; if others succeeded during an attempt of it and
most of the last lines did; or if few lines are left of many.
"""

BLAME = 1.0
"""
The evidence against a line that suffices after `POISON_RETRIES`: a log-likelihood.

Each failure with a success started after it adds the logarithm of how rare failures are.
"""

FEW, MANY = 3, 10
"""So few failing lines are to blame themselves if so many times as many have succeeded."""

RECENT = 50.0
"""Lines of which the share that fails at first is known; older ones count less."""


class ModelOutcomes:
    """How the lines of one model fare: how many have succeeded, and how many are failing now."""

    def __init__(self) -> None:
        self.successes = 0
        self.failing = 0
        self.started = float("-inf")  # the last call that succeeded
        self._lines = 1.0
        self._share = 0.5  # of the lines fail at first

    def succeeded(self, started: float, *, is_first: bool = True) -> None:
        """Count a line whose successful call was started then; it `is_first` without a failure."""
        self.successes += 1
        self.started = max(self.started, started)
        if is_first:
            self._count(0.0)

    def failed(self) -> None:
        """Count a line's first failure."""
        self.failing += 1
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

    `cut` are those with a response that was cut.
    """

    outcomes: ModelOutcomes
    attempts: int = 0
    cut: int = 0
    seconds: float = 0.0
    _alone: int = 0
    _blame: float = 0.0
    _since: float = 0.0
    _began: float = 0.0
    _failed: float = 0.0
    _successes: int = 0

    def failed(self, began: float, now: float) -> None:
        """Count an attempt that was started at `began` and failed now."""
        if not self.attempts:
            self._since = now
            self._successes = self.outcomes.successes
            self.outcomes.failed()
        elif self.outcomes.started > self._began:  # since the attempt before
            self._alone += 1
            if self.outcomes.started >= self._failed:
                self._blame += self.outcomes.surprise
        self._began, self._failed = began, now
        self.attempts += 1
        self.seconds = now - self._since

    def is_poison(self, *, is_end: bool) -> bool:
        """Whether the line is to blame, not its provider; `is_end`: no line is left to start."""
        if self._alone >= POISON_RETRIES:
            return True
        if self.attempts <= POISON_RETRIES:
            return False
        if self._blame >= BLAME:
            return True
        outcomes = self.outcomes
        if self.seconds < POISON_SECONDS or not is_end:
            return False
        is_one_of_few = outcomes.failing <= FEW and outcomes.successes >= MANY * outcomes.failing
        is_odd = self._alone > 0 and outcomes.most_succeed
        since = outcomes.successes - self._successes
        return is_one_of_few or is_odd or since > outcomes.failing - 1

    def pause(self, seconds: float) -> float:
        """The pause, shortened so that the next attempt is not long after `POISON_SECONDS`."""
        left = POISON_SECONDS - self.seconds
        return min(seconds, left) if left > 0 and self.attempts >= POISON_RETRIES else seconds

    def close(self) -> None:
        """Count the line, which has failed, no longer among those that are failing."""
        self.outcomes.failing -= 1
