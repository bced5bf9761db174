"""
Decides whether to retry, and how long to wait before. Pure.

The wait is the provider's `Retry-After`, else exponential backoff with full jitter, as in AWS's
"Exponential Backoff And Jitter". The base and the cap are the OpenAI SDK's.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ..errors import ProviderError


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
