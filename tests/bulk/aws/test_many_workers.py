"""The shared rate limit of one model holds with up to a thousand workers."""

from __future__ import annotations

import random

import pytest

from .many_workers import run_many_workers
from .memory_table import WRITES_PER_SECOND


@pytest.mark.parametrize(
    ("workers", "call_seconds"), [(20, 0.004), (100, 0.02), (300, 0.004), (1_000, 0.02)]
)
def test_workers_use_over_90_percent_of_a_limit_and_none_fails(
    workers: int, call_seconds: float
) -> None:
    chance = random.Random(3)  # noqa: S311 -- the same in each run
    outcome = run_many_workers(
        workers,
        requests=1_500,
        tokens=10**9,
        call_seconds=call_seconds,
        size=lambda: chance.randint(50, 250),
        minutes=1.25,
        lines_in_flight=max(4, 400 // workers),
    )
    assert outcome.failed_workers == 0
    assert outcome.used > 0.9
    assert outcome.rejected < 0.01
    assert outcome.writes_per_second < WRITES_PER_SECOND / 2


def test_a_limit_of_tokens_is_shared_by_a_hundred_workers() -> None:
    chance = random.Random(3)  # noqa: S311 -- the same in each run
    outcome = run_many_workers(
        100,
        requests=1_500,
        tokens=150_000,
        call_seconds=0.004,
        size=lambda: chance.randint(50, 250),
        minutes=1.5,
        lines_in_flight=5,
    )
    assert outcome.failed_workers == 0
    assert outcome.used > 0.9
    assert outcome.rejected < 0.01
