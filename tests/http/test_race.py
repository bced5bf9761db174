"""
Races over real sockets: the nine cases that other gateways get wrong, and other rules.

No test depends on which of two sleeps is shorter: a loser waits at a gate that only the winner, or
the test, opens.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest

import fanout
from tests.http.races import HI, SETTLE, both_ways, race
from tests.support.gateway_server import RunningGateway
from tests.support.patience import quickest
from tests.support.provider_steps import (
    answers,
    comment,
    delta,
    hang,
    head,
    opens,
    pause,
    refuse,
    role,
    say,
    slow_and_fast,
    stalls,
    until,
    wait,
)
from tests.support.scripted_provider import Step, Upstream

LIMIT = 0.1
"""Seconds within which every call must be closed when the client disconnects."""

# ---- the nine rows ----


@both_ways
def test_row_1_the_fast_one_responds_though_the_slow_one_is_listed_first(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    slow_and_fast(upstream, "a", "b", "fast")
    response = race(server, "a", "b", stream=stream)
    assert (response.status, response.model, response.text) == (200, "b", "fast")
    assert response.outcomes == {"a": "cancelled", "b": "won"}
    upstream.wait_disconnected("a")


@both_ways
def test_row_2_the_response_does_not_wait_for_the_slow_one_to_end(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    slow_and_fast(upstream, "b", "a", "fast")
    response = race(server, "a", "b", stream=stream)
    assert (response.model, response.text) == ("a", "fast")
    upstream.wait_disconnected("b")


@both_ways
def test_row_3_a_failure_that_comes_first_does_not_win(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", [until(server.observer.ended("a")), *answers("good")])
    response = race(server, "a", "b", stream=stream)
    assert (response.model, response.text) == ("b", "good")
    assert response.outcomes == {"a": "failed", "b": "won"}


@both_ways
@pytest.mark.parametrize(
    "opening",
    [
        pytest.param([head], id="row-4-headers"),
        pytest.param([head, role], id="row-5-an-empty-role-chunk"),
        pytest.param([head, comment("PROCESSING")], id="a-comment"),
        pytest.param([role, say(""), delta(content=None)], id="empty-content"),
    ],
)
def test_rows_4_and_5_nothing_but_content_wins(
    server: RunningGateway, upstream: Upstream, *, stream: bool, opening: list[Step]
) -> None:
    opened = upstream.gate()
    upstream.script("a", [*opening, opens(opened), hang])
    upstream.script("b", [wait(opened), pause(SETTLE), *answers("token")])
    response = race(server, "a", "b", stream=stream)
    assert (response.model, response.text) == ("b", "token")
    upstream.wait_disconnected("a")


def test_row_6_a_plain_race_closes_the_slow_one_connection_and_asks_by_stream(
    server: RunningGateway, upstream: Upstream
) -> None:
    first_word = upstream.gate()
    upstream.script("a", [role, say("much"), opens(first_word), say("to say"), hang])
    upstream.script("b", [wait(first_word), pause(SETTLE), *answers("first to be done")])
    response = race(server, "a", "b", stream=False)
    assert (response.model, response.text) == ("b", "first to be done")
    assert [call.streams for call in upstream.calls] == [True, True]
    upstream.wait_disconnected("a")


@both_ways
def test_row_7_one_500_leaves_the_response_to_the_other(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", answers("ok"))
    upstream.script("b", [refuse(500)])
    response = race(server, "a", "b", stream=stream)
    assert (response.status, response.model, response.text) == (200, "a", "ok")


@both_ways
def test_row_8_when_all_fail_every_cause_is_listed_in_call_order(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [until(server.observer.ended("b")), refuse(500, "a is down")])
    upstream.script("b", [refuse(429, "b is full")])
    response = race(server, "a", "b", stream=stream)
    assert response.status == 502
    assert response.error is not None
    assert response.error["code"] == "all_failed"
    causes = [(cause["model"], cause["status"]) for cause in response.error["causes"]]
    assert causes == [("a", 502), ("b", 429)]
    assert "a is down" in response.error["causes"][0]["message"]


REQUESTS: dict[str, dict[str, Any]] = {
    "one": {"model": "a"},
    "race": {"model": "a, b", "fastest_response": True},
    "all": {"model": "a, b"},
    "hedge": {"fanout": {"mode": "hedge", "models": ["a", "b"], "stagger": 0.01}},
    "fallback": {"fanout": {"mode": "fallback", "models": ["a", "b"]}},
    "conversations": {"model": "a, b", "messages": [HI, HI]},
}


@both_ways
@pytest.mark.parametrize("mode", REQUESTS)
def test_row_9_a_disconnect_closes_every_call_within_100_ms(
    server: RunningGateway, upstream: Upstream, mode: str, *, stream: bool
) -> None:
    body = {"messages": HI, **REQUESTS[mode], "stream": stream}
    upstream.script("a", stalls(role))
    upstream.script("b", stalls(role))
    expected = {"one": 1, "fallback": 1, "conversations": 4}.get(mode, 2)
    assert quickest(lambda: _leave(server, upstream, body, expected), LIMIT) < LIMIT


def _leave(
    server: RunningGateway, upstream: Upstream, body: dict[str, Any], expected: int
) -> float:
    """Disconnect when all calls are in flight; the seconds until the last of them is closed."""
    upstream.calls.clear()
    connection = server.send(body)
    upstream.wait(lambda: len(upstream.calls) == expected)
    left = perf_counter()
    connection.close()
    return _known(upstream) - left


@pytest.mark.parametrize("mode", ["one", "race", "all"])
def test_row_9_so_does_one_that_leaves_in_the_middle_of_a_stream(
    server: RunningGateway, upstream: Upstream, mode: str
) -> None:
    upstream.script("a", stalls(role, say("word")))
    upstream.script("b", stalls(role, say("word")))
    body = {"messages": HI, **REQUESTS[mode], "stream": True}
    assert quickest(lambda: _leave_midway(server, upstream, body), LIMIT) < LIMIT


def _leave_midway(server: RunningGateway, upstream: Upstream, body: dict[str, Any]) -> float:
    """Disconnect after the first content; the seconds until the last call is closed."""
    upstream.calls.clear()
    with server.ask(body) as response:
        while b"word" not in response.readline():
            pass
        left = perf_counter()
    return _known(upstream) - left


def _known(upstream: Upstream) -> float:
    """When the last of the calls was closed."""
    upstream.wait(lambda: all(call.disconnected_at for call in upstream.calls))
    return max(call.disconnected_at or 0.0 for call in upstream.calls)


# ---- the same rows, in process ----


def functions(upstream: Upstream, *models: str) -> Any:
    """LiteLLM's function with the scripted provider."""
    return fanout.batch_completion_models(
        models=[f"openai/{model}" for model in models],
        messages=HI,
        api_base=f"{upstream.url}/v1",
        api_key="sk-provider",
    )


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_rows_1_and_2_the_python_function_responds_with_the_fast_one(
    upstream: Upstream, order: tuple[str, str]
) -> None:
    slow_and_fast(upstream, "a", "b", "fast")
    answer = functions(upstream, *order)
    assert answer.choices[0].message.content == "fast"
    assert answer.model == "openai/b"
    upstream.wait_disconnected("a")


def test_row_3_the_python_function_passes_over_a_failure(upstream: Upstream) -> None:
    failed = upstream.gate()
    upstream.script("a", [refuse(400), opens(failed)])
    upstream.script("b", [wait(failed), *answers("good")])
    assert functions(upstream, "a", "b").choices[0].message.content == "good"
