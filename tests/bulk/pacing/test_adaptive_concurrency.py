"""Adaptive concurrency: slow start, additive increase, multiplicative decrease."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from fanout.bulk.pacing.adaptive_concurrency import GROWTH, AdaptiveConcurrency
from fanout.errors import ErrorDetail, Overloaded, QuotaExceeded, RateLimited, Rejected
from fanout.routing.leg import Leg


class Deployment(Struct):
    name: str = "a"


def error(kind: Any, **more: Any) -> Any:
    return kind(Deployment(), ErrorDetail("no"), **more)


def test_concurrency_doubles_until_an_overload_and_falls_for_as_long_as_it_rejects_calls() -> None:
    concurrency = AdaptiveConcurrency(initial=4, maximum=100)

    def calls(*ends: Any) -> None:
        legs = [Leg("a", "r") for _ in ends]
        for leg in legs:
            concurrency.started(leg)
        for leg, end in zip(legs, ends, strict=True):
            concurrency.ended(leg, "failed" if end else "ok", end)

    full = error(Overloaded, upstream=503)
    calls(*[None] * 4)
    assert concurrency.limit == 8
    calls(error(RateLimited), error(QuotaExceeded), error(Rejected))
    assert concurrency.limit == 8, "the rate limiter lowers the rate"
    calls(*[full] * 3, *[None] * 4)
    assert concurrency.limit < 7
    lower = concurrency.limit
    calls(*[None] * 50)
    assert lower < concurrency.limit < 8 + GROWTH * 50 / 4
    calls(*[full] * 30)
    calls(*[full] * 30)
    assert concurrency.is_down
    assert concurrency.limit == 1
    calls(None)
    assert not concurrency.is_down
    assert concurrency.limit > 1


def test_lines_that_fail_by_themselves_do_not_lower_it() -> None:
    concurrency = AdaptiveConcurrency(initial=40, maximum=40)
    for number in range(4000):
        leg = Leg("a", "r")
        concurrency.started(leg)
        is_bad = number % 10 == 0
        failure = error(Overloaded, upstream=500) if is_bad else None
        concurrency.ended(leg, "failed" if is_bad else "ok", failure)
    assert concurrency.limit > 27
