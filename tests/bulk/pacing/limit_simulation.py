"""
A provider that enforces one limit, and workers that share a limiter's state; virtual time.

`python -m tests.bulk.pacing.limit_simulation` prints a grid of cases; it takes some minutes.
With `unstated`, it prints one of limits that no response states, most of them in tokens.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import product
from typing import Literal, TypeAlias

from msgspec import Struct

from fanout.bulk.pacing.limits import Limits
from fanout.bulk.pacing.rate_limit_state import MemoryRateLimitStore, RateLimitStore
from fanout.bulk.pacing.rate_limiter import RateLimiter
from fanout.providers.registry import rate_limits_of
from tests.support.virtual_clock import now, run

Window: TypeAlias = Literal["fixed", "sliding", "bucket", "small bucket"]
Hint: TypeAlias = Literal["bare", "retry-after", "anthropic"]
Sizes: TypeAlias = Literal["requests", "equal tokens", "varied tokens", "output afterwards"]
"""
What the limit counts. For the last one, a call's output tokens are counted when it ends.

Its workers know the input tokens of each call, and the mean of the output tokens.
"""

MINUTE = 60.0
MEAN_TOKENS = 1_000
REJECTION_SECONDS = 0.1
"""A provider rejects a call before it works on it."""

IN_FLIGHT = 400
"""Lines that a worker has in flight at most."""


class Case(Struct, frozen=True):
    """
    One combination. `limit` is in calls a minute; one of tokens is so many calls of mean size.

    A fixed window began `phase` seconds before the first call.
    """

    window: Window
    limit: int
    latency: float
    hint: Hint
    sizes: Sizes = "requests"
    workers: int = 1
    phase: float = 0.0
    minutes: float = 6.0


class Outcome(Struct, frozen=True):
    """The used part of what is allowed, and the rejected part of all calls."""

    used: float
    rejected: float


class Quota:
    """Counts amounts by one of the windows; `capacity` is the most in a window of a minute."""

    def __init__(self, window: Window, capacity: float, unit: float, phase: float) -> None:
        self._window, self._capacity, self._phase = window, capacity, phase
        self._recent: deque[tuple[float, float]] = deque()
        self._used = 0.0
        self._full = max(unit, capacity / 30) if window == "small bucket" else capacity
        self._level, self._at = self._full, 0.0
        self.accepted = 0.0

    def wait(self, amount: float) -> float:
        """Seconds until so much is allowed; 0 if it is, and then it is counted."""
        if self._window in {"fixed", "sliding"}:
            wait = self._wait_in_window(amount)
        else:
            rate = self._capacity / MINUTE
            self._level = min(self._full, self._level + (now() - self._at) * rate)
            self._at = now()
            wait = max(0.0, (min(amount, self._full) - self._level) / rate)
            if wait < 1e-6:
                wait, self._level = 0.0, self._level - amount
        self.accepted += 0.0 if wait else amount
        return wait

    def add(self, amount: float) -> None:
        """Count so much, whether it is allowed or not."""
        self.accepted += amount
        if self._window in {"fixed", "sliding"}:
            self._used += amount
            self._recent.append((now(), amount))
        else:
            self._level -= amount

    def _wait_in_window(self, amount: float) -> float:
        if self._window == "fixed":
            into = (now() + self._phase) % MINUTE
            start, left = now() - into, MINUTE - into
        else:
            start = now() - MINUTE
            left = 0.0
        while self._recent and self._recent[0][0] < start - 1e-9:
            self._used -= self._recent.popleft()[1]
        if self._used + amount <= self._capacity + 1e-6:
            self._used += amount
            self._recent.append((now(), amount))
            return 0.0
        if left:
            return left
        needed = self._used + amount - self._capacity
        for at, one in self._recent:
            needed -= one
            if needed <= 1e-6:
                return max(1e-3, at + MINUTE - now())
        return MINUTE


class Simulation:
    """The provider and its workers."""

    def __init__(self, case: Case, make_store: Callable[[], RateLimitStore] | None = None) -> None:
        self.case = case
        memory = MemoryRateLimitStore()
        self._make_store = make_store or (lambda: memory)
        unit = 1 if case.sizes == "requests" else MEAN_TOKENS
        self._quota = Quota(case.window, case.limit * unit, unit, case.phase)
        self._allowed = case.limit * unit * case.minutes
        self._random = random.Random(7)  # noqa: S311 -- the same in each run
        self.calls = self.rejected = 0
        self.log: list[tuple[float, bool]] = []

    def run(self) -> Outcome:
        """The outcome after `minutes`."""
        run(self._run())
        return Outcome(self._quota.accepted / self._allowed, self.rejected / max(1, self.calls))

    async def _run(self) -> None:
        case = self.case
        needed = 3 * case.limit * case.latency / MINUTE / case.workers
        lines = int(min(IN_FLIGHT, max(30, needed)))
        try:
            async with asyncio.timeout(case.minutes * MINUTE), asyncio.TaskGroup() as group:
                for _ in range(case.workers):
                    limiter = RateLimiter(self._make_store(), lambda _: Limits(), now)
                    for _ in range(lines):
                        group.create_task(self._send_lines(limiter))
        except TimeoutError:
            pass

    def _size(self) -> int:
        if self.case.sizes == "equal tokens":
            return MEAN_TOKENS
        # 100 to 5,000 tokens, with the mean of all calls
        return int(100 * 50 ** self._random.random() * MEAN_TOKENS / 1252)

    async def _send_lines(self, limiter: RateLimiter) -> None:
        while True:
            size, attempt = self._size(), 0
            while (pause := await self._send(limiter, size, attempt)) is not None:
                attempt += 1
                await asyncio.sleep(pause)

    async def _send(self, limiter: RateLimiter, size: int, attempt: int) -> float | None:
        """Send a line; seconds until its next attempt, `None` if it was accepted."""
        is_late = self.case.sizes == "output afterwards"
        input_tokens = size // 2 if is_late else size
        estimate = input_tokens + MEAN_TOKENS // 2 if is_late else size
        async with limiter.permit("m", estimate, 1, input_tokens) as permit:
            started = limiter.clock()
            limiter.sent("m")
            self.calls += 1
            charged = input_tokens if is_late else size
            wait = self._quota.wait(1 if self.case.sizes == "requests" else charged)
            self.log.append((now(), not wait))
            if wait:
                self.rejected += 1
                await asyncio.sleep(min(REJECTION_SECONDS, self.case.latency))
                stated = None if self.case.hint == "bare" else float(max(1, round(wait + 0.5)))
                self._record_headers(limiter)
                await limiter.rejected("m", started, stated, permit.size)
                backoff = min(8.0, 0.5 * 2.0**attempt) * self._random.random()
                return backoff if stated is None else stated
            await asyncio.sleep(self.case.latency)
            if is_late:
                self._quota.add(size - input_tokens)
            self._record_headers(limiter)
            permit.tokens_used = size
        return None

    def _record_headers(self, limiter: RateLimiter) -> None:
        headers = {}
        if self.case.hint == "anthropic":
            kind = "requests" if self.case.sizes == "requests" else "tokens"
            limit = self.case.limit * (1 if kind == "requests" else MEAN_TOKENS)
            headers = {f"anthropic-ratelimit-{kind}-limit": str(limit)}
        limiter.record_headers("m", "m#0", headers, rate_limits_of("anthropic"))


def simulate(case: Case) -> Outcome:
    """Run one case."""
    return Simulation(case).run()


def grid() -> Iterator[Case]:
    """All combinations in which the workers can have enough calls in flight."""
    windows: tuple[Window, ...] = ("fixed", "sliding", "bucket", "small bucket")
    hints: tuple[Hint, ...] = ("bare", "retry-after", "anthropic")
    sizes: tuple[Sizes, ...] = ("requests", "equal tokens", "varied tokens")
    for window, size, limit, latency, hint, workers in product(
        windows, sizes, (10, 60, 600, 6000), (0.5, 30.0), hints, (1, 4, 20)
    ):
        if IN_FLIGHT * workers * MINUTE / latency > limit * 1.05:
            minutes = {10: 12.0, 6000: 3.0}.get(limit, 6.0)
            yield Case(window, limit, latency, hint, size, workers, 20.0, minutes)


def unstated_grid() -> Iterator[Case]:
    """432 cases of limits that are not stated, two thirds of them in tokens."""
    windows: tuple[Window, ...] = ("fixed", "sliding", "bucket", "small bucket")
    hints: tuple[Hint, ...] = ("bare", "retry-after")
    sizes: tuple[Sizes, ...] = ("requests", "varied tokens", "output afterwards")
    for window, size, limit, hint, workers in product(
        windows, sizes, (10, 25, 90, 250, 1000, 6000), hints, (1, 4, 20)
    ):
        minutes = {10: 12.0, 25: 12.0, 6000: 3.0}.get(limit, 6.0)
        yield Case(window, limit, 0.5, hint, size, workers, 20.0, minutes)


def main() -> None:
    """Print what each case uses and how many of its calls are rejected."""
    for case in unstated_grid() if "unstated" in sys.argv else grid():
        outcome = simulate(case)
        is_met = outcome.used > 0.8 and outcome.rejected < 0.1
        print(  # noqa: T201
            f"{case.window:12} {case.sizes:17} {case.limit:5}/min {case.latency:4} s "
            f"{case.hint:11} {case.workers:2} workers: used {outcome.used:4.0%}, "
            f"rejected {outcome.rejected:5.1%}{'' if is_met else '  <- missed'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
