from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import AllFailed, Broken, RateLimited
from tests.support.scripted_engine import USAGE, answers, breaks, refuses, stalls
from tests.support.virtual_clock import now, run
from tests.unit.gateway.gateway_harness import (
    HELLO,
    Harness,
    contents,
    outcomes,
    stream_text,
)

USAGE_TOO: dict[str, Any] = {"stream_options": {"include_usage": True}}
TWO = [HELLO, [{"role": "user", "content": "Bye"}]]


# ---- plain ----


def test_one_model_returns_its_own_response_under_the_clients_name() -> None:
    async def main() -> None:
        body = await Harness(a=answers("A")).ask("a")
        assert (contents(body), body["model"], body["usage"]) == (["A"], "a", USAGE)
        assert "fanout" not in body

    run(main())


def test_all_responses_take_as_long_as_the_slowest_and_are_in_order() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A", after=3.0), b=refuses(429), c=answers("C", after=1.0))
        body = await harness.ask("a, b, c")
        assert now() == 3.0
        assert contents(body) == ["A", None, "C"]
        assert ["error" in choice for choice in body["choices"]] == [False, True, False]
        assert {choice["finish_reason"] for choice in body["choices"]} == {"stop"}
        assert body["choices"][1]["error"]["code"] == "rate_limit_exceeded"
        assert body["usage"]["total_tokens"] == 2 * USAGE["total_tokens"]
        assert (body["created"], body["fanout"]) == (1_000, {"mode": "all"})

    run(main())


def test_a_plain_race_is_won_by_the_first_whole_response_not_by_the_first_token() -> None:
    async def main() -> None:
        early = answers("A", "!", between=9.0)
        harness = Harness(a=early, b=answers("B", after=1.0))
        body = await harness.ask("a, b", fastest_response=True)
        assert (contents(body), now()) == (["B"], 1.0)
        assert outcomes(body["fanout"]) == [("a", "cancelled"), ("b", "won")]
        assert harness.engine.left == [(1.0, "a")]
        assert [sent["stream"] for sent in harness.engine.bodies] == [True, True]

    run(main())


def test_the_report_says_whether_a_cancelled_provider_goes_on_billing() -> None:
    async def main() -> None:
        params = {"a": {"model": "groq/x"}, "b": {"model": "openai/x"}}
        harness = Harness(a=stalls(), b=answers("B", after=1.0), params=params)
        body = await harness.ask("a, b", fastest_response=True)
        assert [one["billing"] for one in body["fanout"]["attempts"]] == ["continues", None]

    run(main())


def test_a_hedge_starts_the_next_after_the_stagger() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A", after=9.0), b=answers("B", after=0.1), c=answers("C"))
        body = await harness.ask("a, b, c", fanout={"mode": "race", "stagger": 0.5})
        assert (contents(body), now()) == (["B"], 0.6)
        assert harness.engine.calls == [(0.0, "a"), (0.5, "b")]
        assert outcomes(body["fanout"])[2] == ("c", "not_started")
        assert body["fanout"]["mode"] == "hedge"

    run(main())


def test_choices_are_in_order_of_conversations_then_models() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A"), b=answers("B"))
        body = await harness.ask("a, b", messages=TWO)
        assert [(c["index"], c["model"]) for c in body["choices"]] == [
            (0, "a"), (1, "b"), (2, "a"), (3, "b"),
        ]  # fmt: skip
        listed = await harness.ask("a, b", messages=TWO, fanout={"shape": "list"})
        assert [[cell["model"] for cell in row] for row in listed] == [["a", "b"], ["a", "b"]]

    run(main())


def test_each_conversation_may_have_its_race() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A", after=9.0), b=answers("B", after=1.0))
        body = await harness.ask("a, b", messages=TWO, fastest_response=True)
        assert (contents(body), now()) == (["B", "B"], 1.0)
        assert outcomes(body["choices"][1]["fanout"]) == [("a", "cancelled"), ("b", "won")]

    run(main())


@pytest.mark.parametrize(
    ("requested", "configured", "seconds"), [(None, None, 1), (2, None, 3), (9, 3, 2), (2, 3, 3)]
)
def test_calls_in_flight_are_limited_by_the_smaller_limit(
    requested: int | None, configured: int | None, seconds: int
) -> None:
    async def main() -> None:
        general = {} if configured is None else {"max_parallel_requests": configured}
        harness = Harness(a=answers("A", after=1.0), general_settings=general)
        fanout: dict[str, Any] = (
            {} if requested is None else {"fanout": {"max_parallel": requested}}
        )
        await harness.ask("a", messages=[HELLO] * 6, **fanout)
        assert now() == seconds

    run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_in_a_race_of_more_models_than_slots_the_others_wait(*, stream: bool) -> None:
    async def main() -> None:
        harness = Harness(a=refuses(400, after=1.0), b=refuses(400, after=1.0), c=answers("C"))
        ask = harness.read if stream else harness.ask
        await ask("a, b, c", fanout={"mode": "race", "max_parallel": 2})
        assert now() == 1.0  # c waited until a and b had failed

    run(main())


@pytest.mark.parametrize("how", [{}, {"fastest_response": True}, {"fanout": {"mode": "fallback"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_if_all_fail_the_error_has_every_cause_in_call_order(how: Any, *, stream: bool) -> None:
    async def main() -> None:
        harness = Harness(a=refuses(429, after=2.0), b=refuses(429, after=1.0))
        ask = harness.read if stream else harness.ask
        with pytest.raises(AllFailed) as raised:
            await ask("a, b", **how)
        assert [cause.model for cause in raised.value.failures] == ["a", "b"]
        assert {type(cause.error) for cause in raised.value.failures} == {RateLimited}
        assert raised.value.status == 429

    run(main())


# ---- streamed ----


def test_a_streamed_race_is_won_by_the_first_content() -> None:
    async def main() -> None:
        harness = Harness(a=answers("A", after=2.0), b=answers("B", "b", after=1.0, between=5.0))
        chunks = await harness.read("a, b", fastest_response=True, **USAGE_TOO)
        assert (stream_text(chunks), now()) == ("Bb", 6.0)
        assert harness.engine.left == [(1.0, "a")]
        last = chunks[-1]
        assert (last["choices"], last["usage"]) == ([], USAGE)
        assert outcomes(last["fanout"]) == [("a", "cancelled"), ("b", "won")]

    run(main())


def test_an_empty_stream_loses_a_race_but_alone_it_is_a_response() -> None:
    async def main() -> None:
        harness = Harness(a=answers(""), b=answers("B", after=1.0))
        assert stream_text(await harness.read("a, b", fastest_response=True)) == "B"
        assert stream_text(await harness.read("a")) == ""

    run(main())


def test_a_winner_that_breaks_is_an_error_and_no_other_model_continues() -> None:
    async def main() -> None:
        harness = Harness(a=breaks("A"), b=answers("B", after=1.0))
        with pytest.raises(Broken):
            await harness.read("a, b", fastest_response=True)
        assert harness.engine.asked == ["a", "b"]

    run(main())


def test_the_streams_of_all_models_are_interleaved_and_end_with_the_summed_usage() -> None:
    async def main() -> None:
        harness = Harness(
            a=answers("A", "a", between=2.0), b=answers("B", after=1.0), c=refuses(500)
        )
        chunks = await harness.read("a, b, c", **USAGE_TOO)
        texts = [
            (choice["index"], choice["delta"].get("content"))
            for chunk in chunks
            for choice in chunk["choices"]
            if choice["delta"].get("content")
        ]
        assert texts == [(0, "A"), (1, "B"), (0, "a")]
        ends = {c["index"]: c for chunk in chunks for c in chunk["choices"] if c["finish_reason"]}
        assert [ends[i]["finish_reason"] for i in range(3)] == ["stop", "stop", "stop"]
        assert ["error" in ends[i] for i in range(3)] == [False, False, True]
        assert ends[2]["error"]["code"] == "provider_overloaded"
        assert chunks[-1]["usage"]["total_tokens"] == 2 * USAGE["total_tokens"]

    run(main())


def test_plain_and_streamed_choices_agree_if_a_model_ignores_n_or_fails() -> None:
    """A helper's list of choices has no gaps, so each choice that a stream begins must end."""

    async def main() -> None:
        harness = Harness(a=answers("A"), b=refuses(500), c=answers("C"))
        plain = await harness.ask("a, b, c", n=2)
        chunks = await harness.read("a, b, c", n=2)
        streamed: dict[int, Any] = {}
        for choice in (choice for chunk in chunks for choice in chunk["choices"]):
            found = streamed.setdefault(choice["index"], {"content": "", "refusal": None})
            found["content"] += choice["delta"].get("content") or ""
            found["refusal"] = choice["delta"].get("refusal") or found["refusal"]
            found |= {name: choice.get(name) for name in ("error", "finish_reason", "usage")}
        assert [choice["index"] for choice in plain["choices"]] == [*streamed] == [*range(6)]
        assert streamed == {
            choice["index"]: {
                "content": choice["message"]["content"] or "",
                "refusal": choice["message"].get("refusal"),
                **{name: choice.get(name) for name in ("error", "finish_reason", "usage")},
            }
            for choice in plain["choices"]
        }
        assert [one["refusal"] for one in streamed.values()][::5] == [
            None,
            "`c` returned 1 of 2 choices",
        ]

    run(main())
