from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import AllFailed, FanoutError, Overloaded, UnknownModel, detail_of
from tests.support.scripted_engine import (
    USAGE,
    Reply,
    Script,
    answers,
    breaks,
    chunk,
    refuses,
    whole,
)
from tests.support.virtual_clock import now, run
from tests.unit.gateway.gateway_harness import HELLO, Harness, contents, outcomes, stream_text

TO_B: dict[str, Any] = {"fallbacks": [{"a": ["b"]}]}


def test_the_configs_fallback_responds_if_its_model_fails() -> None:
    async def main() -> None:
        harness = Harness(a=refuses(500), b=answers("B"), router_settings=TO_B)
        body = await harness.ask("a")
        assert (contents(body), body["model"]) == (["B"], "b")
        assert body["fanout"]["mode"] == "fallback"
        assert outcomes(body["fanout"]) == [("a", "failed"), ("b", "won")]
        assert [one.get("fallback_of") for one in body["fanout"]["attempts"]] == [None, "a"]
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
        first, second = body["choices"]
        assert outcomes(first["fanout"]) == [("a", "failed"), ("b", "won")]
        assert "status 500" in first["fanout"]["attempts"][0]["error"]["message"]
        assert "fanout" not in second
        chunks = await harness.read("a, c")
        (report,) = [one["fanout"] for each in chunks for one in each["choices"] if "fanout" in one]
        assert outcomes(report) == [("a", "failed"), ("b", "won")]

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
        failed, won, lost = body["fanout"]["attempts"]
        assert (failed["model"], failed["outcome"], failed["usage"]) == ("a", "failed", None)
        assert failed["error"]["code"] == "provider_overloaded"
        assert (won["model"], won["outcome"], won["usage"]) == ("b", "won", USAGE)
        assert (won["cost_usd"], won["fallback_of"]) == (12.0, "a")
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
        _, won, _ = chunks[-1]["fanout"]["attempts"]
        assert (won["outcome"], won["usage"], chunks[-1]["model"]) == ("won", USAGE, "b")

    run(main())


# ---- fallbacks for one kind of error ----

TO_C: dict[str, Any] = {"context_window_fallbacks": [{"a": ["c"]}]}
LONG = "context_length_exceeded"
PRICES = {
    name: {"input_cost_per_token": price, "output_cost_per_token": price}
    for name, price in (("a", 0.001), ("b", 0.5), ("c", 1.0))
}


def report_of(attempts: Any) -> list[tuple[Any, ...]]:
    return [
        (one["model"], one["outcome"], one["error"] and one["error"]["code"], one["cost_usd"])
        for one in attempts
    ]


def test_the_report_of_a_special_fallback_names_who_failed_and_who_won() -> None:
    async def main() -> None:
        scripts: dict[str, Any] = {
            "a": refuses(400, code=LONG),
            "b": answers("B"),
            "c": answers("C"),
        }
        harness = Harness(params=PRICES, router_settings=TO_C, **scripts)
        expected = [
            ("a", "failed", LONG, None),
            ("c", "won", None, 12.0),
            ("b", "not_started", None, None),
        ]
        body = await harness.ask("a", fallbacks=["b"])
        assert (body["model"], report_of(body["fanout"]["attempts"])) == ("c", expected)
        assert body["fanout"]["cost_usd"] == 12.0
        usage: dict[str, Any] = {"stream_options": {"include_usage": True}}
        chunks = await harness.read("a", fallbacks=["b"], **usage)
        assert report_of(chunks[-1]["fanout"]["attempts"]) == expected
        raced = await harness.ask("a, b", fastest_response=True, fallbacks=[{"a": ["b"]}])
        assert report_of(raced["fanout"]["attempts"])[-1][:2] == ("b", "won")
        listed = await harness.ask("a", fallbacks=["b"], messages=[HELLO, HELLO])
        for choice in listed["choices"]:
            assert report_of(choice["fanout"]["attempts"]) == expected
        chunks = await harness.read("a", fallbacks=["b"], messages=[HELLO, HELLO], **usage)
        reports = [one["fanout"] for each in chunks for one in each["choices"] if "fanout" in one]
        assert [report_of(one["attempts"]) for one in reports] == [expected, expected]

    run(main())


def filters(*words: str, refusal: str = "") -> Script:
    """A response that the provider ends after these words, because it refuses the rest."""
    body = json.loads(whole("".join(words)))
    body["choices"][0]["finish_reason"] = "content_filter"
    body["choices"][0]["message"]["refusal"] = refusal or None
    pieces = [chunk({"role": "assistant"}), *(chunk({"content": word}) for word in words)]
    pieces += [chunk({"refusal": piece}) for piece in refusal.split("|") if refusal]
    pieces += [chunk({}, "content_filter"), chunk({}, choices=[], usage=USAGE)]
    plain = Reply(pieces=[json.dumps(body).encode()])
    return Script(plain, Reply(pieces=[*pieces, b"data: [DONE]\n\n"]))


POLICY: dict[str, Any] = {"content_policy_fallbacks": [{"a": ["c"]}]}
USAGE_TOO: dict[str, Any] = {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize("words", [(), ("Hel",)])
def test_a_refused_response_is_paid_and_its_fallback_responds(words: tuple[str, ...]) -> None:
    async def main() -> None:
        scripts: dict[str, Any] = {"a": filters(*words), "b": answers("B"), "c": answers("C")}
        harness = Harness(params=PRICES, router_settings=POLICY, **scripts)
        paid = 0.012
        expected = [
            ("a", "failed", "content_filter", paid),
            ("c", "won", None, 12.0),
            ("b", "not_started", None, None),
        ]
        body = await harness.ask("a", fallbacks=["b"])
        assert (contents(body), body["model"]) == (["C"], "c")
        assert report_of(body["fanout"]["attempts"]) == expected
        assert body["fanout"]["cost_usd"] == paid + 12.0
        assert (await harness.ask("a"))["model"] == "c"
        chunks = await harness.read("a", fallbacks=["b"], **USAGE_TOO)
        if words:  # they were sent
            assert stream_text(chunks) == "Hel"
            return
        assert stream_text(chunks) == "C"
        assert report_of(chunks[-1]["fanout"]["attempts"]) == expected

    run(main())


@pytest.mark.parametrize("fallbacks", [{}, {"fallbacks": ["b"]}])
def test_a_streamed_refusal_with_an_explanation_is_not_sent_if_there_is_a_fallback(
    fallbacks: dict[str, Any],
) -> None:
    async def main() -> None:
        scripts: dict[str, Any] = {"b": answers("B"), "c": answers("C")}
        a = filters(refusal="I cannot| help.")
        harness = Harness(a=a, router_settings=POLICY, **scripts)
        chunks = await harness.read("a", **fallbacks)
        assert stream_text(chunks) == "C"
        assert not any(choice["delta"].get("refusal") for c in chunks for choice in c["choices"])
        alone = Harness(a=a, router_settings={}, **scripts)
        sent = [c["choices"][0]["delta"].get("refusal") for c in await alone.read("a")]
        assert "".join(filter(None, sent)) == "I cannot help."
        late = Harness(a=filters("Hel", refusal="no"), router_settings=POLICY, **scripts)
        assert stream_text(await late.read("a")) == "Hel"
        failed = Harness(a=a, c=refuses(500), router_settings=POLICY)
        sent = [c["choices"][0]["delta"].get("refusal") for c in await failed.read("a")]
        assert "".join(filter(None, sent)) == "I cannot help."

    run(main())


@pytest.mark.parametrize("kind", ["context_window_fallbacks", "content_policy_fallbacks"])
def test_one_model_whose_special_fallback_responds_has_the_report_and_mode_of_a_fallback(
    kind: str,
) -> None:
    """Plain, streamed and in the header alike; a model that needs none has neither."""

    async def main() -> None:
        first = refuses(400, code=LONG) if kind.startswith("context") else filters()
        settings = {kind: [{"a": ["c"]}]}
        harness = Harness(params=PRICES, a=first, c=answers("C"), router_settings=settings)
        for model, mode in (("a", "fallback"), ("c", "one")):
            plain = await harness.respond(model)
            stream, chunks = await harness.opened(model, **USAGE_TOO)
            assert isinstance(plain.body, dict)
            reports: list[Any] = [plain.body.get("fanout"), chunks[-1].get("fanout")]
            assert (plain.mode, stream.mode) == (mode, mode)
            assert [one and one["mode"] for one in reports] == [mode if mode != "one" else None] * 2
            if mode == "fallback":
                assert report_of(reports[0]["attempts"]) == report_of(reports[1]["attempts"])
                assert [one["model"] for one in reports[0]["attempts"]] == ["a", "c"]

    run(main())


@pytest.mark.parametrize("name", ["a", "alias"])
@pytest.mark.parametrize("listed", [["a"], ["alias", "c", "a"]])
def test_a_model_is_not_its_own_special_fallback(name: str, listed: list[str]) -> None:
    async def main() -> None:
        for kind, first in (
            ("content_policy_fallbacks", filters()),
            ("context_window_fallbacks", refuses(400, code=LONG)),
        ):
            settings = {kind: [{"*": listed}], "model_group_alias": {"alias": "a"}}
            harness = Harness(a=first, c=answers("C"), router_settings=settings)
            if "c" in listed:
                assert stream_text(await harness.read(name)) == "C"
            elif kind.startswith("content"):
                await harness.ask(name)
            else:
                with pytest.raises(FanoutError):
                    await harness.ask(name)
            assert harness.engine.asked == ["a", *(["c"] if "c" in listed else [])]

    run(main())


def test_a_refused_response_is_sent_if_there_is_nothing_else() -> None:
    async def main() -> None:
        harness = Harness(a=filters(), c=refuses(500), router_settings=POLICY)
        body = await harness.ask("a")
        assert (body["model"], body["choices"][0]["finish_reason"]) == ("a", "content_filter")
        chunks = await harness.read("a")
        assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"
        assert harness.engine.asked == ["a", "c"] * 2
        alone = Harness(a=filters(), c=answers("C"), router_settings={})
        assert (await alone.ask("a"))["choices"][0]["finish_reason"] == "content_filter"
        assert alone.engine.asked == ["a"]

    run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("models", ["one", "fallback", "race", "all"])
def test_if_the_special_fallback_fails_too_no_reason_is_lost(models: str, *, stream: bool) -> None:
    async def main() -> None:
        scripts: dict[str, Any] = {
            "a": refuses(400, code=LONG),
            "b": refuses(429),
            "c": refuses(500),
        }
        harness = Harness(router_settings=TO_C, **scripts)
        names = {"one": ["a", "c"], "all": ["a", "b"]}.get(models, ["a", "c", "b"])
        body: Any = {
            "one": {"model": "a"},
            "fallback": {"model": "a", "fallbacks": ["b"]},
            "race": {"model": "a, b", "fastest_response": True},
            "all": {"model": "a, b"},
        }[models]
        with pytest.raises(AllFailed) as raised:
            await (harness.read if stream else harness.ask)(**body)
        found = raised.value.failures
        assert [cause.model for cause in found] == names
        for status in ("400", "500", *(["429"] if "b" in names else [])):
            assert f"status {status}" in str(raised.value)
        if models != "all":  # where a model's error names its own and its fallback's reason
            assert detail_of(found[0].error).code == LONG

    run(main())


def test_a_fallback_that_is_cancelled_comes_after_the_model_that_failed() -> None:
    async def main() -> None:
        harness = Harness(
            router_settings=TO_B,
            a=refuses(500),
            b=answers("B", after=9.0),
            c=answers("C", after=1.0),
        )
        body = await harness.ask("a, c", fastest_response=True)
        expected = [("a", "failed"), ("b", "cancelled"), ("c", "won")]
        assert outcomes(body["fanout"]) == expected

    run(main())
