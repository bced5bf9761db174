"""
Modes `best` and `merge`: a judge chooses the best response, or makes one of all.

Over real sockets. The judge is the model d; its prompt has no model's name.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.schema.judging import DEFAULT_CRITERIA
from tests.http.races import HI, both_ways, outcomes
from tests.support.gateway_response import ParsedResponse
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import (
    answers,
    delta,
    end,
    hang,
    pause,
    piece,
    refuse,
    role,
    stop,
    wait,
)
from tests.support.scripted_provider import Call, Step, Upstream

TEXTS = {"a": "text of a", "b": "text of b", "c": "text of c"}


def ask(
    server: RunningGateway, mode: str, *, stream: bool = False, more: Any = None, **fanout: Any
) -> ParsedResponse:
    body: dict[str, Any] = {"model": "a, b, c", "messages": HI, **(more or {})}
    body["fanout"] = {"mode": mode, "judge": "d", **fanout}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return server.chat(body)


def respond(upstream: Upstream) -> None:
    for name, text in TEXTS.items():
        upstream.script(name, answers(text))


def judge(upstream: Upstream, scores: dict[str, int], best: str, *, reason: str = "why") -> None:
    """Script the judge: it finds each response by its text, wherever it is."""

    async def verdict(call: Call) -> None:
        material = json.loads(call.body["messages"][-1]["content"])
        order = [one["text"] for one in material["responses"]]
        found = {
            "scores": [scores[text] for text in order],
            "best": order.index(best) + 1,
            "reason": reason,
        }
        for step in answers(json.dumps(found)):
            await step(call)

    upstream.script("d", [verdict])


def ended(reason: str) -> Step:
    """Send the end of a choice."""
    choice = {"index": 0, "delta": {}, "finish_reason": reason}
    chunk = {"object": "chat.completion.chunk", "model": "d", "choices": [choice]}
    return piece(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())


def report(response: ParsedResponse) -> dict[str, Any]:
    assert response.report is not None, response
    found: dict[str, Any] = response.report["judge"]
    return found


@both_ways
def test_the_best_response_by_the_judge_is_sent(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    respond(upstream)
    judge(upstream, {"text of a": 4, "text of b": 9, "text of c": 2}, "text of b")
    response = ask(server, "best", stream=stream, criteria="Short is good.")
    assert (response.status, response.model, response.text) == (200, "b", "text of b")
    assert response.headers["x-fanout-winner"] == "b"
    assert outcomes(response) == {"a": "lost", "b": "won", "c": "lost", "d": "judged"}
    found = report(response)
    assert (found["model"], found["outcome"], found["reason"]) == ("d", "judged", "why")
    assert {one["model"]: one["score"] for one in found["scores"]} == {"a": 4, "b": 9, "c": 2}
    assert (found["tie"], found["criteria"]) == ([], "Short is good.")
    sent = upstream.calls_to("d")[0].body
    material = json.loads(sent["messages"][-1]["content"])
    assert material["criteria"] == "Short is good."
    assert material["conversation"] == HI
    assert sorted(one["text"] for one in material["responses"]) == sorted(TEXTS.values())
    assert '"model"' not in sent["messages"][-1]["content"]


def test_a_tie_is_reported_and_the_best_one_of_it_is_sent(
    server: RunningGateway, upstream: Upstream
) -> None:
    respond(upstream)
    judge(upstream, {"text of a": 9, "text of b": 2, "text of c": 9}, "text of c")
    response = ask(server, "best")
    assert response.model == "c"
    assert report(response)["tie"] == ["a", "c"]
    assert "correct and helpful" in report(response)["criteria"]


@pytest.mark.parametrize(
    "verdict",
    ["no JSON", "{}", '{"scores": [1, 2], "best": 1}', '{"scores": [1, 2, 3], "best": 4}'],
)
def test_a_judge_that_fails_costs_no_response(
    server: RunningGateway, upstream: Upstream, verdict: str
) -> None:
    respond(upstream)
    upstream.script("d", answers(verdict), answers(verdict))
    response = ask(server, "best")
    assert (response.status, response.model, response.text) == (200, "a", "text of a")
    assert report(response)["outcome"] == "failed"
    assert "judge's" in report(response)["reason"]
    assert len(upstream.calls_to("d")) == 2


@both_ways
@pytest.mark.parametrize("mode", ["best", "merge"])
def test_if_the_judges_provider_fails_the_first_response_is_sent(
    server: RunningGateway, upstream: Upstream, mode: str, *, stream: bool
) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", [pause(0.02), *answers("text of b")])
    upstream.script("c", answers("text of c"))
    upstream.script("d", [refuse(503)])
    response = ask(server, mode, stream=stream)
    assert (response.status, response.model, response.text) == (200, "b", "text of b")
    assert outcomes(response) == {"a": "failed", "b": "won", "c": "lost", "d": "failed"}
    assert report(response)["outcome"] == "failed"
    assert report(response)["error"]["message"]


@both_ways
@pytest.mark.parametrize("mode", ["best", "merge"])
def test_one_response_needs_no_judge(
    server: RunningGateway, upstream: Upstream, mode: str, *, stream: bool
) -> None:
    for name in ("a", "b"):
        upstream.script(name, [refuse(500)])
    upstream.script("c", answers("text of c"))
    response = ask(server, mode, stream=stream)
    assert (response.model, response.text) == ("c", "text of c")
    assert report(response)["outcome"] == "only_response"
    assert not upstream.calls_to("d")


@both_ways
def test_equal_responses_need_no_judge(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [refuse(500)])
    for name in ("b", "c"):
        upstream.script(name, answers("the same"))
    response = ask(server, "best", stream=stream)
    assert (response.model, response.text) == ("b", "the same")
    assert report(response)["outcome"] == "equal_responses"
    assert outcomes(response) == {"a": "failed", "b": "won", "c": "lost"}
    assert not upstream.calls_to("d")


@both_ways
def test_one_response_is_made_of_all(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    respond(upstream)
    upstream.script("d", answers("all of it"))
    response = ask(server, "merge", stream=stream)
    assert (response.status, response.model, response.text) == (200, "d", "all of it")
    assert outcomes(response) == dict.fromkeys("abc", "merged") | {"d": "won"}
    assert report(response)["outcome"] == "merged"
    sent = upstream.calls_to("d")[0]
    assert sent.streams
    assert sent.body["messages"][:-1] == HI
    drafts = json.loads(sent.body["messages"][-1]["content"].split("\n\n", 1)[1])["drafts"]
    assert sorted(one["text"] for one in drafts) == sorted(TEXTS.values())


@both_ways
@pytest.mark.parametrize("mode", ["best", "merge"])
def test_a_judge_that_is_too_slow_costs_no_response(
    server: RunningGateway, upstream: Upstream, mode: str, *, stream: bool
) -> None:
    respond(upstream)
    never = upstream.gate()
    upstream.script("d", [role, wait(never), hang])
    response = ask(server, mode, stream=stream, more={"timeout": 0.5})
    assert (response.status, response.model, response.text) == (200, "a", "text of a")
    assert outcomes(response) == {"a": "won", "b": "lost", "c": "lost", "d": "cancelled"}
    assert "part of the request's time" in report(response)["error"]["message"]
    upstream.wait_disconnected("d")


@pytest.mark.parametrize("mode", ["best", "merge"])
def test_a_model_that_is_too_slow_is_cancelled(
    server: RunningGateway, upstream: Upstream, mode: str
) -> None:
    upstream.script("a", answers("text of a"))
    for name in ("b", "c"):
        upstream.script(name, [role, hang])
    response = ask(server, mode, more={"timeout": 0.5})
    assert (response.status, response.text) == (200, "text of a")
    assert response.report is not None
    late = response.report["attempts"][1]
    assert (late["outcome"], late["billing"], late["error"]) == ("cancelled", "stops", None)
    assert outcomes(response) == {"a": "won", "b": "cancelled", "c": "cancelled"}
    upstream.wait_disconnected("b")


def test_a_merged_response_without_text_costs_no_response(
    server: RunningGateway, upstream: Upstream
) -> None:
    """Not even in a stream: nothing is sent before the judge's first text."""
    cases = {
        "empty": answers(""),
        "space": answers(" \n", "\t"),
        "refusal": [role, delta(refusal="I would rather not."), stop],
        "reasoning": [role, delta(reasoning_content="Hm."), stop],
        "cut": [role, ended("length"), end],
        "filtered": [role, ended("content_filter"), end],
    }
    wrong = []
    for stream in (False, True):
        for name, steps in cases.items():
            respond(upstream)
            upstream.script("d", steps)
            response = ask(server, "merge", stream=stream)
            found = report(response)
            got = (response.status, response.model, response.text, found["outcome"])
            if got != (200, "a", "text of a", "failed") or outcomes(response)["d"] != "failed":
                wrong.append((name, stream, got, outcomes(response)))
            assert found["reason"]
    assert wrong == []


def test_a_judge_that_reasons_first_is_streamed_whole(
    server: RunningGateway, upstream: Upstream
) -> None:
    respond(upstream)
    upstream.script("d", [role, delta(reasoning_content="Hm."), *answers("all", " of it")[1:]])
    response = ask(server, "merge", stream=True)
    assert (response.model, response.text) == ("d", "all of it")
    assert report(response)["outcome"] == "merged"
    assert report(response)["criteria"] is None


def test_without_a_verdict_an_answer_is_sent_rather_than_no_answer(
    server: RunningGateway, upstream: Upstream
) -> None:
    """Nor does the judge get what is only reasoning; blank criteria are none."""
    refusal = [role, delta(refusal="I would rather not."), stop]
    reasoning = [role, delta(reasoning_content="Hm."), stop]
    cases = {
        "refusal": (refusal, answers("text of b"), "b", "failed", True),
        "space": (answers(" \n"), answers("text of b"), "b", "only_response", False),
        "reasoning": (reasoning, answers("text of b"), "b", "only_response", False),
        "two refusals": (refusal, refusal, "a", "failed", True),
        "two reasonings": (reasoning, reasoning, "a", "only_response", False),
        "nothing": (answers(""), reasoning, "b", "only_response", False),
    }
    wrong = []
    for mode in ("best", "merge"):
        for name, (a, b, model, outcome, judged) in cases.items():
            upstream.script("a", a)
            upstream.script("b", b)
            upstream.script("d", [refuse(400)])
            before = len(upstream.calls_to("d"))
            response = ask(server, mode, more={"model": "a, b"}, criteria=" ")
            calls = len(upstream.calls_to("d")) - before
            got = (response.model, report(response)["outcome"], bool(calls))
            if got != (model, outcome, judged):
                wrong.append((mode, name, got))
            assert report(response)["criteria"] in {None, DEFAULT_CRITERIA}
    assert wrong == []


def test_if_no_model_responds_the_error_has_each_cause(
    server: RunningGateway, upstream: Upstream
) -> None:
    for name in ("a", "b", "c"):
        upstream.script(name, [refuse(500)])
    response = ask(server, "best")
    assert response.status == 502
    assert response.error is not None
    assert len(response.error["causes"]) == 3


def test_each_conversation_of_a_list_has_a_judge(
    server: RunningGateway, upstream: Upstream
) -> None:
    respond(upstream)
    judge(upstream, {"text of a": 4, "text of b": 9, "text of c": 2}, "text of b")
    response = ask(server, "best", more={"messages": [HI, HI]})
    assert response.texts == {0: "text of b", 1: "text of b"}
    assert response.choices[1]["fanout"]["judge"]["outcome"] == "judged"


def test_what_cannot_be_meant_is_an_error_that_names_the_field(server: RunningGateway) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({}, {"judge": None}, "fanout.judge"),
        ({}, {"judge": "nobody"}, "fanout.judge"),
        ({}, {"mode": "race"}, "fanout.judge"),
        ({}, {"criteria": "x" * 8_001}, "fanout.criteria"),
        ({"n": 2}, {}, "n"),
        ({"fallbacks": ["d"]}, {}, "fallbacks"),
        ({}, {"k": 2}, "fanout.k"),
        ({}, {"mode": "merge", "schema": {"type": "object"}}, "fanout.check"),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            {"mode": "merge"},
            "tools",
        ),
    ]
    found = []
    for more, fanout, _ in cases:
        given = {"mode": "best", "judge": "d", **fanout}
        body = {"model": "a, b", "messages": HI, **more}
        body["fanout"] = {name: value for name, value in given.items() if value is not None}
        status, _, error = server.json(body)
        found.append((status, error["error"]["param"]))
    assert found == [(400, param) for *_, param in cases]
