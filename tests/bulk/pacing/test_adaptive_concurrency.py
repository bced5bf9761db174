"""Adaptive concurrency: slow start, additive increase, multiplicative decrease."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from fanout.bulk.pacing.adaptive_concurrency import AdaptiveConcurrency
from fanout.errors import ErrorDetail, Overloaded, QuotaExceeded, RateLimited, Rejected
from fanout.routing.leg import Leg


class Deployment(Struct):
    name: str = "a"


def error(kind: Any, **more: Any) -> Any:
    return kind(Deployment(), ErrorDetail("no"), **more)


def test_concurrency_doubles_until_an_overload_and_falls_once_for_calls_in_flight_together() -> (
    None
):
    now = [0.0]
    concurrency = AdaptiveConcurrency(lambda: now[0], initial=4, maximum=100)
    leg = Leg("a", "r", started=0.0)
    for _ in range(4):
        concurrency.ended(leg, "ok", None)
    assert concurrency.limit == 8
    now[0], leg.started = 2.0, 1.0
    concurrency.ended(leg, "failed", error(RateLimited))
    assert concurrency.limit == 8, "the rate limiter lowers the rate"
    for _ in range(5):
        concurrency.ended(leg, "failed", error(Overloaded, upstream=503))
    assert concurrency.limit == pytest.approx(5.6)  # all five started before the first one ended
    leg.started = 3.0
    concurrency.ended(leg, "failed", error(QuotaExceeded))
    concurrency.ended(leg, "failed", error(Rejected))
    concurrency.ended(leg, "cancelled", None)
    assert concurrency.limit == pytest.approx(5.6)
    concurrency.ended(leg, "ok", None)
    assert concurrency.limit == pytest.approx(5.6 + 1 / 5.6)
    for _ in range(50):
        now[0] += 1
        leg.started = now[0]
        now[0] += 1
        concurrency.ended(leg, "failed", error(Overloaded, upstream=503))
    assert concurrency.limit == 1
