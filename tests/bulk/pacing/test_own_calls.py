"""How many calls a worker has started lately, which is counted in bounded memory."""

from __future__ import annotations

import sys

from fanout.bulk.pacing.estimated_limit import OwnCalls


def test_calls_of_the_last_minute_are_counted_in_little_memory() -> None:
    calls = OwnCalls()
    for number in range(600_000):
        calls.started(number / 5_000)  # two minutes at 5,000 calls a second
    for seconds in (1.0, 10.0, 60.0):
        assert abs(calls.recent(120.0, seconds) - 5_000 * seconds) <= 250
    assert sum(sys.getsizeof(one) for one in vars(calls).values()) < 50_000


def test_rare_calls_are_counted_at_their_times() -> None:
    calls = OwnCalls()
    for second in range(0, 100, 10):
        calls.started(float(second))
    assert [calls.recent(90.0, seconds) for seconds in (9.0, 10.0, 60.0)] == [1, 2, 7]
