"""A provider that enforces requests and tokens a minute, and twenty workers who ask it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import partial

from fanout.bulk.pacing.limits import Limits
from fanout.bulk.pacing.rate_limiter import RateLimiter, RateLimitStore
from tests.support.virtual_clock import now, run

MINUTES = 5


class RateLimitedProvider:
    """A provider that counts requests and tokens in any sixty seconds, and refuses what is over."""

    def __init__(self, requests: int, tokens: int) -> None:
        self._limits = requests, tokens
        self._seen: deque[tuple[float, int]] = deque()
        self._spent = 0
        self.allowed = self.refused = self.tokens = 0

    def headers(self) -> dict[str, str]:
        """`x-ratelimit-*` of an answer that is given now."""
        self._forget()
        told = {"requests": len(self._seen), "tokens": self._spent}
        headers = {}
        for (kind, used), limit in zip(told.items(), self._limits, strict=True):
            headers[f"x-ratelimit-limit-{kind}"] = str(limit)
            headers[f"x-ratelimit-remaining-{kind}"] = str(limit - used)
            headers[f"x-ratelimit-reset-{kind}"] = f"{60 * used / limit:.3f}s"
        return headers

    @property
    def retry_after(self) -> float:
        """Seconds until there is room again."""
        return self._seen[0][0] + 60 - now()

    def _forget(self) -> None:
        while self._seen and self._seen[0][0] + 60 <= now() + 1e-6:
            self._spent -= self._seen.popleft()[1]

    def ask(self, tokens: int) -> bool:
        self._forget()
        if len(self._seen) >= self._limits[0] or self._spent + tokens > self._limits[1]:
            self.refused += 1
            return False
        self._seen.append((now(), tokens))
        self._spent += tokens
        self.allowed += 1
        self.tokens += tokens
        return True


OPENAI_HEADERS = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
}
"""Sixty requests a minute, as OpenAI says it."""


def check_learned_limits(tokens: int, each: int, make: Callable[[], RateLimitStore]) -> None:
    """Workers whose config says nothing: one line of each tells the others, and is enough."""
    provider, chance = RateLimitedProvider(600, tokens), random.Random(1)  # noqa: S311 -- the same in each run
    made = partial(RateLimiter, configured=lambda _: Limits(), now=now)
    size = partial(chance.randint, 50, 250)
    run(run_workers(provider, lambda: made(make()), size, 150, each=each))
    used = max(provider.allowed / (600 * MINUTES), provider.tokens / (tokens * MINUTES))
    assert used > 0.9
    assert provider.refused / (provider.allowed + provider.refused) < 0.01


async def run_workers(
    provider: RateLimitedProvider,
    pacer: Callable[[], RateLimiter],
    size: Callable[[], int],
    estimate: int,
    *,
    minutes: float = MINUTES,
    each: int = 10,
) -> None:
    """
    Twenty workers, each with so many lines under way, for some minutes of virtual time.

    They see the headers of what is answered, and pause for what is refused.
    """

    async def line(own: RateLimiter) -> None:
        while now() < 60 * minutes:
            tokens = size()
            async with own.permit("m", estimate) as permit:
                if now() >= 60 * minutes:
                    return
                if not provider.ask(tokens):
                    await own.pause("m", provider.retry_after)
                    continue
                headers = provider.headers()
                await asyncio.sleep(0.8)
                own.record_headers("m", "m#0", headers)
                permit.tokens_used = tokens

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            own = pacer()
            for _ in range(each):
                group.create_task(line(own))
