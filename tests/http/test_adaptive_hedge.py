"""`"stagger": "p95"`: the next model starts when the first one is slower than it usually is."""

from __future__ import annotations

from typing import Any

from tests.http.races import HI, both_ways
from tests.support.gateway_response import ParsedResponse
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, hang, refuse, role, wait
from tests.support.scripted_provider import Upstream


def hedge(server: RunningGateway, *models: str, stream: bool, **fanout: Any) -> ParsedResponse:
    body: dict[str, Any] = {"messages": HI}
    body["fanout"] = {"models": list(models), "stagger": "p95", **fanout}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return server.chat(body)


def outcomes(response: ParsedResponse) -> list[tuple[str, str]]:
    assert response.report is not None, response
    return [(one["model"], one["outcome"]) for one in response.report["attempts"]]


@both_ways
def test_the_next_model_starts_after_the_usual_time_of_the_first(
    provider: Upstream, upstream: Upstream, *, stream: bool
) -> None:
    never = upstream.gate()
    config = {"model_list": [entry(provider, "a"), entry(provider, "b")]}
    upstream.script("a", *[answers("fast")] * 50, [role, wait(never), hang])
    upstream.script("b", answers("second"))
    with serve(config) as server:
        for _ in range(50):
            assert hedge(server, "a", "b", stream=stream).status == 200
        response = hedge(server, "a", "b", stream=stream)
    assert (response.model, response.text) == ("b", "second")
    assert outcomes(response) == [("a", "cancelled"), ("b", "won")]
    assert response.headers["x-fanout-mode"] == "hedge"


def test_without_a_budget_only_a_failure_starts_the_next_model(
    provider: Upstream, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", answers("second"))
    config = {
        "model_list": [entry(provider, "a"), entry(provider, "b")],
        "router_settings": {"hedge_budget": 0, "num_retries": 0},
    }
    with serve(config) as server:
        response = hedge(server, "a", "b", stream=False)
    assert outcomes(response) == [("a", "failed"), ("b", "won")]


def test_hedges_that_start_or_are_withheld_are_recorded(
    provider: Upstream, upstream: Upstream
) -> None:
    never = upstream.gate()
    upstream.script("a", *[answers("fast")] * 50, *[[role, wait(never), hang]] * 3, [hang])
    upstream.script("b", answers("second"))
    config: dict[str, Any] = {
        "model_list": [entry(provider, "a"), entry(provider, "b")],
        "router_settings": {"hedge_budget": 1e-6},
    }
    with serve(config) as server:
        for _ in range(53):
            hedge(server, "a", "b", stream=False)
        body = {"messages": HI, "timeout": 0.5, "fanout": {"models": ["a", "b"], "stagger": "p95"}}
        assert server.chat(body).status == 504
        found = [(one.mode, one.outcome) for one in server.observer.decisions]
    assert found == [("hedge", "started")] * 3 + [("hedge", "withheld")]


def test_the_next_model_is_of_another_provider(server: RunningGateway, upstream: Upstream) -> None:
    for name in ("a", "b", "claude"):
        upstream.script(name, [refuse(500)])
    response = hedge(server, "a", "b", "claude", stream=False)
    assert response.error is not None
    assert [call.model for call in upstream.calls][:2] == ["a", "claude-x"]


def test_a_request_that_may_be_sent_only_once_is_not_hedged(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers("first"))
    response = hedge(server, "a", "b", stream=False, once=True)
    assert response.headers["x-fanout-mode"] == "fallback"
    assert not upstream.calls_to("b")


def test_a_cascade_asks_the_next_model_only_if_no_response_fits(
    server: RunningGateway, upstream: Upstream
) -> None:
    schema = {"type": "object", "required": ["n"]}
    upstream.script("a", answers("no"))
    upstream.script("b", answers('{"n": 1}'))
    body = {"messages": HI, "fanout": {"models": ["a", "b", "c"], "start": 1, "schema": schema}}
    body["fanout"] |= {"attempts": 1}  # type: ignore[operator]
    response = server.chat(body)
    assert (response.model, response.text) == ("b", '{"n": 1}')
    assert not upstream.calls_to("c")


def test_what_cannot_be_meant_is_an_error_that_names_the_field(server: RunningGateway) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"stagger": "p99"}, "fanout.stagger"),
        ({"stagger": "p95", "mode": "all"}, "fanout.stagger"),
        ({"once": True, "mode": "race"}, "fanout.once"),
        ({"once": True}, "fanout.once"),
        ({"once": True, "mode": "agree"}, "fanout.once"),
        ({"once": True, "mode": "best", "judge": "c"}, "fanout.once"),
        ({"start": 1}, "fanout.start"),
        ({"start": 2, "check": True}, "fanout.start"),
    ]
    found = []
    for fanout, _ in cases:
        body = {"messages": HI, "fanout": {"models": ["a", "b"], **fanout}}
        status, _, error = server.json(body)
        found.append((status, error["error"]["param"]))
    assert found == [(400, param) for _, param in cases]
