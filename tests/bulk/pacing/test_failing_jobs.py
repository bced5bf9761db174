"""Jobs of which some lines always fail, or whose provider has too many calls or is down."""

from __future__ import annotations

import pytest

from fanout.bulk.pacing.adaptive_concurrency import INITIAL_CONCURRENCY
from fanout.bulk.pacing.line_faults import evidence_of
from fanout.errors import (
    AllFailed,
    Broken,
    Cause,
    ErrorDetail,
    Overloaded,
    ProviderError,
    RateLimited,
    TimedOut,
    Unreachable,
)
from tests.bulk.pacing.failing_simulation import Failing, near_the_end, simulate
from tests.bulk.work.worker_harness import Deployment

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


@pytest.mark.parametrize(("status", "part"), [(500, 1.0), (500, 0.9), (503, 0.9)])
def test_an_outage_in_which_some_calls_succeed_loses_no_line(status: int, part: float) -> None:
    down = Failing(800, 0.5, down_at=0.5, down=120.0, status=status, down_part=part)
    found = simulate(down)
    assert (found.done, found.lost) == (800, 0)
    assert found.seconds < 180


def test_lines_are_not_taken_for_poison_in_an_outage_near_the_end_of_a_job() -> None:
    for case in near_the_end(5.0):
        assert simulate(case).lost == 0, case


@pytest.mark.parametrize("part", [0.5, 0.8])
def test_lines_are_not_taken_for_poison_if_most_calls_fail(part: float) -> None:
    case = Failing(1500, 0.5, down_at=2.0, down=200.0, status=500, down_part=part)
    assert simulate(case).lost == 0
    assert simulate(Failing(300, 0.5, random=part)).lost == 0


@pytest.mark.parametrize(("poison", "calls"), [(0.01, 8), (0.1, 7), (0.3, 12)])
def test_poison_lines_have_few_calls_while_others_succeed(poison: float, calls: int) -> None:
    found = simulate(Failing(1500, 0.5, poison, capacity=50))
    assert (found.lost, found.failed) == (0, round(1500 * poison))
    accepted = found.calls * (1 - found.rejected)
    assert accepted < 1500 * (1 + (calls - 1) * poison)


def test_poison_lines_that_are_left_after_an_outage_fail_before_long() -> None:
    case = Failing(1500, 0.5, 0.1, down_at=3.0, down=60.0, status=500, down_part=0.9)
    found = simulate(case)
    assert found.lost <= 0
    assert found.seconds < 3 + 60 + 2.5 * MINUTE


@pytest.mark.parametrize("capacity", [3, 5])
def test_a_small_job_does_not_begin_with_many_calls_that_are_rejected(capacity: int) -> None:
    found = simulate(Failing(60 * capacity, 5.0, capacity=capacity))
    assert (found.done, found.lost) == (60 * capacity, 0)
    assert found.rejected < 0.1
    assert found.seconds < 1.1 * 300


def test_a_small_job_is_hardly_later_although_its_first_calls_are_few() -> None:
    assert simulate(Failing(100, 5.0)).seconds < 1.3 * 5.0 + 2.5


def test_the_concurrency_after_a_long_partial_outage_is_that_of_before_it() -> None:
    for status in (500, 503):
        case = Failing(3000, 5.0, down_at=15.0, down=120.0, status=status, down_part=0.9)
        found = simulate(case)
        assert found.lost == 0
        assert found.seconds < 15 + 120 + 3000 / 400 * 5.0 + 40


def test_lines_wait_for_a_server_with_little_room_for_as_long_as_it_takes() -> None:
    found = simulate(Failing(300, 20.0, capacity=3))
    assert (found.done, found.lost) == (300, 0)


def test_a_block_of_poison_lines_at_the_end_fails_within_about_two_minutes() -> None:
    found = simulate(Failing(1000, 0.5, 0.1, "end"))
    assert (found.done, found.failed, found.lost) == (900, 100, 0)
    assert found.seconds < 2.5 * MINUTE


def test_only_failures_of_the_line_itself_are_evidence_against_it() -> None:
    def provider(kind: type[ProviderError], status: int | None = None, text: str = "no") -> object:
        return evidence_of(kind(Deployment(), ErrorDetail(text), upstream=status))

    for status in (429, 503, 529):
        assert provider(Overloaded, status) == "none"
    assert provider(Overloaded, 500, "The model is overloaded") == "none"
    assert provider(RateLimited, 429) == provider(Unreachable) == "none"
    assert provider(Overloaded, 502) == provider(Overloaded, 504) == provider(TimedOut) == "weak"
    assert provider(Overloaded, 500) == provider(Broken) == "strong"
    errors = [Overloaded(Deployment(), ErrorDetail(""), upstream=status) for status in (500, 503)]
    assert evidence_of(AllFailed([Cause("a", one) for one in errors])) == "none"


def test_random_failures_do_not_lower_the_concurrency() -> None:
    found = simulate(Failing(1000, 0.5, random=0.05))
    assert found.lost == 0
    assert found.seconds < 20
