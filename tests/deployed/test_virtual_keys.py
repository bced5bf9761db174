"""Virtual keys on the deployed stack: their rights, their budgets and their jobs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from .deployed_stack import DeployedStack
from .job_client import URL, JobClient
from .scripted_provider import ScriptedProvider

COST = 10 * 0.000001 + 5 * 0.000002
"""Dollars that a response of the scripted provider costs."""

LINES = 60


class Keys:
    """A stack's virtual keys, as the master key manages them."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack

    def call(self, path: str, body: object = None) -> Any:
        response = self._stack.ask("GET" if body is None else "POST", path, body)
        assert response.status == 200, response.body
        return response.json

    def make(self, **fields: object) -> DeployedStack:
        """The stack as a client with a new virtual key."""
        return replace(self._stack, key=self.call("/key/generate", fields)["key"])

    def spent(self, client: DeployedStack) -> tuple[float, float]:
        """What the client's key has spent and reserved."""
        info = self.call(f"/key/info?key={client.key}")["info"]
        return round(info["spend"], 9), info["reserved"]


@pytest.fixture
def keys(own: DeployedStack, provider: ScriptedProvider) -> Keys:
    return Keys(own)


def test_a_key_is_made_used_charged_and_blocked(keys: Keys) -> None:
    client = keys.make(max_budget=4 * COST, models=["quick"], rpm_limit=100)
    response = client.chat("quick", max_tokens=5)
    assert response.status == 200
    assert float(response.headers["x-fanout-cost"]) == pytest.approx(COST)
    assert keys.spent(client) == (round(COST, 9), 0.0)
    assert client.chat("slow", max_tokens=5).error["code"] == "model_not_allowed"
    while (response := client.chat("quick", max_tokens=5)).status == 200:
        pass
    assert (response.status, response.error["code"]) == (402, "budget_exceeded")
    assert response.headers["x-should-retry"] == "false"
    spent, reserved = keys.spent(client)
    assert reserved == 0.0
    assert COST < spent < 4.5 * COST
    rows = keys.call(f"/spend/logs?api_key={client.key}")
    assert round(sum(row["spend"] for row in rows), 9) == spent
    keys.call("/key/block", {"key": client.key})
    response = client.chat("quick", max_tokens=5)
    assert (response.status, response.error["code"]) == (401, "invalid_api_key")
    assert client.ask("POST", "/key/generate", {}).status == 401


def test_the_keys_of_a_team_share_its_budget(keys: Keys) -> None:
    team = keys.call("/team/new", {"max_budget": 4 * COST})["team_id"]
    one, two = (keys.make(team_id=team) for _ in range(2))
    assert one.chat("quick", max_tokens=5).status == 200
    while (response := two.chat("quick", max_tokens=5)).status == 200:
        pass
    assert (response.status, response.error["code"]) == (402, "budget_exceeded")
    assert one.chat("quick", max_tokens=5).status == 402
    info = keys.call(f"/team/info?team_id={team}")["team_info"]
    total = sum(keys.spent(client)[0] for client in (one, two))
    assert (round(info["spend"], 9), info["reserved"]) == (round(total, 9), 0.0)


def test_a_job_of_a_key_stops_without_money_and_goes_on_with_more(keys: Keys) -> None:
    client = keys.make(max_budget=30 * COST)
    jobs = JobClient(client)
    job = jobs.wait_for_end(jobs.create(line(number) for number in range(LINES)))
    assert job.status == "cancelled"
    assert [error.code for error in (job.errors and job.errors.data) or []] == ["budget_exceeded"]
    done = job.request_counts.completed if job.request_counts else 0
    assert 10 < done < LINES
    assert jobs.execution(jobs.execution_of(job))["status"] == "SUCCEEDED"
    assert keys.spent(client) == (round(done * COST, 9), 0.0)
    keys.call("/key/update", {"key": client.key, "max_budget": 1})
    again: Any = client.sdk().post(f"/batches/{job.id}/retry", cast_to=object)
    job = jobs.wait_for_end(job.model_copy(update={"id": again["id"]}))
    assert job.status == "completed"
    assert len(jobs.results(job.output_file_id)) == LINES
    assert keys.spent(client) == (round(LINES * COST, 9), 0.0)


def line(number: int) -> bytes:
    body = {
        "model": "quick",
        "messages": [{"role": "user", "content": f"prompt {number}"}],
        "max_tokens": 5,
    }
    row = {"custom_id": f"n{number}", "method": "POST", "url": URL, "body": body}
    return json.dumps(row).encode()
