"""
A provider that enforces one limit, and workers that share a limiter's state; virtual time.

`python -m tests.bulk.pacing.limit_simulation` prints a grid of cases; it takes some minutes.
With `unstated`, it prints one of limits that no response states, most of them in tokens; with
`pauses`, one of limits of a second and of calls at a time, which are followed by long pauses.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Literal, TypeAlias

from msgspec import Struct

from fanout.bulk.pacing.limits import Limits
from fanout.bulk.pacing.rate_limit_state import MemoryRateLimitStore, RateLimitStore
from fanout.bulk.pacing.rate_limiter import RateLimiter
from fanout.providers.registry import rate_limits_of
from tests.support.virtual_clock import now, run

from .quotas import MINUTE, Penalty, Places, Quota, Window

Hint: TypeAlias = Literal["bare", "retry-after", "anthropic"]
Sizes: TypeAlias = Literal[
    "requests", "equal requests", "equal tokens", "varied tokens", "output afterwards"
]
"""
What the limit counts, and whether the calls have equal sizes.

For the last one, a call's output tokens are counted when it ends. Its workers know the input tokens
of each call, and the mean of the output tokens.
"""

MEAN_TOKENS = 1_000
REJECTION_SECONDS = 0.1
"""A provider rejects a call before it works on it."""

IN_FLIGHT = 400
"""Lines that a worker has in flight at most."""


class Case(Struct, frozen=True):
    """
    One combination. `limit` is in calls a minute; one of tokens is so many calls of mean size.

    A fixed window began `phase` seconds before the first call, and has so many `seconds`. After a
    call too many, the provider rejects all calls for `penalty` seconds; `retry_after` is what it
    states, whatever the real wait. With `places`, it takes as many calls at a time as end in a
    minute, and each takes up to `jitter` more or less than the latency.
    """

    window: Window
    limit: int
    latency: float
    hint: Hint
    sizes: Sizes = "requests"
    workers: int = 1
    phase: float = 0.0
    minutes: float = 6.0
    seconds: float = MINUTE
    penalty: float = 0.0
    retry_after: float | None = None
    places: bool = False
    jitter: float = 0.0
    seed: int = 7


class Outcome(Struct, frozen=True):
    """The used part of what is allowed, and the rejected part of all calls."""

    used: float
    rejected: float


class Simulation:
    """The provider and its workers."""

    def __init__(self, case: Case, make_store: Callable[[], RateLimitStore] | None = None) -> None:
        self.case = case
        memory = MemoryRateLimitStore()
        self._make_store = make_store or (lambda: memory)
        unit = 1 if "requests" in case.sizes else MEAN_TOKENS
        if case.places:
            quota: Quota | Places = Places(round(case.limit * case.latency / MINUTE))
        else:
            quota = Quota(case.window, case.limit * unit, unit, case.phase, case.seconds)
        self._quota = Penalty(quota, case.penalty)
        self._allowed = case.limit * unit * case.minutes
        self._random = random.Random(case.seed)  # noqa: S311 -- the same in each run
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
        if "equal" in self.case.sizes:
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
            wait = self._quota.wait(1 if "requests" in self.case.sizes else charged)
            self.log.append((now(), not wait))
            if wait:
                self.rejected += 1
                await asyncio.sleep(min(REJECTION_SECONDS, self.case.latency))
                stated = None if self.case.hint == "bare" else float(max(1, round(wait + 0.5)))
                if self.case.retry_after is not None:
                    stated = self.case.retry_after or None
                self._record_headers(limiter)
                await limiter.rejected("m", started, stated, permit.size)
                backoff = min(8.0, 0.5 * 2.0**attempt) * self._random.random()
                return backoff if stated is None else stated
            jitter = self.case.jitter
            part = self._random.uniform(1 - jitter, 1 + jitter) if jitter else 1.0
            await asyncio.sleep(self.case.latency * part)
            self._quota.ended()
            if is_late:
                self._quota.add(size - input_tokens)
            self._record_headers(limiter)
            permit.tokens_used = size
        return None

    def _record_headers(self, limiter: RateLimiter) -> None:
        headers = {}
        if self.case.hint == "anthropic":
            kind = "requests" if "requests" in self.case.sizes else "tokens"
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


def pause_grid() -> Iterator[Case]:
    """
    Limits of a second or of calls at a time, with a `Retry-After` that does not say when to go on.

    The provider rejects calls for that long after each 429 (for 8 s without a hint in some cases).
    """
    kinds: tuple[tuple[Window, float, bool], ...] = (
        ("fixed", 1.0, False),
        ("sliding", 1.0, False),
        ("bucket", 1.0, False),
        ("bucket", 10.0, False),
        ("fixed", 10.0, False),
        ("fixed", MINUTE, False),
        ("bucket", 1.0, True),
    )
    hints: tuple[tuple[Hint, float], ...] = (
        ("bare", 0.0),
        ("bare", 8.0),
        ("retry-after", 1.0),
        ("retry-after", 8.0),
        ("retry-after", 30.0),
        ("retry-after", 60.0),
    )
    number = 0
    for kind, (hint, pause), latency, limit in product(
        kinds, hints, (0.2, 1.0, 5.0, 20.0), (120, 600)
    ):
        window, seconds, places = kind
        number += 1
        if places and limit * latency / MINUTE < 2:
            continue
        yield Case(
            window,
            limit,
            latency,
            hint,
            ("equal requests", "requests")[number // 2 % 2],
            workers=(1, 4)[number % 3 == 0],
            phase=number * 0.37 % seconds,
            minutes=25.0 if pause == 60.0 else 12.5,
            seconds=seconds,
            penalty=0.0 if places or seconds == MINUTE else pause,
            retry_after=pause if hint == "retry-after" else None,
            places=places,
            jitter=0.3 if places else 0.0,
            seed=number,
        )


GRIDS = {"unstated": unstated_grid, "pauses": pause_grid}


def main() -> None:
    """Print what each case uses and how many of its calls are rejected."""
    names = [name for name in GRIDS if name in sys.argv]
    for case in GRIDS[names[0]]() if names else grid():
        outcome = simulate(case)
        is_met = outcome.used > 0.8 and outcome.rejected < 0.1
        print(  # noqa: T201
            f"{case.window:12} {case.sizes:17} {case.limit:5}/min {case.latency:4} s "
            f"{case.hint:11} {case.workers:2} workers{_more(case)}: used {outcome.used:4.0%}, "
            f"rejected {outcome.rejected:5.1%}{'' if is_met else '  <- missed'}",
            flush=True,
        )


def _more(case: Case) -> str:
    """What only some cases have."""
    kind = "calls at a time" if case.places else f"{case.seconds:.0f} s windows"
    pause = "" if case.retry_after is None else f", Retry-After {case.retry_after:.0f}"
    penalty = f", rejects {case.penalty:.0f} s" if case.penalty else ""
    return "" if case.seconds == MINUTE and not pause else f" ({kind}{pause}{penalty})"


if __name__ == "__main__":
    main()
