"""`batch_completion_models`: one prompt to many models, the fastest answer."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any, Literal

import pytest
from pydantic import BaseModel, field_validator

from fanout.errors import (
    AllFailed,
    MissingKey,
    Overloaded,
    RateLimited,
    RequestError,
    SchemaMismatch,
)
from fanout.routing.first_token_times import COLD
from tests.library.ways import HI, Way, at, content, kind_of, spoken
from tests.support.provider_steps import (
    answers,
    called,
    hang,
    pause,
    refuse,
    role,
    say,
    stalls,
    stop,
    wait,
)
from tests.support.scripted_provider import Upstream

NAME = "batch_completion_models"


def models(*names: str) -> list[str]:
    return [f"openai/{name}" for name in names]


def test_the_first_response_wins_and_not_the_first_listed(upstream: Upstream, call: Way) -> None:
    upstream.script("slow", stalls())
    upstream.script("fast", answers("F"))
    found = call(NAME, models("slow", "fast"), HI, **at(upstream))
    assert (content(found), found.model) == ("F", "openai/fast")


def test_the_losers_are_cancelled_and_the_winner_does_not_wait_for_them(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("fast", [called(upstream, "slow", "mute"), *answers("F")])
    upstream.script("slow", stalls())
    upstream.script("mute", stalls(role))
    found = call(NAME, models("fast", "slow", "mute"), HI, **at(upstream))
    assert content(found) == "F"
    upstream.wait_disconnected("slow", "mute")
    outcomes = [(one.model, one.outcome) for one in found.fanout.attempts]
    assert outcomes == [
        ("openai/fast", "won"), ("openai/slow", "cancelled"), ("openai/mute", "cancelled"),
    ]  # fmt: skip


@pytest.mark.parametrize("order", [("bad", "good"), ("good", "bad")])
def test_a_failure_is_skipped_wherever_it_is_listed(
    upstream: Upstream, call: Way, order: tuple[str, str]
) -> None:
    upstream.script("bad", [refuse(500, "no")])
    upstream.script("good", answers("G", after=0.1))
    found = call(NAME, models(*order), HI, num_retries=0, **at(upstream))
    assert (content(found), found.model) == ("G", "openai/good")


def test_when_all_fail_every_cause_is_reported_in_the_order_of_the_models(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", [pause(0.1), refuse(500, "a is ill")])
    upstream.script("b", [refuse(429, "b is busy")])
    with pytest.raises(AllFailed) as raised:
        call(NAME, models("a", "b"), HI, num_retries=0, **at(upstream))
    causes = [(cause.model, kind_of(cause.error)) for cause in raised.value.failures]
    assert causes == [("openai/a", Overloaded), ("openai/b", RateLimited)]
    assert "a is ill" in str(raised.value)
    assert "b is busy" in str(raised.value)


def test_one_model_alone_that_fails_is_all_of_them(upstream: Upstream, call: Way) -> None:
    upstream.script("a", [refuse(429, "busy")])
    with pytest.raises(AllFailed) as raised:
        call(NAME, models("a"), HI, num_retries=0, **at(upstream))
    assert [kind_of(cause.error) for cause in raised.value.failures] == [RateLimited]
    assert raised.value.status == 429


def test_a_model_whose_key_is_missing_has_failed_like_any_other(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("good", answers("G"))
    keyless = {"model": "openai/keyless", "api_key": "os.environ/FANOUT_TEST_NOT_THERE"}
    found = call(NAME, deployments=[keyless, {"model": "openai/good", **at(upstream)}], messages=HI)
    assert content(found) == "G"
    with pytest.raises(AllFailed) as raised:
        call(NAME, deployments=[keyless], messages=HI)
    assert [kind_of(cause.error) for cause in raised.value.failures] == [MissingKey]


def test_a_whole_response_wins_over_a_first_token(upstream: Upstream, call: Way) -> None:
    upstream.script("talker", [role, say("I"), hang])
    upstream.script("thinker", [called(upstream, "talker"), *answers("Done", after=0.1)])
    found = call(NAME, models("talker", "thinker"), HI, **at(upstream))
    assert content(found) == "Done"
    upstream.wait_disconnected("talker")


def test_the_same_model_may_run_against_itself(upstream: Upstream, call: Way) -> None:
    upstream.script("m", stalls(), answers("second"))
    found = call(NAME, models("m", "m"), HI, **at(upstream))
    assert content(found) == "second"
    assert len(upstream.calls_to("m")) == 2


# ---- streamed ----


def test_streamed_the_first_content_decides_and_not_the_headers_or_the_role(
    upstream: Upstream, call: Way
) -> None:
    gate = upstream.gate()
    upstream.script("head", [role, wait(gate), say("late"), stop])
    upstream.script("token", [called(upstream, "head"), *answers("T", "!", after=0.1)])
    chunks = call.read(NAME, models("head", "token"), HI, **at(upstream))
    assert spoken(chunks) == "T!"
    assert {chunk.model for chunk in chunks} == {"openai/token"}
    upstream.wait_disconnected("head")
    gate.open()


def test_streamed_when_all_fail_the_call_fails_before_anything_is_read(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", [refuse(500, "no")])
    upstream.script("b", [role, hang])
    with pytest.raises(AllFailed) as raised:
        call(NAME, models("a", "a"), HI, stream=True, num_retries=0, **at(upstream))
    assert [cause.model for cause in raised.value.failures] == ["openai/a", "openai/a"]


# ---- a hedge ----


def test_with_a_stagger_the_next_is_only_asked_when_it_is_time(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", answers("B"))
    found = call(NAME, models("a", "b"), HI, stagger=30.0, **at(upstream))
    assert content(found) == "A"
    assert upstream.calls_to("b") == []
    assert found.fanout.attempts[1].outcome == "not_started"


# ---- what may be written ----


def test_a_string_is_a_name_or_a_comma_list_and_not_a_list_of_letters(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", answers("A"))
    upstream.script("b", stalls())
    assert content(call(NAME, "openai/a", HI, **at(upstream))) == "A"
    assert content(call(NAME, "openai/b, openai/a", HI, **at(upstream))) == "A"
    assert {one.model for one in upstream.calls} == {"a", "b"}


@pytest.mark.parametrize("given", [None, [], 5, ["openai/a", ""], [None], "", "a,,b", ["a", 5]])
def test_models_that_are_none_are_rejected(upstream: Upstream, call: Way, given: Any) -> None:
    with pytest.raises(RequestError) as raised:
        call(NAME, given, HI, **at(upstream))
    assert raised.value.param == "models"
    assert upstream.calls == []


@pytest.mark.parametrize("messages", [[], None, "Hi", {"role": "user"}, [{"role": "nobody"}]])
def test_messages_that_are_none_are_rejected(upstream: Upstream, call: Way, messages: Any) -> None:
    with pytest.raises(RequestError, match="messages"):
        call(NAME, models("a"), messages, **at(upstream))
    assert upstream.calls == []


def test_a_name_without_a_known_provider_is_rejected_before_anything_is_sent(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", answers("A"))
    with pytest.raises(RequestError, match="`nobodys-model` has no known provider"):
        call(NAME, ["openai/a", "nobodys-model"], HI)
    assert upstream.calls == []


def test_with_agree_the_response_is_what_two_models_agree_on(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("4"))
    upstream.script("b", answers("5"))
    upstream.script("c", answers("4."))
    found = call(NAME, models("a", "b", "c", "d"), HI, agree=2, **at(upstream))
    assert (content(found), found.model) == ("4", "openai/a")
    assert found.fanout.agree.decided
    assert found.fanout.agree.votes[0].models == ["openai/a", "openai/c"]
    assert found.fanout.agree.calls_saved == 1


def test_the_agreeing_response_that_fits_the_class_is_parsed(upstream: Upstream, call: Way) -> None:
    class Label(BaseModel):
        label: Literal["x", "y"]

    upstream.script("a", answers('{"label": "X"}'))
    upstream.script("b", answers('{"label": "x"}'))
    given: dict[str, Any] = {"agree": 2, "response_format": Label, **at(upstream)}
    found = call(NAME, models("a", "b"), HI, **given)
    assert (found.choices[0].message.parsed, found.model) == (Label(label="x"), "openai/b")
    with pytest.raises(RequestError, match="escalate"):
        call(NAME, models("a", "b"), HI, escalate=["openai/c"], **given)


def test_the_agreeing_response_that_the_validators_of_the_class_accept_is_sent(
    upstream: Upstream, call: Way
) -> None:
    class Label(BaseModel):
        label: Literal["x", "y"]
        reason: str

        @field_validator("reason")
        @classmethod
        def says_something(cls, given: str) -> str:
            if not given:
                raise ValueError("it is empty")
            return given

    upstream.script("a", answers('{"label": "x", "reason": ""}'))
    upstream.script("b", answers('{"label": "x", "reason": "It is."}'))
    agree = {"k": 2, "on": ["label"]}
    given: dict[str, Any] = {"agree": agree, "response_format": Label, **at(upstream)}
    found = call(NAME, models("a", "b"), HI, **given)
    assert (found.choices[0].message.parsed.reason, found.model) == ("It is.", "openai/b")
    assert [one.outcome for one in found.fanout.attempts] == ["agreed", "won"]
    upstream.script("b", answers('{"label": "x", "reason": ""}'))
    with pytest.raises(SchemaMismatch, match="`reason`: Value error, it is empty"):
        call(NAME, models("a", "b"), HI, **given)


def test_models_that_do_not_agree_are_named_as_they_were_given(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", answers("4"))
    upstream.script("b", answers("5"))
    deployments = [{"model": f"openai/{name}", **at(upstream)} for name in ("a", "b")]
    found = call(NAME, None, HI, deployments=deployments, agree=2)
    assert (found.model, found.fanout.agree.decided) == ("openai/a, openai/b", False)


def test_p95_goes_by_the_times_of_this_process_and_once_is_rejected(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("h1", *[answers("fast")] * 50, [role, hang])
    upstream.script("h2", answers("second"))
    for _ in range(50):
        call(NAME, models("h1", "h2"), HI, stagger="p95", **at(upstream))
    began = perf_counter()
    found = call(NAME, models("h1", "h2"), HI, stagger="p95", **at(upstream))
    assert content(found) == "second"
    assert perf_counter() - began < COLD
    with pytest.raises(RequestError, match="`once` is a field of requests to a gateway"):
        call(NAME, models("h1", "h2"), HI, once=True, **at(upstream))


def test_a_judge_chooses_or_merges_the_responses(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("one"))
    upstream.script("b", answers("two"))
    verdict = {"scores": [7, 7], "best": 1, "reason": "equal"}
    upstream.script("c", answers(json.dumps(verdict)), answers("one and two"))
    best = {"judge": "openai/c", "criteria": "Short."}
    found = call(NAME, models("a", "b"), HI, best=best, **at(upstream))
    assert found.model in {"openai/a", "openai/b"}
    assert found.fanout.judge.tie == ["openai/a", "openai/b"]
    assert "Short." in json.dumps(upstream.calls_to("c")[0].body)
    merged = call(NAME, models("a", "b"), HI, merge="openai/c", **at(upstream))
    assert (content(merged), merged.model) == ("one and two", "openai/c")
    assert merged.fanout.judge.outcome == "merged"


def test_deployments_of_one_model_have_a_judge_of_their_own(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("one"), answers("two"))
    verdict = {"scores": [3, 9], "best": 2, "reason": "better"}
    upstream.script("c", answers(json.dumps(verdict)))
    own = {"model": "openai/a"}
    found = call(NAME, None, HI, deployments=[own, own], best="openai/c", **at(upstream))
    assert found.fanout.judge.outcome == "judged"
    assert found.model == "openai/a"
    assert [one.model for one in found.fanout.judge.scores] == ["openai/a", "openai/a"]


@pytest.mark.parametrize(
    "given",
    [
        {"best": 5},
        {"best": ""},
        {"best": {"criteria": "x"}},
        {"best": {"judge": "openai/c", "votes": 2}},
        {"best": {"judge": "openai/c", "criteria": 5}},
        {"best": "openai/c", "agree": 2},
        {"best": "openai/c", "merge": "openai/c"},
        {"merge": "openai/c", "stagger": 1.0},
    ],
)
def test_a_judge_that_cannot_be_meant_is_an_error(
    upstream: Upstream, call: Way, given: dict[str, Any]
) -> None:
    with pytest.raises(RequestError, match=r"best|merge|agree|stagger"):
        call(NAME, models("a", "b"), HI, **given, **at(upstream))
    assert upstream.calls == []


def test_an_agreement_has_rules_and_may_fail(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("4"))
    upstream.script("b", answers("5"))
    rules = {"k": 2, "on": "text", "start": 1, "weights": {"openai/b": 0.9, "openai/a": 0.8}}
    found = call(NAME, models("a", "b"), HI, agree=rules, **at(upstream))
    assert content(found) is None
    assert "did not agree" in found.choices[0].message.refusal
    assert not found.fanout.agree.decided
    assert [sent.model for sent in upstream.calls] == ["b", "a"]


@pytest.mark.parametrize(
    "agree",
    [
        True,
        "2",
        {"votes": 2},
        {"weights": {"x": 1}},
        3,
        {"k": 1},
        {"k": "2"},
        {"on": 5},
        {"on": [5]},
        {"weights": 0.5},
    ],
)
def test_rules_that_cannot_be_meant_are_errors(upstream: Upstream, call: Way, agree: Any) -> None:
    with pytest.raises(RequestError, match=r"agree|`k`|fanout\.k"):
        call(NAME, models("a", "b"), HI, agree=agree, **at(upstream))
