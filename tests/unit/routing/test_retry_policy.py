from __future__ import annotations

from typing import Any

import pytest

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.errors import ErrorDetail, Overloaded, RateLimited
from fanout.routing.retry_policy import RetryPolicy

TO = make_deployment("m", ModelParams(model="openai/m", api_key="k"), {}, {})


def overloaded(**more: Any) -> Overloaded:
    return Overloaded(TO, ErrorDetail("busy"), **more)


@pytest.mark.parametrize(
    ("round_number", "ceiling"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0)]
)
def test_the_ceiling_doubles_each_round_up_to_eight_seconds(
    round_number: int, ceiling: float
) -> None:
    nearly_all = RetryPolicy(lambda: 1.0)
    assert nearly_all.delay(round_number, overloaded()) == ceiling


def test_the_pause_of_any_round_stays_under_the_cap() -> None:
    assert RetryPolicy(lambda: 1.0).delay(100_000, overloaded()) == 8.0


@pytest.mark.parametrize("number", [0.0, 0.25, 0.999])
def test_the_jitter_goes_from_zero_to_the_ceiling(number: float) -> None:
    assert RetryPolicy(lambda: number).delay(2, overloaded()) == 2.0 * number


@pytest.mark.parametrize("after", [0.0, 0.02, 3.0, 600.0])
def test_the_providers_retry_after_replaces_the_backoff(after: float) -> None:
    retry = RetryPolicy(lambda: 0.9)
    assert retry.delay(0, RateLimited(TO, ErrorDetail("slow"), retry_after=after)) == after
    assert retry.delay(9, overloaded(retry_after=after)) == after
