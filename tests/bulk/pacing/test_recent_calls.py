"""How many calls a worker has started lately, which is counted in bounded memory."""

from __future__ import annotations

import sys

import pytest

from fanout.bulk.pacing.recent_calls import RecentCalls


def test_calls_of_the_last_minute_are_counted_in_little_memory() -> None:
    calls = RecentCalls()
    for number in range(600_000):
        calls.started(number / 5_000)  # two minutes at 5,000 calls a second
    for seconds in (1.0, 10.0, 60.0):
        assert abs(calls.recent(120.0, seconds) - 5_000 * seconds) <= 250
    assert sum(sys.getsizeof(one) for one in vars(calls).values()) < 50_000


def test_rare_calls_are_counted_at_their_times() -> None:
    calls = RecentCalls()
    for second in range(0, 100, 10):
        calls.started(float(second))
    assert [calls.recent(90.0, seconds) for seconds in (9.0, 10.0, 60.0)] == [1, 2, 7]


def test_the_size_of_a_request_is_by_its_input_whatever_output_is_expected() -> None:
    calls = RecentCalls()
    for tokens in (100, 300):
        calls.size(1, tokens + 1_000, tokens)  # no response yet: many output tokens are expected
    assert calls.size(1, 200, 200) == 1.0
    assert calls.size(1, 500, 500) == pytest.approx(500 / 275)
    assert calls.size(2, 750, 550) == pytest.approx(1.0)
    assert calls.size(1, 0, 0) == 1.0
