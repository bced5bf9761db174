from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import AllFailed, Broken, RateLimited
from tests.support.scripted_engine import USAGE, answers, breaks, refuses, stalls
from tests.support.virtual_clock import now, run
from tests.unit.gateway.bench import HELLO, Bench, outcomes, said, spoken

USAGE_TOO: dict[str, Any] = {"stream_options": {"include_usage": True}}
TWO = [HELLO, [{"role": "user", "content": "Bye"}]]


# ---- plain ----


def test_one_model_gives_its_own_answer_under_the_callers_name() -> None:
    async def main() -> None:
        body = await Bench(a=answers("A")).ask("a")
        assert (said(body), body["model"], body["usage"]) == (["A"], "a", USAGE)
        assert "fanout" not in body

    run(main())


def test_all_answers_take_as_long_as_the_slowest_and_keep_their_places() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", after=3.0), b=refuses(429), c=answers("C", after=1.0))
        body = await bench.ask("a, b, c")
        assert now() == 3.0
        assert said(body) == ["A", None, "C"]
        assert [choice["finish_reason"] for choice in body["choices"]] == ["stop", "error", "stop"]
        assert body["choices"][1]["error"]["code"] == "rate_limit_exceeded"
        assert body["usage"]["total_tokens"] == 2 * USAGE["total_tokens"]
        assert (body["created"], body["fanout"]) == (1_000, {"mode": "all"})

    run(main())


def test_a_race_is_won_by_the_first_whole_answer_and_the_first_token_counts_for_nothing() -> None:
    async def main() -> None:
        early_talker = answers("A", "!", between=9.0)
        bench = Bench(a=early_talker, b=answers("B", after=1.0))
        body = await bench.ask("a, b", fastest_response=True)
        assert (said(body), now()) == (["B"], 1.0)
        assert outcomes(body["fanout"]) == [("a", "cancelled"), ("b", "won")]
        assert bench.engine.left == [(1.0, "a")]
        assert [sent["stream"] for sent in bench.engine.bodies] == [True, True]

    run(main())


def test_a_race_tells_what_a_cancelled_provider_does_with_its_bill() -> None:
    async def main() -> None:
        params = {"a": {"model": "groq/x"}, "b": {"model": "openai/x"}}
        bench = Bench(a=stalls(), b=answers("B", after=1.0), params=params)
        body = await bench.ask("a, b", fastest_response=True)
        assert [one["billing"] for one in body["fanout"]["attempts"]] == ["continues", None]

    run(main())


def test_a_hedge_starts_the_next_after_the_stagger() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", after=9.0), b=answers("B", after=0.1), c=answers("C"))
        body = await bench.ask("a, b, c", fanout={"mode": "race", "stagger": 0.5})
        assert (said(body), now()) == (["B"], 0.6)
        assert bench.engine.calls == [(0.0, "a"), (0.5, "b")]
        assert outcomes(body["fanout"])[2] == ("c", "not_started")
        assert body["fanout"]["mode"] == "hedge"

    run(main())


def test_conversations_times_models_are_message_major() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A"), b=answers("B"))
        body = await bench.ask("a, b", messages=TWO)
        assert [(c["index"], c["model"]) for c in body["choices"]] == [
            (0, "a"), (1, "b"), (2, "a"), (3, "b"),
        ]  # fmt: skip
        listed = await bench.ask("a, b", messages=TWO, fanout={"shape": "list"})
        assert [[cell["model"] for cell in row] for row in listed] == [["a", "b"], ["a", "b"]]

    run(main())


def test_each_conversation_may_have_its_race() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", after=9.0), b=answers("B", after=1.0))
        body = await bench.ask("a, b", messages=TWO, fastest_response=True)
        assert (said(body), now()) == (["B", "B"], 1.0)
        assert outcomes(body["choices"][1]["fanout"]) == [("a", "cancelled"), ("b", "won")]

    run(main())


@pytest.mark.parametrize(
    ("asked", "configured", "seconds"), [(None, None, 1), (2, None, 3), (9, 3, 2), (2, 3, 3)]
)
def test_calls_of_one_request_are_bounded_by_the_smaller_limit(
    asked: int | None, configured: int | None, seconds: int
) -> None:
    async def main() -> None:
        general = {} if configured is None else {"max_parallel_requests": configured}
        bench = Bench(a=answers("A", after=1.0), general_settings=general)
        fanout: dict[str, Any] = {} if asked is None else {"fanout": {"max_parallel": asked}}
        await bench.ask("a", messages=[HELLO] * 6, **fanout)
        assert now() == seconds

    run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_a_race_of_more_models_than_places_makes_the_rest_wait(*, stream: bool) -> None:
    async def main() -> None:
        bench = Bench(a=refuses(400, after=1.0), b=refuses(400, after=1.0), c=answers("C"))
        ask = bench.read if stream else bench.ask
        await ask("a, b, c", fanout={"mode": "race", "max_parallel": 2})
        assert now() == 1.0  # c waited until a and b had failed

    run(main())


@pytest.mark.parametrize("how", [{}, {"fastest_response": True}, {"fanout": {"mode": "fallback"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_when_all_fail_every_cause_is_told_in_the_callers_order(how: Any, *, stream: bool) -> None:
    async def main() -> None:
        bench = Bench(a=refuses(429, after=2.0), b=refuses(429, after=1.0))
        ask = bench.read if stream else bench.ask
        with pytest.raises(AllFailed) as raised:
            await ask("a, b", **how)
        assert [cause.model for cause in raised.value.failures] == ["a", "b"]
        assert {type(cause.error) for cause in raised.value.failures} == {RateLimited}
        assert raised.value.status == 429

    run(main())


# ---- streamed ----


def test_a_streamed_race_is_won_by_the_first_content() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", after=2.0), b=answers("B", "b", after=1.0, between=5.0))
        chunks = await bench.read("a, b", fastest_response=True, **USAGE_TOO)
        assert (spoken(chunks), now()) == ("Bb", 6.0)
        assert bench.engine.left == [(1.0, "a")]
        last = chunks[-1]
        assert (last["choices"], last["usage"]) == ([], USAGE)
        assert outcomes(last["fanout"]) == [("a", "cancelled"), ("b", "won")]

    run(main())


def test_in_a_streamed_race_an_empty_answer_loses_but_alone_it_is_an_answer() -> None:
    async def main() -> None:
        bench = Bench(a=answers(""), b=answers("B", after=1.0))
        assert spoken(await bench.read("a, b", fastest_response=True)) == "B"
        assert spoken(await bench.read("a")) == ""

    run(main())


def test_a_winner_that_breaks_is_told_and_nobody_takes_over() -> None:
    async def main() -> None:
        bench = Bench(a=breaks("A"), b=answers("B", after=1.0))
        with pytest.raises(Broken):
            await bench.read("a, b", fastest_response=True)
        assert bench.engine.asked == ["a", "b"]

    run(main())


def test_streamed_answers_of_all_come_interleaved_and_end_with_the_sum() -> None:
    async def main() -> None:
        bench = Bench(a=answers("A", "a", between=2.0), b=answers("B", after=1.0), c=refuses(500))
        chunks = await bench.read("a, b, c", **USAGE_TOO)
        told = [
            (choice["index"], choice["delta"].get("content"))
            for chunk in chunks
            for choice in chunk["choices"]
            if choice["delta"].get("content")
        ]
        assert told == [(0, "A"), (1, "B"), (0, "a")]
        ends = {c["index"]: c for chunk in chunks for c in chunk["choices"] if c["finish_reason"]}
        assert [ends[i]["finish_reason"] for i in range(3)] == ["stop", "stop", "error"]
        assert ends[2]["error"]["code"] == "provider_overloaded"
        assert chunks[-1]["usage"]["total_tokens"] == 2 * USAGE["total_tokens"]

    run(main())
