"""A provider that enforces requests and tokens a minute, and twenty workers that call it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import partial

from fanout.bulk.pacing.limits import Limits
from fanout.bulk.pacing.rate_limit_state import RateLimitStore
from fanout.bulk.pacing.rate_limiter import RateLimiter
from tests.support.virtual_clock import now, run_threads_at_once

MINUTES = 3


class RateLimitedProvider:
    """Counts requests and tokens of the last sixty seconds, and rejects those over the limit."""

    def __init__(self, requests: int, tokens: int) -> None:
        self._limits = requests, tokens
        self._recent: deque[tuple[float, int]] = deque()
        self._recent_tokens = 0
        self.allowed = self.refused = self.tokens = 0

    def headers(self) -> dict[str, str]:
        """The `x-ratelimit-*` headers of a response that is sent now."""
        self._drop_old()
        used_by_kind = {"requests": len(self._recent), "tokens": self._recent_tokens}
        headers = {}
        for (kind, used), limit in zip(used_by_kind.items(), self._limits, strict=True):
            headers[f"x-ratelimit-limit-{kind}"] = str(limit)
            headers[f"x-ratelimit-remaining-{kind}"] = str(limit - used)
            headers[f"x-ratelimit-reset-{kind}"] = f"{60 * used / limit:.3f}s"
        return headers

    @property
    def retry_after(self) -> float:
        """Seconds until another request is allowed."""
        return self._recent[0][0] + 60 - now()

    def _drop_old(self) -> None:
        while self._recent and self._recent[0][0] + 60 <= now() + 1e-6:
            self._recent_tokens -= self._recent.popleft()[1]

    def allow(self, tokens: int) -> bool:
        """Whether a request of so many tokens is within the limits; it is counted either way."""
        self._drop_old()
        requests, max_tokens = self._limits
        if len(self._recent) >= requests or self._recent_tokens + tokens > max_tokens:
            self.refused += 1
            return False
        self._recent.append((now(), tokens))
        self._recent_tokens += tokens
        self.allowed += 1
        self.tokens += tokens
        return True


OPENAI_HEADERS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
}
"""Sixty requests a minute, as OpenAI's headers give it."""


def check_learned_limits(tokens: int, each: int, make: Callable[[], RateLimitStore]) -> None:
    """Workers without configured limits learn them from one response and use over 90 %."""
    provider, chance = RateLimitedProvider(600, tokens), random.Random(1)  # noqa: S311 -- the same in each run
    make_limiter = partial(RateLimiter, configured=lambda _: Limits(), now=now)
    size = partial(chance.randint, 50, 250)
    run_threads_at_once(
        run_workers(provider, lambda: make_limiter(make()), size, 150, each=each), 0.0
    )
    used = max(provider.allowed / (600 * MINUTES), provider.tokens / (tokens * MINUTES))
    assert used > 0.9
    assert provider.refused / (provider.allowed + provider.refused) < 0.01


async def run_workers(
    provider: RateLimitedProvider,
    make_limiter: Callable[[], RateLimiter],
    size: Callable[[], int],
    estimate: int,
    *,
    minutes: float = MINUTES,
    each: int = 10,
) -> None:
    """
    Twenty workers, `each` with so many lines in flight, for some minutes of virtual time.

    They read the headers of each response, and pause after a 429.
    """

    async def send_lines(limiter: RateLimiter) -> None:
        while now() < 60 * minutes:
            tokens = size()
            async with limiter.permit("m", estimate) as permit:
                if now() >= 60 * minutes:
                    return
                if not provider.allow(tokens):
                    await limiter.pause("m", provider.retry_after)
                    continue
                headers = provider.headers()
                await asyncio.sleep(0.8)
                limiter.record_headers("m", "m#0", headers)
                permit.tokens_used = tokens

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            limiter = make_limiter()
            for _ in range(each):
                group.create_task(send_lines(limiter))
