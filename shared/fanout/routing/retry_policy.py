"""
Decides whether to retry, and how long to wait before. Pure.

The wait is the provider's `Retry-After`, else exponential backoff with full jitter, as in AWS's
"Exponential Backoff And Jitter". The base and the cap are the OpenAI SDK's.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ..errors import MissingKey, ProviderError, Unsupported

MAX_PAUSE = 600.0
"""Seconds; if a provider asks for a longer pause, the request fails at once."""


class RetryPolicy(Struct, frozen=True):
    """
    `rng` returns numbers in [0, 1), like `random.random`; the others are in seconds.

    No wait is shorter than `least`, except a provider's own.
    """

    rng: Callable[[], float]
    base: float = 0.5
    cap: float = 8.0
    least: float = 0.0

    def delay(self, round_number: int, error: Exception) -> float:
        """Seconds to wait after round `round_number` (the first is 0)."""
        if isinstance(error, ProviderError) and error.retry_after is not None:
            return error.retry_after
        ceiling: float = min(self.cap, self.base * 2.0 ** min(round_number, 64))
        return max(self.least, ceiling * self.rng())


def is_retryable(error: Exception) -> bool:
    """Whether the same deployment may succeed if it is called again."""
    return isinstance(error, ProviderError) and error.is_retryable


def retries_after(error: Exception, planned: int | None, given: int) -> tuple[int, bool]:
    """
    How many retries there are after an error, and whether its deployment gets one of them.

    `planned` is what a policy says for this error, if it does; otherwise `given` counts.
    """
    return (given, is_retryable(error)) if planned is None else (planned, planned > 0)


class Failures(Struct):
    """
    The failed attempts of a leg, and what follows from them.

    There are `number` deployments. `failed` are those that have failed in this round. `pause` are
    the seconds before the next attempt, `None` if another deployment is called at once.
    """

    policy: RetryPolicy
    number: int
    deadline: float | None
    failed: frozenset[str] = frozenset()
    not_retryable: frozenset[str] = frozenset()
    attempts: int = 0
    rounds: int = 0
    pause: float | None = None

    @property
    def avoided(self) -> frozenset[str]:
        """The ids of the deployments that the next attempt does not call."""
        return self.failed | self.not_retryable

    def add(
        self,
        error: ProviderError | MissingKey | Unsupported,
        deployment: str,
        planned: int | None,
        given: int,
        now: float,
    ) -> bool:
        """Add a deployment's failure; whether there is another attempt. See `retries_after`."""
        self.pause = None
        if error.is_final and not planned:
            return False
        self.attempts += 1
        retries, may_succeed = retries_after(error, planned, given)
        if may_succeed:
            self.failed |= {deployment}
        else:
            self.not_retryable |= {deployment}
        if self.attempts >= max(retries + 1, self.number) or len(self.not_retryable) == self.number:
            return False
        if len(self.avoided) < self.number:
            return True
        pause = self.policy.delay(self.rounds, error)
        self.pause, self.failed = pause, frozenset()
        self.rounds += 1
        is_late = self.deadline is not None and now + pause >= self.deadline
        return not is_late and pause <= MAX_PAUSE
