from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import AllFailed, Overloaded, UnknownModel
from tests.support.scripted_engine import USAGE, answers, breaks, refuses
from tests.support.virtual_clock import now, run
from tests.unit.gateway.gateway_harness import Harness, contents, outcomes, stream_text

TO_B: dict[str, Any] = {"fallbacks": [{"a": ["b"]}]}


def test_the_configs_fallback_responds_if_its_model_fails() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500), b=answers("B"), router_settings=TO_B)
        body = await harness.ask("a")
        assert (contents(body), body["model"]) == (["B"], "b")
        assert body["fanout"]["mode"] == "fallback"
        assert outcomes(body["fanout"]) == [("a", "failed"), ("b", "won")]
        assert harness.engine.asked == ["a", "b"]

    run(main())


def test_a_fallback_that_is_not_needed_is_not_started() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A"), b=answers("B"), router_settings=TO_B)
        body = await harness.ask("a")
        assert outcomes(body["fanout"]) == [("a", "won"), ("b", "not_started")]
        assert harness.engine.asked == ["a"]

    run(main())


def test_retries_come_before_the_fallback() -> None:
    async def main() -> None:
        harness = Harness(
            params={"a": {"num_retries": 2}},
            router_settings=TO_B,
            a=refuses(500),
            b=answers("B"),
        )
        await harness.ask("a")
        assert harness.engine.asked == ["a", "a", "a", "b"]

    run(main())


def test_fallbacks_are_called_in_order_each_after_the_one_before_has_failed() -> None:
    async def main() -> None:
        settings = {"fallbacks": [{"a": ["b", "c"]}]}
        harness = Harness(
            a=refuses(500, after=1.0),
            b=refuses(503, after=2.0),
            c=answers("C"),
            router_settings=settings,
        )
        assert contents(await harness.ask("a")) == ["C"]
        assert harness.engine.calls == [(0.0, "a"), (1.0, "b"), (3.0, "c")]

    run(main())


def test_the_requests_fallbacks_replace_the_configs() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500), b=answers("B"), c=answers("C"), router_settings=TO_B)
        assert contents(await harness.ask("a", fallbacks=["c"])) == ["C"]
        assert contents(await harness.ask("a", fallbacks=[{"a": ["c"]}])) == ["C"]
        with pytest.raises(Overloaded):
            await harness.ask("a", fallbacks=[])
        assert "b" not in harness.engine.asked

    run(main())


def test_if_the_fallbacks_fail_too_the_error_has_every_cause_in_order() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500), b=refuses(429), router_settings=TO_B)
        with pytest.raises(AllFailed) as raised:
            await harness.ask("a")
        assert [cause.model for cause in raised.value.failures] == ["a", "b"]
        assert raised.value.status == 502

    run(main())


def test_an_unknown_fallback_is_rejected_before_any_call() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A"))
        with pytest.raises(UnknownModel, match="`nope`"):
            await harness.ask("a", fallbacks=["nope"])
        assert harness.engine.calls == []

    run(main())


def test_a_stream_falls_back_until_its_first_content() -> None:
    async def main() -> None:
        harness = Harness(a=breaks(after=2.0), b=answers("B", "!"), router_settings=TO_B)
        chunks = await harness.read("a")
        assert stream_text(chunks) == "B!"
        assert {chunk["model"] for chunk in chunks} == {"b"}
        assert harness.engine.calls == [(0.0, "a"), (2.0, "b")]

    run(main())


def test_each_of_several_responses_has_its_own_fallback() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500), b=answers("B"), c=answers("C"), router_settings=TO_B)
        body = await harness.ask("a, c")
        assert contents(body) == ["B", "C"]
        assert [choice["model"] for choice in body["choices"]] == ["b", "c"]

    run(main())


def test_a_model_may_win_a_race_by_its_fallback_under_the_fallbacks_name() -> None:
    async def main() -> None:
        prices = {"input_cost_per_token": 1.0, "output_cost_per_token": 1.0}
        harness = Harness(
            params={"b": prices},
            router_settings=TO_B,
            a=refuses(500),
            b=answers("B", after=1.0),
            c=answers("C", after=9.0),
        )
        body = await harness.ask("a, c", fastest_response=True)
        assert (contents(body), body["model"], now()) == (["B"], "b", 1.0)
        won, lost = body["fanout"]["attempts"]
        assert (won["model"], won["outcome"], won["usage"]) == ("a", "won", USAGE)
        assert won["cost_usd"] == 12.0
        assert won["first_token_ms"] is not None
        assert (lost["model"], lost["outcome"]) == ("c", "cancelled")

    run(main())


def test_in_a_streamed_race_the_report_has_the_usage_of_a_winning_fallback() -> None:
    async def main() -> None:
        harness = Harness(
            a=refuses(500), b=answers("B"), c=answers("C", after=9.0), router_settings=TO_B
        )
        chunks = await harness.read(
            "a, c", fastest_response=True, stream_options={"include_usage": True}
        )
        won, _ = chunks[-1]["fanout"]["attempts"]
        assert (won["outcome"], won["usage"], chunks[-1]["model"]) == ("won", USAGE, "b")

    run(main())
