"""
Mode `agree`: the response is sent as soon as enough models agree, and no other call is made.

Over real sockets, plain and streamed.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any

import openai
import pytest

from tests.http.races import HI, SETTLE, both_ways, outcomes
from tests.support.gateway_response import ParsedResponse
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, called, hang, pause, refuse, role, until, wait
from tests.support.scripted_provider import Call, Upstream

LABEL = {
    "type": "json_schema",
    "json_schema": {
        "name": "label",
        "schema": {
            "type": "object",
            "properties": {"label": {"enum": ["good", "bad"]}, "reason": {"type": "string"}},
            "required": ["label"],
        },
    },
}

CHECKED = {"response_format": LABEL}


def agree(
    server: RunningGateway, models: str, *, stream: bool, more: Any = None, **fanout: Any
) -> ParsedResponse:
    """Send a request in mode `agree`."""
    body: dict[str, Any] = {"model": models, "messages": HI, **(more or {})}
    body["fanout"] = {"mode": "agree", **fanout}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return server.chat(body)


def votes(response: ParsedResponse) -> dict[str, Any]:
    assert response.report is not None, response
    found: dict[str, Any] = response.report["agree"]
    return found


@both_ways
def test_two_equal_responses_decide_and_the_third_model_is_not_called(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("Paris"))
    upstream.script("b", answers("  paris."))
    response = agree(server, "a, b, c", stream=stream)
    assert (response.status, response.model, response.text) == (200, "a", "Paris")
    assert response.headers["x-fanout-mode"] == "agree"
    assert response.headers["x-fanout-winner"] == "a"
    assert outcomes(response) == {"a": "won", "b": "agreed", "c": "not_started"}
    assert not upstream.calls_to("c")
    found = votes(response)
    assert found["decided"] is True
    assert found["votes"] == [{"value": "paris", "votes": 2, "models": ["a", "b"]}]
    assert (found["k"], found["on"], found["calls"], found["calls_saved"]) == (2, "text", 2, 1)


@both_ways
def test_a_disagreement_or_a_failure_starts_the_next_model(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("Paris"))
    upstream.script("b", answers("Lyon"))
    upstream.script("c", [refuse(500)])
    upstream.script("d", answers("Paris"))
    response = agree(server, "a, b, c, d", stream=stream)
    assert (response.model, response.text) == ("a", "Paris")
    expected = {"a": "won", "b": "dissented", "c": "failed", "d": "agreed"}
    assert outcomes(response) == expected
    assert [one["votes"] for one in votes(response)["votes"]] == [2, 1]


def _has_calls(upstream: Upstream, number: int) -> bool:
    return len(upstream.calls_to("a")) >= number


@both_ways
def test_calls_that_can_no_longer_matter_are_cancelled(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    """Within 100 ms of the decision, on a machine that is not busy: in one of three cases here."""
    never, decided, seconds = upstream.gate(), [0.0], []

    async def decides(_: Call) -> None:
        decided[0] = perf_counter()

    for number in range(1, 4):
        started = until(partial(_has_calls, upstream, number))
        upstream.script("a", [role, wait(never), hang])
        upstream.script("b", [started, *answers("4")])
        *first, last = answers("4.0")
        upstream.script("c", [started, pause(0.02), *first, decides, last])
        response = agree(server, "a, b, c", stream=stream, start="all")
        assert (response.model, response.text) == ("b", "4")
        assert outcomes(response) == {"a": "cancelled", "b": "won", "c": "agreed"}
        upstream.wait_disconnected("a")
        seconds.append((upstream.calls_to("a")[-1].disconnected_at or 0) - decided[0])
    assert min(seconds) < 0.1


@both_ways
def test_models_that_do_not_agree_give_no_answer_but_the_votes(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    for name, text in (("a", "one"), ("b", "two"), ("c", "three")):
        upstream.script(name, answers(text))
    response = agree(server, "a, b, c", stream=stream)
    assert response.status == 200
    assert "x-fanout-winner" not in response.headers
    refusal = "2 equal responses were needed, and the answers have 1, 1, 1 votes."
    choice = response.choices[0]
    message = choice.get("message") or choice["delta"]
    assert not message.get("content")
    if not stream:
        assert message["refusal"] == f"The models did not agree: {refusal}"
    found = votes(response)
    assert found["decided"] is False
    assert [one["value"] for one in found["votes"]] == ["one", "two", "three"]
    assert set(outcomes(response).values()) == {"dissented"}


@both_ways
def test_the_end_comes_as_soon_as_no_answer_can_win(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    never = upstream.gate()
    upstream.script("a", [called(upstream, "b", "c"), *answers("one")])
    upstream.script("b", [called(upstream, "a", "c"), *answers("two")])
    upstream.script("c", [role, wait(never), hang])
    response = agree(server, "a, b, c", stream=stream, k=3)
    assert votes(response)["decided"] is False
    assert outcomes(response) == {"a": "dissented", "b": "dissented", "c": "cancelled"}


def test_at_the_deadline_the_votes_so_far_are_the_response(
    server: RunningGateway, upstream: Upstream
) -> None:
    """For plain and streamed requests, lists, all at once, and checked responses."""
    one = '{"label": "good"}'
    check = {"response_format": LABEL}
    cases: list[tuple[bool, dict[str, Any], dict[str, Any]]] = [
        (True, {}, {}),
        (False, {"messages": [HI]}, {}),
        (False, {}, {"start": "all", "k": 3}),
        (True, check, {"check": True}),
    ]
    wrong: list[Any] = []
    for stream, more, fanout in cases:
        upstream.script("a", answers(one))
        for name in ("b", "c"):
            upstream.script(name, [role, hang])
        given = {"timeout": 1.0 if fanout.get("check") else 0.4, **more}
        response = agree(server, "a, b, c", stream=stream, more=given, **fanout)
        own = response.choices.get(0) or {}
        found = own.get("fanout") or response.report or {}
        kinds = {attempt["model"]: attempt["outcome"] for attempt in found.get("attempts", ())}
        third = "cancelled" if "start" in fanout else "not_started"
        if (
            response.status != 200
            or kinds != {"a": "dissented", "b": "cancelled", "c": third}
            or "agree" not in found
            or found["agree"]["decided"]
            or [vote["votes"] for vote in found["agree"]["votes"]] != [1]
        ):
            wrong.append((stream, more, fanout, response.status, kinds, response.error))
        upstream.wait_disconnected("b")
    assert wrong == []


def test_a_call_that_was_never_sent_is_not_counted(
    server: RunningGateway, upstream: Upstream
) -> None:
    for name in ("a", "b", "c"):
        upstream.script(name, answers("4"))
    response = agree(server, "a, b, c", stream=False, start="all", max_parallel=1)
    assert outcomes(response) == {"a": "won", "b": "agreed", "c": "not_started"}
    assert (votes(response)["calls"], votes(response)["calls_saved"]) == (2, 1)
    assert not upstream.calls_to("c")


def test_json_is_compared_by_its_fields_without_the_free_text(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers('{"label": "good", "reason": "I like it"}'))
    upstream.script("b", answers('{"reason": "So nice!", "label": "GOOD"}'))
    response = agree(server, "a, b, c", stream=False, more={"response_format": LABEL})
    assert response.text == '{"label": "good", "reason": "I like it"}'
    found = votes(response)
    assert (found["on"], found["fields"]) == ("json", ["label"])
    assert found["votes"][0]["value"] == {"label": "good"}


def test_the_response_that_fits_the_schema_is_sent_and_numbers_are_shown_exactly(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers('{"label": "GOOD"}'), answers('{"n": 0.10000000000000001}'))
    upstream.script("b", answers('{"label": "good"}'), answers('{"n": 0.1}'))
    response = agree(server, "a, b", stream=False, more=CHECKED)
    assert (response.model, response.text) == ("b", '{"label": "good"}')
    assert outcomes(response) == {"a": "agreed", "b": "won"}
    shown = votes(agree(server, "a, b", stream=False, on="json"))
    assert [one["value"] for one in shown["votes"]] == [{"n": "0.10000000000000001"}, {"n": 0.1}]


def test_named_fields_are_compared_alone(server: RunningGateway, upstream: Upstream) -> None:
    upstream.script("a", answers('{"a": {"b": 1}, "c": "x"}'))
    upstream.script("b", answers('{"a": {"b": 1.0}, "c": "y"}'))
    response = agree(server, "a, b", stream=False, on=["a.b"])
    assert votes(response)["votes"] == [{"value": {"a.b": 1}, "votes": 2, "models": ["a", "b"]}]


def test_a_response_that_is_no_answer_has_no_vote(
    server: RunningGateway, upstream: Upstream
) -> None:
    for text, reason in (("x" * 100, "too long to be compared"), ("Answer: ", "no answer after")):
        upstream.script("a", answers(text))
        upstream.script("b", answers("Paris"))
        upstream.script("c", answers("Paris"))
        response = agree(server, "a, b, c", stream=False)
        assert outcomes(response) == {"a": "no_vote", "b": "won", "c": "agreed"}
        assert response.report is not None
        assert reason in response.report["attempts"][0]["error"]["message"]


def test_the_most_accurate_models_start_first(server: RunningGateway, upstream: Upstream) -> None:
    for name in ("b", "c"):
        upstream.script(name, answers("4"))
    weights = {"a": 0.6, "b": 0.9, "c": 0.95}
    response = agree(server, "a, b, c", stream=False, weights=weights)
    assert outcomes(response) == {"a": "not_started", "b": "won", "c": "agreed"}


def test_a_lead_of_two_votes_asks_further_models(
    server: RunningGateway, upstream: Upstream
) -> None:
    for name, text in (("a", "4"), ("b", "5"), ("c", "4"), ("d", "4")):
        upstream.script(name, answers(text))
    response = agree(server, "a, b, c, d", stream=False, lead=2)
    assert votes(response)["calls"] == 4
    assert votes(response)["decided"] is True


def test_a_confidence_asks_until_the_answer_is_probable_enough(
    server: RunningGateway, upstream: Upstream
) -> None:
    for name in ("a", "b", "c", "d"):
        upstream.script(name, answers("4"))
    low = agree(server, "a, b, c, d", stream=False, confidence=0.9)
    assert votes(low)["calls"] == 2
    high = agree(server, "a, b, c, d", stream=False, confidence=0.92)
    assert votes(high)["calls"] == 3
    assert 0.92 <= votes(high)["confidence"] < 1
    never = agree(server, "a, b, c, d", stream=False, confidence=0.99)
    assert never.status == 400
    assert never.error is not None
    assert never.error["param"] == "fanout.confidence"
    assert len(upstream.calls) == 5


def test_a_cascade_asks_one_model_after_the_other(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("4"))
    upstream.script("b", [pause(SETTLE), *answers("4")])
    response = agree(server, "a, b, c", stream=False, start=1)
    assert outcomes(response) == {"a": "won", "b": "agreed", "c": "not_started"}


def test_if_all_models_fail_the_error_has_each_cause(
    server: RunningGateway, upstream: Upstream
) -> None:
    for name in ("a", "b", "c"):
        upstream.script(name, [refuse(500)])
    response = agree(server, "a, b, c", stream=False)
    assert response.status == 502
    assert response.error is not None
    assert len(response.error["causes"]) >= 2


@both_ways
def test_if_too_many_fail_to_agree_the_error_says_so_and_names_each(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [refuse(500, "broken"), hang])
    upstream.script("b", [refuse(503, "busy")])
    cases = [("a, b, c", 2, "2 of 3"), ("a, c", 2, "1 of 2")]
    upstream.script("c", [pause(0.2), *answers("late")])
    for models, k, failed in cases:
        response = agree(server, models, stream=stream, k=k)
        assert response.error is not None
        message = response.error["message"]
        assert message.startswith(f"{failed} models failed, so no answer can get 2 votes: `a`")
        assert "broken" in message
        causes = [one["model"] for one in response.error["causes"]]
        assert causes == (["a", "b"] if models.endswith("c") and "b" in models else ["a"])


def test_models_that_disagree_and_fail_are_all_named(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("4"))
    upstream.script("b", [called(upstream, "a"), pause(SETTLE), refuse(500, "broken")])
    upstream.script("c", [refuse(503, "busy")])
    response = agree(server, "a, b, c", stream=False)
    refusal = response.choices[0]["message"]["refusal"]
    said = "2 equal responses were needed, and the answers have 1 vote; 2 failed (`b"
    assert said in refusal
    assert "broken" in refusal
    assert "busy" in refusal


@both_ways
def test_one_call_at_a_time_is_enough_for_all(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    for name, text in {"a": "5", "b": "4", "c": "4"}.items():
        upstream.script(name, answers(text))
    response = agree(server, "a, b, c", stream=stream, start="all", max_parallel=1)
    assert (response.model, response.text) == ("b", "4")
    assert [call.model for call in upstream.calls] == ["a", "b", "c"]


def test_a_stream_is_kept_alive_until_the_decision_and_names_its_mode(
    provider: Upstream, upstream: Upstream
) -> None:
    waited = upstream.gate()
    upstream.script("a", answers("4"))
    upstream.script("b", [wait(waited), *answers("4")])
    config = {"model_list": [entry(provider, name) for name in ("a", "b")]}
    body = {"model": "a, b", "messages": HI, "stream": True, "fanout": {"mode": "agree"}}
    with serve(config, keep_alive=0.05) as server, server.ask(body) as response:
        assert response.readline() == b": keep-alive\n"
        waited.open()
        rest = response.read()
    assert response.headers["x-fanout-mode"] == "agree"
    assert "x-fanout-winner" not in response.headers
    assert b'"content":"4"' in rest
    assert rest.endswith(b"data: [DONE]\n\n")


def test_decisions_are_recorded(server: RunningGateway, upstream: Upstream) -> None:
    for name in ("a", "b"):
        upstream.script(name, answers("4"), answers("4"), [refuse(500)])
    server.observer.clear()
    agree(server, "a, b, c", stream=False)
    best: dict[str, Any] = {"mode": "best", "judge": "c", "models": ["a", "b"]}
    server.chat({"messages": HI, "fanout": best})
    found = [(one.mode, one.outcome, one.votes) for one in server.observer.decisions]
    assert found == [("agree", "agreed", 2), ("best", "equal_responses", 0)]
    assert server.observer.decisions[0].calls_saved == 1


@both_ways
def test_each_conversation_of_a_list_has_its_own_vote(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("4"))
    upstream.script("b", answers("4"))
    more = {"messages": [HI, HI]}
    response = agree(server, "a, b, c", stream=stream, more=more)
    assert response.texts == {0: "4", 1: "4"}
    found = [response.choices[index]["fanout"]["agree"]["decided"] for index in (0, 1)]
    assert found == [True, True]


@both_ways
def test_a_conversation_whose_models_all_fail_has_its_report(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    for mode in ("agree", "best"):
        for name in ("a", "b"):
            upstream.script(name, answers("4"), [refuse(500)])
        fanout: dict[str, Any] = {"mode": mode, "max_parallel": 1}
        fanout |= {"judge": "c"} if mode == "best" else {}
        body = {"model": "a, b", "messages": [HI, HI], "num_retries": 0, "fanout": fanout}
        failed = server.chat({**body, "stream": stream}).choices[1]
        found = {one["model"]: one["outcome"] for one in failed["fanout"]["attempts"]}
        rest = "not_started" if mode == "agree" else "failed"  # one model cannot agree
        assert found == {"a": "failed", "b": rest}, mode
        assert failed["error"]["message"]


def test_only_valid_responses_vote_if_they_are_checked(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers('{"label": "great"}'), answers('{"label": "bad"}'))
    upstream.script("b", answers('{"label": "good"}'))
    upstream.script("c", answers('{"label": "bad"}'))
    response = agree(server, "a, b, c", stream=False, more={"response_format": LABEL}, check=True)
    assert response.text == '{"label": "bad"}'
    assert response.report is not None
    listed = sorted((one["model"], one["outcome"]) for one in response.report["attempts"])
    assert listed == [("a", "invalid"), ("a", "won"), ("b", "dissented"), ("c", "agreed")]


def test_a_name_of_the_config_may_stand_for_the_models(
    provider: Upstream, upstream: Upstream
) -> None:
    models = [entry(provider, name) for name in ("a", "b", "c")]
    alias = {"fast": {"models": ["a", "b", "c"]}}
    upstream.script("b", answers("4"))
    upstream.script("c", answers("4"))
    with serve({"model_list": models, "router_settings": {"model_group_alias": alias}}) as server:
        response = agree(server, "fast", stream=False, weights={"b": 0.9, "c": 0.95})
    assert outcomes(response) == {"a": "not_started", "b": "won", "c": "agreed"}


def test_the_openai_client_reads_both_ends(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", answers("4"), answers("4"))
    upstream.script("b", answers("4"), answers("5"))
    asked: dict[str, Any] = {"fanout": {"mode": "agree"}}
    messages: Any = HI
    agreed = client.chat.completions.create(model="a, b", messages=messages, extra_body=asked)
    assert agreed.choices[0].message.content == "4"
    split = client.chat.completions.create(model="a, b", messages=messages, extra_body=asked)
    assert split.choices[0].message.content is None
    assert (split.choices[0].message.refusal or "").startswith("The models did not agree")


@pytest.mark.parametrize(
    ("more", "fanout", "param"),
    [
        ({"model": "a"}, {}, "fanout.models"),
        ({"model": "a, b"}, {"k": 3}, "fanout.k"),
        ({"model": "a, b"}, {"k": 1}, "fanout.k"),
        ({"model": "a, b"}, {"lead": 3}, "fanout.lead"),
        ({"model": "a, b"}, {"on": "words"}, "fanout.on"),
        ({"model": "a, b"}, {"on": []}, "fanout.on"),
        ({"model": "a, b"}, {"on": ["a."]}, "fanout.on"),
        ({"model": "a, b", **CHECKED}, {"check": True, "escalate": ["c"]}, "fanout.escalate"),
        ({"model": "a, b", **CHECKED}, {"escalate": ["c"]}, "fanout.escalate"),
        ({"model": "a, b", **CHECKED, "stream": True}, {"escalate": ["c"]}, "fanout.escalate"),
        ({"model": "a, b"}, {"start": 0}, "fanout.start"),
        ({"model": "a, b"}, {"confidence": 1}, "fanout.confidence"),
        ({"model": "a, b", "messages": [HI, HI]}, {"confidence": 1}, "fanout.confidence"),
        ({"model": "a, b"}, {"weights": [0.5]}, "fanout.weights"),
        ({"model": "a, b"}, {"weights": {"c": 0.5}}, "fanout.weights"),
        ({"model": "a, b"}, {"stagger": 1}, "fanout.stagger"),
        ({"model": "a, b"}, {"mode": "race", "k": 2}, "fanout.k"),
        ({"model": "a, b", "n": 2}, {}, "n"),
        ({"model": "a, b", "fallbacks": ["c"]}, {}, "fallbacks"),
        ({"model": "a, b", "fastest_response": True}, {}, "fanout.mode"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_names_the_field(
    server: RunningGateway, more: dict[str, Any], fanout: dict[str, Any], param: str
) -> None:
    body = {"messages": HI, **more, "fanout": {"mode": "agree", **fanout}}
    status, _, error = server.json(body)
    assert (status, error["error"]["param"]) == (400, param), error
