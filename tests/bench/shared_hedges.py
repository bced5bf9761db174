"""
Simulates adaptive hedges in many Lambda environments, with own counts and with shared ones.

`python -m tests.bench.shared_hedges` prints the rows of docs/decisions/0024. Times to the first
token are lognormal (0.45 s, sigma 0.6), with a stall of 15 s in 2 % of calls; an environment gets
a request every 2 s or so. In a brown-out, all calls become three times slower.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Mapping
from functools import partial

from fanout.concurrency import race
from fanout.gateway.hedge_delays import HedgeDelays
from fanout.routing.first_token_times import FirstTokenTimes
from fanout.routing.leg import Leg
from fanout.routing.shared_times import SharedTimes, Stored
from tests.support.virtual_clock import now, run

LATENCY = 0.01
"""Seconds that an addition takes."""

NEVER = math.inf


class MemoryCounts:
    """A `CountStore`; `writes` counts its writes."""

    def __init__(self) -> None:
        self.writes = 0
        self._stored: dict[str, Stored] = {}

    async def add(self, key: str, counts: Mapping[str, int], now: float) -> Stored:
        """Add to the slot."""
        await asyncio.sleep(LATENCY)
        self.writes += 1
        since, current, previous = self._stored.get(key, (now, {}, {}))
        self._stored[key] = (since, Counter(current) + Counter(counts), previous)
        return self._stored[key]

    async def turn(self, key: str, old: Stored, now: float) -> None:
        """Begin the next slot."""
        await asyncio.sleep(LATENCY)
        self.writes += 1
        since, current, _ = self._stored[key]
        if since == old[0]:
            self._stored[key] = (now, {}, current)


class Simulation:
    """Environments with `requests` each; all calls are slow from `slow_from` on, in seconds."""

    def __init__(self, requests: int, slow_from: float, *, shared: bool) -> None:
        self._requests, self._slow_from = requests, slow_from
        self._store = MemoryCounts() if shared else None
        self._rng = random.Random(5)  # noqa: S311 -- the same in each run
        self.seconds: list[float] = []
        self.hedges = 0

    async def run(self, environments: int) -> None:
        """Serve all requests."""
        async with asyncio.TaskGroup() as group:
            for _ in range(environments):
                group.create_task(self._environment())

    async def _environment(self) -> None:
        await asyncio.sleep(self._rng.random() * 20)
        times = FirstTokenTimes(0.1, now)
        sharing = None if self._store is None else SharedTimes(times, self._store, now)
        for _ in range(self._requests):
            legs = [Leg("a", "r"), Leg("b", "r")]
            calls = [partial(self._call, times, leg, self._first_token()) for leg in legs]
            started = now()
            result = await race(calls, stagger=HedgeDelays(times, legs))
            self.seconds.append(now() - started)
            self.hedges += result.outcomes[1] is not None
            if sharing is not None:
                await sharing.share_if_due()
            await asyncio.sleep(self._rng.expovariate(0.5))

    def _first_token(self) -> float:
        slower = 3.0 if now() > self._slow_from else 1.0
        seconds = slower * 0.45 * math.exp(0.6 * self._rng.gauss(0, 1))
        is_stalled = self._rng.random() < 0.02
        return seconds + (15 * math.exp(0.5 * self._rng.gauss(0, 1)) if is_stalled else 0.0)

    async def _call(self, times: FirstTokenTimes, leg: Leg, seconds: float) -> None:
        started = now()
        try:
            await asyncio.sleep(seconds)
        finally:
            times.record(leg.model, 0, now() - started)

    def row(self, title: str) -> str:
        """The extra calls, the percentiles and the writes of each request."""
        ordered, count = sorted(self.seconds), len(self.seconds)
        tails = " | ".join(f"{ordered[int(share * count)]:.2f} s" for share in (0.95, 0.99))
        writes = 0 if self._store is None else self._store.writes / count
        return f"| {title} | {self.hedges / count:.1%} | {tails} | {writes:.2f} |"


def main() -> None:
    """Print a row for each case."""
    for title, environments, requests, slow_from in (
        ("200 environments", 200, 60, NEVER),
        ("1,000 environments that soon end", 1_000, 8, NEVER),
        ("200 environments, a brown-out", 200, 60, 100.0),
    ):
        for shared in (False, True):
            simulation = Simulation(requests, slow_from, shared=shared)
            run(simulation.run(environments))
            print(simulation.row(f"{title}, {'shared' if shared else 'each alone'}"))


if __name__ == "__main__":
    main()
