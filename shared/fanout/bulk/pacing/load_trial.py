"""
Whether calls fail because too many are in flight, or at any concurrency.

A server with too many calls rejects fewer of them when fewer are in flight. Lines that fail by
themselves fail as often as before. So the concurrency is lowered for a trial, and a sequential
probability ratio test (Wald, 1945) compares the two. Only the first call of each line counts: how
often a line that fails is sent again says nothing of the load. Pure.
"""

from __future__ import annotations

import math

from msgspec import Struct

SURE = 3.0
"""The log-likelihood ratio that decides a trial: a mistake in 20."""

LEAST_SHARE = 0.01
"""Of calls that fail even if the load is low; a few always do."""

LEAST_FALL = 0.3
"""The part of the failures that may be left if the load was the cause: it may still be too high."""

MANY = 0.05
"""The part of the calls that a provider with too many calls rejects at least."""

MAJORITY = 0.6
"""If more of the calls fail, the load is taken for the cause: a trial would show little."""


class FirstCalls(Struct, eq=False):
    """
    How many lines were sent for the first time at one concurrency, and how many failed.

    `full` is how many of them the provider rejected because it had too many calls.
    """

    started: int = 0
    ended: int = 0
    failed: int = 0
    full: int = 0

    @property
    def show_load(self) -> bool:
        """Whether the provider says that the load is the cause of most failures, and of many."""
        return self.full > 1 and 2 * self.full > self.failed and self.full > MANY * self.started

    @property
    def share(self) -> float:
        """The part that failed; a call in flight may still succeed, and failures come early."""
        return self.failed / max(1, self.started)

    def halve(self) -> None:
        """Let the calls so far count less."""
        self.started -= self.ended // 2
        self.failed //= 2
        self.full //= 2
        self.ended -= self.ended // 2


class LoadTrial(Struct, frozen=True):
    """
    A trial at the `lower` of two concurrencies, after these calls `before` at the `higher` one.

    A `known` share of the calls fails at any load. `limit` is the limit before the trial.
    """

    limit: float
    higher: float
    lower: float
    before: FirstCalls
    known: float

    def is_load(self, calls: FirstCalls) -> bool | None:
        """Whether the load was the cause, after these calls of the trial; `None` if unsure."""
        before = self.before
        if before.failed > MAJORITY * before.started:
            return True
        if before.ended < before.started:
            return None
        share = min(before.share, 0.99)
        accepted = (1 - share) * int(self.higher) / int(self.lower)
        by_load = max(self.known, 1 - accepted, LEAST_SHARE, share * LEAST_FALL)
        by_load = min(by_load, share * 0.9)
        for_failure = math.log(share / by_load)
        for_success = math.log((1 - share) / (1 - by_load))
        certain = calls.failed * for_failure + (calls.ended - calls.failed) * for_success
        if certain < -SURE:
            return True
        possible = calls.failed * for_failure + (calls.started - calls.failed) * for_success
        return False if possible > SURE else None
