"""
Traffic with adaptive hedges in virtual time, through the gateway's own code.

Times to the first token are lognormal (0.45 s in the median, sigma 0.6), with a stall of 15 s in
2 % of calls. Needs `virtual_clock.run`.
"""

from __future__ import annotations

import asyncio
import math
import random
import statistics
from collections.abc import Callable
from functools import partial

from fanout.concurrency import race
from fanout.gateway.hedge_delays import HedgeDelays
from fanout.routing.first_token_times import FirstTokenTimes, Histogram
from fanout.routing.leg import Leg

MEDIAN, SIGMA = 0.45, 0.6


def usual(rng: random.Random, *, slower: float = 1.0) -> float:
    """A first token: lognormal, with a stall of 15 s in 2 % of calls."""
    seconds = slower * MEDIAN * math.exp(SIGMA * rng.gauss(0, 1))
    return seconds + 15 * math.exp(0.5 * rng.gauss(0, 1)) if rng.random() < 0.02 else seconds


def estimator_errors(samples: int, runs: int) -> list[float]:
    """How far the 95th percentile of so many times is off, with counts of three workers added."""
    rng = random.Random(1)  # noqa: S311 -- the same in each run
    true = MEDIAN * math.exp(SIGMA * statistics.NormalDist().inv_cdf(0.95))
    errors = []
    for _ in range(runs):
        workers = [Histogram(), Histogram(), Histogram()]
        for place in range(samples):
            workers[place % 3].add(MEDIAN * math.exp(SIGMA * rng.gauss(0, 1)))
        merged = workers[0] + workers[1] + workers[2]
        errors.append(abs(merged.quantile(0.95) / true - 1))
    return errors


async def traffic(
    count: int,
    share: float,
    first_token: Callable[[int, int], float],
    together_from: int | None = None,
) -> tuple[list[float], list[bool]]:
    """
    The times of `count` requests with two models, and which of them called the second one.

    One request follows the other; from `together_from` on, all start at the same time.
    """
    loop = asyncio.get_running_loop()
    times = FirstTokenTimes(share, loop.time)
    found, extra = [0.0] * count, [False] * count

    async def call(leg: Leg, seconds: float) -> None:
        started = loop.time()
        try:
            await asyncio.sleep(seconds)
        finally:
            times.record(leg.model, 0, loop.time() - started)

    async def request(number: int) -> None:
        legs = [Leg("a", "r"), Leg("b", "r")]
        calls = [partial(call, leg, first_token(number, n)) for n, leg in enumerate(legs)]
        started = loop.time()
        result = await race(calls, stagger=HedgeDelays(times, legs))
        found[number] = loop.time() - started
        extra[number] = result.outcomes[1] is not None

    first = count if together_from is None else together_from
    for number in range(first):
        await request(number)
    async with asyncio.TaskGroup() as group:
        for number in range(first, count):
            group.create_task(request(number))
    return found, extra
