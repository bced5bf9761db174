from __future__ import annotations

from typing import Any

from fanout.concurrency import Cancelled, Failure, RaceOutcome, Success
from fanout.config.deployment import Deployment, make_deployment
from fanout.config.model import ModelParams
from fanout.errors import ErrorDetail, RateLimited
from fanout.gateway.report import make_report
from fanout.routing.leg import Leg

USAGE: Any = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


def deployment(model: str = "openai/x", **params: Any) -> Deployment:
    return make_deployment("m", ModelParams(model=model, api_key="k", **params), {}, {})


def test_the_report_has_every_model_in_call_order_with_its_outcome() -> None:
    legs = [Leg(name, "r", deployment=deployment()) for name in "abcd"]
    error = RateLimited(deployment(), ErrorDetail("slow down"), upstream=429)
    outcomes: list[RaceOutcome[int]] = [
        Failure(error, 0.5),
        Cancelled(0.75),
        Success(1, 0.75),
        None,
    ]
    report = make_report("race", legs, outcomes, 100.0, 100.8)
    assert report["mode"] == "race"
    attempts = [(one["model"], one["outcome"], one["duration_ms"]) for one in report["attempts"]]
    assert attempts == [
        ("a", "failed", 500.0), ("b", "cancelled", 750.0), ("c", "won", 800.0),
        ("d", "not_started", None),
    ]  # fmt: skip
    errors = [one["error"] for one in report["attempts"]]
    assert errors[1:] == [None, None, None]
    assert errors[0] == {
        "message": "`m`: slow down",
        "type": "api_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


def test_the_message_of_a_bug_is_not_shown() -> None:
    legs = [Leg("a", "r", deployment=deployment())]
    outcomes: list[RaceOutcome[int]] = [Failure(ZeroDivisionError("secret"), 0.5)]
    (only,) = make_report("race", legs, outcomes, 0.0, 1.0)["attempts"]
    assert "secret" not in str(only)
    assert only["error"]["type"] == "server_error"


def test_the_first_token_is_timed_from_the_start_of_the_race() -> None:
    leg = Leg("a", "r", first_token=100.25, deployment=deployment())
    outcomes: list[RaceOutcome[int]] = [Success(1, 0.5)]
    (only,) = make_report("race", [leg], outcomes, 100.0, 101.0)["attempts"]
    assert (only["first_token_ms"], only["duration_ms"]) == (250.0, 1000.0)


def test_usage_has_its_cost_by_the_deployments_prices_and_the_report_their_sum() -> None:
    priced = deployment(input_cost_per_token=0.5, output_cost_per_token=2.0)
    legs = [
        Leg("a", "r", usage=USAGE, deployment=priced),
        Leg("b", "r", usage=USAGE, deployment=priced),
        Leg("c", "r", usage=USAGE, deployment=deployment()),
        Leg("d", "r", deployment=priced),
    ]
    outcomes: list[RaceOutcome[int]] = [Success(1, 0.5), *[Cancelled(0.5)] * 3]
    report = make_report("race", legs, outcomes, 0.0, 1.0)
    assert [one["cost_usd"] for one in report["attempts"]] == [9.0, 9.0, None, None]
    assert [one["usage"] for one in report["attempts"]] == [USAGE, USAGE, USAGE, None]
    assert report["cost_usd"] == 18.0


def test_without_a_known_price_the_report_has_no_cost() -> None:
    outcomes: list[RaceOutcome[int]] = [Success(1, 0.5)]
    legs = [Leg("a", "r", usage=USAGE, deployment=deployment())]
    assert "cost_usd" not in make_report("race", legs, outcomes, 0.0, 1.0)


def test_only_cancelled_calls_have_a_billing_note() -> None:
    legs = [
        Leg("a", "r", deployment=deployment("openai/x"), is_stream=True),
        Leg("b", "r", deployment=deployment("groq/x"), is_stream=True),
        Leg("c", "r", deployment=deployment("openrouter/x"), is_stream=True),
        Leg("d", "r", deployment=deployment("openai/x")),  # only of streams is it known
        Leg("e", "r"),  # cancelled while it waited for a slot
        Leg("f", "r", deployment=deployment("groq/x"), is_stream=True),
    ]
    outcomes: list[RaceOutcome[int]] = [*[Cancelled(0.5)] * 5, Success(1, 0.5)]
    report = make_report("race", legs, outcomes, 0.0, 1.0)
    billing = [one["billing"] for one in report["attempts"]]
    assert billing == ["stops", "continues", "unknown", "unknown", None, None]


def test_each_fallback_that_was_called_has_an_attempt_after_its_model() -> None:
    leg = Leg("a", "r", started=0.0, deployment=deployment("openai/x"))
    first, second, inner = leg.fallback("b"), leg.fallback("c"), leg.fallback("d").fallback("e")
    assert leg.latest is leg
    leg.failure = first.failure = second.failure = Failure(ValueError("x"), 0.25)
    leg.fallbacks, second.fallbacks = (first, second), (inner,)
    inner.deployment, inner.is_stream = deployment("groq/x"), True
    assert leg.latest is inner
    outcomes: list[RaceOutcome[int]] = [Cancelled(0.75), None]
    attempts = make_report("race", [leg, Leg("f", "r")], outcomes, 0.0, 1.0)["attempts"]
    found = [(one["model"], one["outcome"], one.get("fallback_of")) for one in attempts]
    assert found == [
        ("a", "failed", None),
        ("b", "failed", "a"),
        ("c", "failed", "a"),
        ("e", "cancelled", "d"),
        ("f", "not_started", None),
    ]
    assert [one["billing"] for one in attempts] == [None, None, None, "continues", None]
