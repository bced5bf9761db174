"""
When to try again, and how long to wait first. Pure: errors and numbers in, numbers out.

Full jitter, as AWS's "Exponential Backoff And Jitter" recommends; a provider's own `Retry-After`
rules where it gives one. The base and the cap are the OpenAI SDK's.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ..errors import ProviderError


class Retry(Struct, frozen=True):
    """`draw` is a number in [0, 1): `random.random`, or a constant in a test."""

    draw: Callable[[], float]
    base: float = 0.5
    cap: float = 8.0

    def delay(self, round_number: int, error: Exception) -> float:
        """Seconds to wait before the round after `round_number` (the first is 0)."""
        if isinstance(error, ProviderError) and error.retry_after is not None:
            return error.retry_after
        ceiling: float = min(self.cap, self.base * 2.0 ** min(round_number, 64))
        return ceiling * self.draw()


def is_retryable(error: Exception) -> bool:
    """Whether the same deployment may answer if it is asked again."""
    return isinstance(error, ProviderError) and error.is_retryable
