"""Jobs of which some lines always fail, or whose provider has too many calls or is down."""

from __future__ import annotations

import pytest

from fanout.bulk.pacing.adaptive_concurrency import INITIAL_CONCURRENCY
from tests.bulk.pacing.failing_simulation import Failing, simulate

MINUTE = 60.0
"""The lines that are left at the end fail after a minute (docs/bulk.md)."""


@pytest.mark.parametrize(("latency", "poison"), [(0.05, 0.3), (0.5, 0.1), (5.0, 0.05)])
def test_lines_that_always_fail_do_not_hold_up_the_others(latency: float, poison: float) -> None:
    good = simulate(Failing(400, latency))
    found = simulate(Failing(400, latency, poison))
    assert (found.done, found.lost) == (round(400 * (1 - poison)), 0)
    assert found.seconds < 1.5 * (good.seconds * (1 + 4 * poison) + MINUTE)
    assert found.calls < 400 * (1 + 4 * poison) + 400 * poison * 10


@pytest.mark.parametrize(("capacity", "latency"), [(5, 0.5), (80, 0.5)])
def test_a_server_with_room_for_few_calls_rejects_few_after_the_first_ones(
    capacity: int, latency: float
) -> None:
    lines = int(capacity * 30 / latency)
    found = simulate(Failing(lines, latency, capacity=capacity))
    assert found.calls - lines < 2 * INITIAL_CONCURRENCY + lines / 10
    assert (found.done, found.lost) == (lines, 0)
    assert found.seconds < 30 / 0.8


def test_an_outage_is_waited_for_with_few_calls_and_then_the_job_is_as_fast_as_before() -> None:
    found = simulate(Failing(1500, 0.5, down_at=2.0, down=300.0))
    assert (found.done, found.lost) == (1500, 0)
    assert found.calls_while_down < 2 * 300
    assert found.seconds < 330


def test_random_failures_do_not_lower_the_concurrency() -> None:
    found = simulate(Failing(1000, 0.5, random=0.05))
    assert found.lost == 0
    assert found.seconds < 20
