"""The rules of races, hedges and fallbacks beyond the nine cases of `test_race.py`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.races import HI, both_ways, race
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import (
    answers,
    cut,
    delta,
    end,
    opens,
    refuse,
    role,
    say,
    stalls,
    stop,
    until,
    wait,
)
from tests.support.scripted_provider import Step, Upstream


@pytest.mark.parametrize(
    "first",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"audio": {"id": "a", "data": "AA=="}},
        {"function_call": {"name": "f", "arguments": "{}"}},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {"content": [{"type": "image_url", "image_url": "https://a.test/i.png"}]},
        {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f"}}]},
    ],
    ids=lambda first: next(iter(first)),
)
def test_all_that_a_reader_gets_is_content(
    server: RunningGateway, upstream: Upstream, first: dict[str, Any]
) -> None:
    upstream.script("a", [role, delta(**first), stop])
    upstream.script("b", stalls())
    assert race(server, "a", "b", stream=True).outcomes == {"a": "won", "b": "cancelled"}


def test_the_losers_are_closed_while_the_winner_still_streams(
    server: RunningGateway, upstream: Upstream
) -> None:
    asked, closed = upstream.gate(), upstream.gate()
    upstream.script("a", stalls(role, opens(asked)))
    upstream.script("b", [wait(asked), role, say("Hel"), wait(closed), say("lo"), stop])
    body = {"model": "a, b", "messages": HI, "fastest_response": True, "stream": True}
    with server.ask(body) as response:
        upstream.wait_disconnected("a")
        closed.open()
        assert b"[DONE]" in response.read()
    assert upstream.calls_to("b")[0].disconnected_at is None


def test_a_winner_that_fails_after_its_first_token_is_reported_and_not_replaced(
    server: RunningGateway, upstream: Upstream
) -> None:
    received = upstream.gate()
    upstream.script("a", [role, say("Hel"), wait(received), cut])
    upstream.script("b", stalls())
    body = {"model": "a, b", "messages": HI, "fastest_response": True, "stream": True}
    with server.ask(body) as response:
        assert b"assistant" in response.readline()
        received.open()
        rest = response.read()
    assert rest.count(b"Hel") == 1
    assert rest.count(b'"error"') == 1
    assert b"[DONE]" not in rest
    assert b"provider_stream_broken" in rest


@both_ways
@pytest.mark.parametrize("fault", [[role, cut], [role, end], [cut]])
def test_a_stream_that_fails_before_its_first_content_falls_back_to_the_next_model(
    server: RunningGateway, upstream: Upstream, *, stream: bool, fault: list[Step]
) -> None:
    leaves_it(server, upstream, fault, stream=stream)


def test_in_a_plain_race_a_stream_that_fails_at_any_word_leaves_the_win_to_the_next(
    server: RunningGateway, upstream: Upstream
) -> None:
    leaves_it(server, upstream, [role, say("word"), cut], stream=False)


def leaves_it(
    server: RunningGateway, upstream: Upstream, fault: list[Step], *, stream: bool
) -> None:
    upstream.script("a", fault)
    upstream.script("b", [until(server.observer.ended("a")), *answers("instead")])
    response = race(server, "a", "b", stream=stream)
    assert (response.model, response.text) == ("b", "instead")
    assert response.outcomes == {"a": "failed", "b": "won"}


@both_ways
def test_a_stream_that_ends_without_content_does_not_win(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [role, stop])
    upstream.script("b", [until(server.observer.ended("a")), *answers("something")])
    response = race(server, "a", "b", stream=stream)
    assert response.outcomes == {"a": "failed", "b": "won"}


def test_in_a_plain_race_an_empty_response_wins_if_no_other_has_content(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", [until(server.observer.ended("b")), role, stop])
    upstream.script("b", [role, stop])
    upstream.script("c", [refuse(400)])
    response = race(server, "a", "b", "c", stream=False)
    assert (response.model, response.text) == ("b", "")
    assert response.outcomes == {"a": "failed", "b": "won", "c": "failed"}


@both_ways
def test_a_hedge_starts_the_next_when_one_is_slow(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", stalls(role))
    upstream.script("b", answers("hedged"))
    fan = {"mode": "hedge", "models": ["a", "b"], "stagger": 0.1}
    response = race(server, stream=stream, model=None, fastest_response=None, fanout=fan)
    assert (response.model, response.text) == ("b", "hedged")
    assert response.outcomes == {"a": "cancelled", "b": "won"}
    assert [call.model for call in upstream.calls] == ["a", "b"]


@both_ways
def test_a_hedge_starts_the_next_at_once_when_one_fails(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", answers("hedged"))
    fan = {"mode": "hedge", "models": ["a", "b"], "stagger": 60}
    response = race(server, stream=stream, model=None, fastest_response=None, fanout=fan)
    assert (response.model, response.text) == ("b", "hedged")


@both_ways
def test_a_fallback_asks_the_next_only_when_one_fails(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", answers("fallback"))
    fan = {"mode": "fallback", "models": ["a", "b", "c"]}
    response = race(server, stream=stream, model=None, fastest_response=None, fanout=fan)
    assert (response.model, response.text) == ("b", "fallback")
    assert response.outcomes == {"a": "failed", "b": "won", "c": "not_started"}
    assert [call.model for call in upstream.calls] == ["a", "b"]


@both_ways
def test_the_same_model_may_race_itself(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", stalls(), answers("twin"))
    response = race(server, "a", "a", stream=stream)
    assert (response.model, response.text) == ("a", "twin")
    assert len(upstream.calls) == 2


@both_ways
def test_the_report_has_times_usage_and_what_the_provider_does_with_the_bill(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("word", after=0.05))
    upstream.script("b", stalls(role))
    response = race(server, "a", "b", stream=stream)
    assert response.report is not None
    won, lost = response.report["attempts"]
    assert 50 <= won["first_token_ms"] <= won["duration_ms"]
    assert won["usage"] == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    assert (won["billing"], won["error"]) == (None, None)
    assert (lost["first_token_ms"], lost["usage"], lost["billing"]) == (None, None, "stops")
    assert lost["duration_ms"] >= 50
    assert response.headers["x-fanout-mode"] == "race"
    assert response.headers["x-fanout-winner"] == "a"


@pytest.mark.parametrize("mode", ["race", "hedge", "fallback"])
def test_each_conversation_of_a_list_has_its_report(
    server: RunningGateway, upstream: Upstream, mode: str
) -> None:
    fanout = {"mode": mode, "models": ["a", "b"], "max_parallel": 1}  # one conversation at a time
    if mode == "hedge":
        fanout["stagger"] = 60
    body: dict[str, Any] = {"messages": [HI, HI, HI], "fanout": fanout, "num_retries": 0}
    for form in ("object", "list", "stream"):
        upstream.script("a", [refuse(500)], [refuse(500)], [role, say("word"), cut])
        upstream.script("b", answers("one"), [refuse(500)], answers("three"))
        if form == "list":
            status, _, rows = server.json({**body, "fanout": {**fanout, "shape": "list"}})
            found = [row[0]["fanout"] for row in rows]
        else:
            response = server.chat({**body, "stream": form == "stream"})
            status = response.status
            found = [response.choices[index]["fanout"] for index in range(3)]
        one, failed, third = (
            {attempt["model"]: attempt["outcome"] for attempt in report["attempts"]}
            for report in found
        )
        assert (status, [report["mode"] for report in found]) == (200, [mode] * 3)
        assert one == {"a": "failed", "b": "won"}, form
        assert failed == {"a": "failed", "b": "failed"}, form
        assert third["a"] == "failed", form
        assert (third["b"] == "won") is (form != "stream"), form
        assert found[0]["attempts"][1]["usage"], form
