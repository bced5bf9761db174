"""
Limits of a second, after which providers reject all calls for long, and hints that say little.

`python -m tests.bulk.pacing.limit_simulation pauses` prints a larger grid.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fanout.bulk.pacing.estimated_limit import ROUGH, SETTLED, Estimate
from fanout.bulk.pacing.rejection import Rejection

from .limit_simulation import Case, Hint, simulate
from .quotas import Window

PAUSES: list[tuple[Window, Hint, float, float, int, float]] = [
    ("bucket", "bare", 8.0, 0.2, 1, 0.8),
    ("bucket", "retry-after", 1.0, 5.0, 1, 0.8),
    ("bucket", "retry-after", 8.0, 20.0, 4, 0.8),
    ("bucket", "retry-after", 30.0, 1.0, 4, 0.8),
    ("bucket", "retry-after", 30.0, 5.0, 1, 0.8),
    ("bucket", "retry-after", 60.0, 0.2, 1, 0.8),
    ("fixed", "retry-after", 8.0, 1.0, 4, 0.8),
    ("fixed", "retry-after", 30.0, 0.2, 1, 0.75),
]


@pytest.mark.parametrize(("window", "hint", "pause", "latency", "workers", "least"), PAUSES)
def test_a_limit_of_seconds_is_found_although_each_429_costs_a_long_pause(
    window: Window, hint: Hint, pause: float, latency: float, workers: int, least: float
) -> None:
    stated = pause if hint == "retry-after" else None
    minutes = 25.0 if pause == 60 else 12.5
    case = Case(window, 180, latency, hint, "equal requests", workers, 0.31, minutes, 1.0, pause)
    outcome = simulate(replace(case, retry_after=stated))
    assert outcome.used > least
    assert outcome.rejected < 0.02


@pytest.mark.parametrize(("pause", "latency"), [(1.0, 20.0), (8.0, 5.0), (30.0, 0.2), (60.0, 1.0)])
def test_the_minutes_of_a_limit_are_used_whatever_the_provider_asks_for(
    pause: float, latency: float
) -> None:
    case = Case("fixed", 120, latency, "retry-after", "equal requests", phase=20.0, minutes=12.5)
    outcome = simulate(replace(case, retry_after=pause))
    assert outcome.used > 0.8
    assert outcome.rejected < 0.1


def test_one_long_pause_does_not_show_whether_a_limit_is_one_of_a_minute() -> None:
    first = Rejection(100.0, 100.1, 30.0).after(None, {}, 20, peak=600.0)
    assert first is not None
    assert (first.is_window, first.trust) == (1.0, ROUGH)
    assert first.rate_at(first.at + 30) > 300

    def second(at: float, pause: float, calls: float) -> Estimate:
        found = Rejection(at, at, pause).after(first, {"calls made": calls + 1}, 0)
        assert found is not None
        return found

    window = second(first.at + 20, 40.0, 20)  # the same calls, and it ends after a minute
    assert (window.is_window, window.trust) == (1.0, SETTLED)
    assert window.rate == pytest.approx(19, abs=1)
    short = second(first.at + 30, 30.0, 140)
    assert (short.is_window, short.burst > 0) == (0.0, True)
    assert short.rate > 250
