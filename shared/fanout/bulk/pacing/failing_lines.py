"""
Tells a line that fails by itself from an outage of its provider.

In an outage, all lines of a model fail, and are sent again until it is over. A poison line fails
while other lines succeed, and may not hold up its job.
"""

from __future__ import annotations

from msgspec import Struct

POISON_RETRIES = 4
"""The failed retries after which a poison line fails. Retries in an outage do not count."""

POISON_SECONDS = 60.0
"""
Seconds after which a line also fails if no other line has succeeded since its last attempt.

At the end of a job, only poison lines are left, so nothing succeeds any more. Then the line fails
if more lines have succeeded since its first failure than fail with it.
"""


class ModelOutcomes:
    """How the lines of one model fare: how many have succeeded, and how many are failing now."""

    def __init__(self) -> None:
        self.successes = 0
        self.failing = 0
        self.started = float("-inf")  # the last call that succeeded

    def succeeded(self, started: float) -> None:
        """Count a line whose successful call was started then."""
        self.successes += 1
        self.started = max(self.started, started)


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
    _since: float = 0.0
    _began: float = 0.0
    _successes: int = 0

    def failed(self, began: float, now: float) -> None:
        """Count an attempt that was started at `began` and failed now."""
        if not self.attempts:
            self._since = now
            self._successes = self.outcomes.successes
            self.outcomes.failing += 1
        elif self.outcomes.started > self._began:  # since the attempt before
            self._alone += 1
        self._began = began
        self.attempts += 1
        self.seconds = now - self._since

    @property
    def is_poison(self) -> bool:
        """Whether the line is to blame and not its provider."""
        if self._alone >= POISON_RETRIES:
            return True
        if self.attempts <= POISON_RETRIES or self.seconds < POISON_SECONDS:
            return False
        return self.outcomes.successes - self._successes > self.outcomes.failing - 1

    def close(self) -> None:
        """Count the line, which has failed, no longer among those that are failing."""
        self.outcomes.failing -= 1
