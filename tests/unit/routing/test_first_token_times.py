"""Adaptive hedges: the times they wait for, and the extra calls that they may make."""

from __future__ import annotations

import random
import statistics

from fanout.routing.first_token_times import COLD, FREE_HEDGES, LEAST, FirstTokenTimes, Histogram
from tests.support.hedge_traffic import estimator_errors, traffic, usual
from tests.support.virtual_clock import run


def test_a_quantile_is_right_within_the_buckets_width_and_counts_of_workers_add_up() -> None:
    workers = [Histogram(), Histogram(), Histogram()]
    for place in range(300):
        workers[place % 3].add(1.0)
    assert (workers[0] + workers[1] + workers[2]).total == 300
    assert statistics.median(estimator_errors(300, 50)) < 0.10


def test_every_time_has_a_bucket() -> None:
    times = Histogram()
    for seconds in (0.0, 1e-9, 0.01, 1.0, 300.0, 1e9):
        times.add(seconds)
    assert times.total == 6
    assert 0 < times.quantile(0.01) <= times.quantile(0.5) <= times.quantile(1.0) <= 400


def test_without_enough_times_the_delay_is_a_default_and_sizes_share_theirs() -> None:
    times = FirstTokenTimes(0.1, lambda: 0.0)
    for _ in range(LEAST - 1):
        times.record("a", 100, 0.1)
    assert times.delay("a", 100) == COLD
    times.record("a", 100, 0.1)
    assert times.delay("a", 100) < 0.2
    assert times.delay("a", 1_000_000) < 0.2  # no prompt of this size yet: those of the model
    assert times.delay("b", 100) == COLD
    for _ in range(LEAST):
        times.record("a", 1_000_000, 5.0)
    assert times.delay("a", 1_000_000) > 4
    assert times.delay("a", 100) < 0.2


def test_old_times_are_forgotten_once_there_are_newer_ones() -> None:
    now = [0.0]
    times = FirstTokenTimes(0.1, lambda: now[0])
    for _ in range(3):
        for _ in range(200):
            times.record("a", 0, 10.0 if now[0] == 0 else 0.1)
        now[0] += 301
    times.record("a", 0, 0.1)
    assert times.delay("a", 0) < 0.2


def test_the_budget_allows_its_share_of_the_calls() -> None:
    times = FirstTokenTimes(0.1, lambda: 0.0)
    for _ in range(1_000):
        times.count_call()
    taken = sum(times.take() for _ in range(500))
    assert taken == 100
    few = FirstTokenTimes(0.1, lambda: 0.0)
    assert sum(few.take() for _ in range(500)) == FREE_HEDGES
    assert not FirstTokenTimes(0, lambda: 0.0).take()


def test_hedges_cut_the_slowest_times_for_few_extra_calls() -> None:
    rng = random.Random(2)  # noqa: S311 -- the same in each run
    alone = sorted(usual(rng) for _ in range(6_000))
    rng = random.Random(3)  # noqa: S311 -- the same in each run
    found, extra = run(traffic(6_000, 0.1, lambda *_: usual(rng)))
    hedged = sorted(found)
    assert alone[5_940] / hedged[5_940] >= 4
    assert sum(extra) / 6_000 <= 0.06


def test_when_all_calls_become_slow_the_budget_holds() -> None:
    rng = random.Random(4)  # noqa: S311 -- the same in each run

    def first_token(number: int, _: int) -> float:
        return usual(rng, slower=3.0 if number >= 3_000 else 1.0)

    _, extra = run(traffic(4_000, 0.05, first_token))
    assert sum(extra) <= 0.05 * 4_000
