"""Calls that are made again after one that may be billed: budgets and cost caps hold for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fanout.routing.retry_policy import RetryPolicy
from fanout.schema.prompt_tokens import body_tokens
from tests.keys.test_charged_calls import HI, RECEIVED, SENT, gateway
from tests.keys.test_jobs_of_keys import PART, Client, manage
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import cut, raw, refuse, stalls
from tests.support.scripted_provider import Upstream

__all__ = ["gateway"]

BODY = {"messages": HI, "max_tokens": 1}
PROMPT = round(SENT * body_tokens(BODY), 9)
MOST = PROMPT + RECEIVED  # what one call may cost
COUNTED = {"messages", "max_tokens", "response_format"}
RETRIES = {"num_retries": 4}
WAYS: dict[str, dict[str, Any]] = {
    "a model": {"model": "a", **RETRIES},
    "a stream": {"model": "a", "stream": True, **RETRIES},
    "fallbacks": {"model": "a", "fallbacks": ["b"], "num_retries": 2},
    "a list": {"fanout": {"models": ["a", "b"], "mode": "fallback"}, "num_retries": 2},
    "a fan-out": {"fanout": {"models": ["a", "b"], "mode": "all"}, **RETRIES},
    "a race": {"fanout": {"models": ["a", "b"], "mode": "race"}, **RETRIES},
    "a checked response": {
        "model": "a",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}},
        },
        "fanout": {"check": True, "attempts": 1},
        **RETRIES,
    },
}


@pytest.fixture(autouse=True)
def failing(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each response is cut, and its prompt may be billed; another call is made soon."""
    monkeypatch.setattr(RetryPolicy, "delay", lambda *_: 0.02)
    for name in ("a", "b"):
        upstream.script(name, [raw(PART), cut])
    upstream.script("slow", stalls())
    yield
    Client.close_all()


def prompt_of(body: dict[str, Any]) -> float:
    """What the prompt of a request costs, in dollars."""
    return SENT * body_tokens({name: body[name] for name in body if name in COUNTED})


def calls_of(upstream: Upstream) -> int:
    return sum(len(upstream.calls_to(name)) for name in ("a", "b", "slow"))


def ask(gateway: RunningGateway, client: Client, body: dict[str, Any]) -> tuple[int, Any]:
    bearer = {"authorization": f"Bearer {client.key}"}
    with gateway.ask(body, headers=bearer) as response:
        return response.status, json.loads(response.read())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("of_team", [False, True])
def test_retries_of_a_request_do_not_exceed_a_budget(
    gateway: RunningGateway, upstream: Upstream, way: str, *, of_team: bool
) -> None:
    body = {**BODY, **WAYS[way]}
    planned = (
        2 if "models" in body.get("fanout", {}) and body["fanout"]["mode"] != "fallback" else 1
    )
    prompt = prompt_of(body)
    budget = round(planned * (prompt + RECEIVED) + 2.2 * prompt, 9)
    if of_team:
        team = manage(gateway, "/team/new", {"max_budget": budget})["team_id"]
        client = Client(gateway, team_id=team)
    else:
        client = Client(gateway, max_budget=budget)
    status, answer = ask(gateway, client, body)
    spent, reserved = client.spent
    assert status in {402, 502}, answer
    assert planned < calls_of(upstream) <= planned + 2
    assert 0 < spent <= budget
    assert reserved == 0
    assert [round(row["spend"], 9) for row in client.rows()] == [spent]


def test_retries_go_on_while_the_budget_has_money(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    found = {}
    for number in range(1, 4):
        upstream.reset()
        upstream.script("a", [raw(PART), cut])
        client = Client(gateway, max_budget=round(MOST + (number - 1) * PROMPT, 9))
        status, answer = ask(gateway, client, {**BODY, **WAYS["a model"]})
        assert (status, answer["error"]["type"]) == (502, "api_error"), answer
        found[number] = calls_of(upstream), client.spent
    assert found == {n: (n, (round(n * PROMPT, 9), 0.0)) for n in found}


def test_a_call_that_was_rejected_reserves_nothing_more(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(500)])
    client = Client(gateway, max_budget=MOST)
    ask(gateway, client, {**BODY, "model": "a", "num_retries": 2})
    assert (calls_of(upstream), client.spent) == (3, (0.0, 0.0))


def start(client: Client, lines: int, body: dict[str, Any], **fields: object) -> str:
    rows = [{"custom_id": f"n{n}", "body": {**BODY, **body}} for n in range(lines)]
    line = {"method": "POST", "url": "/v1/chat/completions"}
    data = "".join(json.dumps({**row, **line}) + "\n" for row in rows).encode()
    file = client.sdk.files.create(file=("in.jsonl", data), purpose="batch")
    batch = client.sdk.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        extra_body=fields,
    )
    return batch.id


LINES: dict[str, dict[str, Any]] = {
    "late": {"model": "slow"},
    "late, with retries": {"model": "slow", "num_retries": 5},
    "late, with a fallback": {"model": "slow", "fallbacks": ["a"], "num_retries": 3},
    "late, checked": WAYS["a checked response"] | {"model": "slow"},
}


@pytest.mark.parametrize("way", LINES)
def test_a_job_whose_calls_fail_ends_when_the_budget_is_spent(
    gateway: RunningGateway, upstream: Upstream, way: str
) -> None:
    prompt = prompt_of({**BODY, **LINES[way]})
    budget = round(2 * (prompt + RECEIVED) + prompt, 9)
    client = Client(gateway, max_budget=budget)
    batch = client.ended(start(client, 2, LINES[way]))
    spent, reserved = client.spent
    assert (batch.status, batch.errors.data[0].code) == ("cancelled", "budget_exceeded")
    assert 2 * prompt < spent + 1e-9
    assert spent <= budget
    assert reserved == 0
    assert calls_of(upstream) <= 4


@pytest.mark.parametrize("way", LINES)
def test_a_job_whose_calls_fail_ends_at_its_cost_cap(
    gateway: RunningGateway, upstream: Upstream, way: str
) -> None:
    prompt = prompt_of({**BODY, **LINES[way]})
    cap = round(2 * (prompt + RECEIVED) + prompt, 9)
    client = Client(gateway)
    batch = client.ended(start(client, 2, LINES[way], max_cost_usd=cap))
    known = batch.to_dict()["fanout"]["known_cost_usd"]
    assert (batch.status, batch.errors.data[0].code) == ("cancelled", "max_cost_reached")
    assert known == client.spent[0] <= cap + prompt
    assert calls_of(upstream) <= 5
