"""A right that is withdrawn while a request or a job runs counts from its next call on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from fanout.errors import StorageBusy
from fanout.keys import charged_job, current_rights
from fanout.keys.sqlite_store import SQLiteStore
from tests.keys.local_gateway import ADMIN, MASTER, serving
from tests.keys.test_jobs_of_keys import Client, manage
from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import answers, refuse, wait
from tests.support.scripted_provider import Upstream

HI: Any = [{"role": "user", "content": "Hi"}]
OBJECT = {"type": "object"}


@pytest.fixture(scope="module")
def gateway(
    provider: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway that makes one call at a time."""
    home: Path = tmp_path_factory.mktemp("home")
    models = [entry(provider, name) for name in ("a", "b")]
    with serving(home, models, {"global_max_parallel_requests": 1}) as served:
        yield served


@pytest.fixture(autouse=True)
def at_once(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every call reads the rights."""
    monkeypatch.setattr(current_rights, "MAX_AGE", 0.0)
    monkeypatch.setattr(charged_job, "MAX_AGE", 0.0)
    for name in ("a", "b"):
        upstream.script(name, answers("one two three"))
    yield
    Client.close_all()


Withdraw: TypeAlias = Callable[[RunningGateway, Client], object]

TEAM = "of-everyone"


def narrowed(gateway: RunningGateway, client: Client) -> None:
    manage(gateway, "/key/update", {"key": client.token, "models": ["none"]})


def blocked(gateway: RunningGateway, client: Client) -> None:
    manage(gateway, "/key/block", {"key": client.token})


def deleted(gateway: RunningGateway, client: Client) -> None:
    manage(gateway, "/key/delete", {"keys": [client.token]})


def replaced(gateway: RunningGateway, client: Client) -> None:
    manage(gateway, f"/key/{client.token}/regenerate", {})


def in_narrow_team(gateway: RunningGateway, client: Client) -> None:
    team = manage(gateway, "/team/new", {"models": ["none"]})["team_id"]
    manage(gateway, "/key/update", {"key": client.token, "team_id": team})


def in_blocked_team(gateway: RunningGateway, client: Client) -> None:
    team = manage(gateway, "/team/new", {})["team_id"]
    manage(gateway, "/team/block", {"team_id": team})
    manage(gateway, "/key/update", {"key": client.token, "team_id": team})


OF_A_JOB: dict[Withdraw, int] = {
    narrowed: 403,
    blocked: 401,
    deleted: 401,
    in_narrow_team: 403,
    in_blocked_team: 401,
}
"""How a right is withdrawn, and the status of the next call."""

WAYS = {**OF_A_JOB, replaced: 401}

REQUESTS: dict[str, dict[str, Any]] = {
    "conversations": {"messages": [HI, HI, HI, HI]},
    "a retry": {"messages": HI, "num_retries": 3},
    "a retry of a stream": {"messages": HI, "num_retries": 3, "stream": True},
    "a fallback": {"messages": HI, "fallbacks": ["b"]},
    "a hedge": {"messages": HI, "fanout": {"mode": "hedge", "models": ["a", "b"], "stagger": 60}},
    "all": {"messages": HI, "fanout": {"mode": "all", "models": ["a", "b"]}},
    "race": {"messages": HI, "fanout": {"mode": "race", "models": ["a", "b"]}},
    "agree": {
        "messages": HI,
        "fanout": {"mode": "agree", "models": ["a", "b", "b"], "k": 2, "start": 1},
    },
    "a schema": {"messages": HI, "fanout": {"schema": OBJECT, "attempts": 3}},
    "a schema, escalated": {"messages": HI, "fanout": {"schema": OBJECT, "escalate": ["b"]}},
}
"""Requests with more than one call, of which the first fails or is one of several."""


@pytest.mark.parametrize("withdraw", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", REQUESTS)
def test_the_next_call_of_a_request_is_refused(
    gateway: RunningGateway, upstream: Upstream, kind: str, withdraw: Withdraw
) -> None:
    client, gate = Client(gateway), upstream.gate()
    failed = [wait(gate), *(answers("no JSON") if "schema" in kind else [refuse(500, "no")])]
    for name in ("a", "b"):
        upstream.script(name, failed, answers("one two three"))
    asked = {"model": "a", **REQUESTS[kind]}
    if "models" in asked.get("fanout", {}):
        del asked["model"]
    connection = gateway.send(asked, headers={"authorization": f"Bearer {client.key}"})
    upstream.wait(lambda: upstream.calls)
    withdraw(gateway, client)
    gate.open()
    with connection.getresponse() as response:
        body = response.read().decode()
    connection.close()
    assert len(upstream.calls) == 1, body
    expected = "may not use the model" if WAYS[withdraw] == 403 else "API key is not one of"
    assert expected in body
    if kind not in {"conversations", "all", "a retry of a stream"}:
        assert response.status == WAYS[withdraw], body


def test_a_call_that_waits_for_its_slot_is_refused(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    gate = upstream.gate()
    upstream.script("b", [wait(gate), *answers("Hello")])
    client = Client(gateway)
    first = gateway.send({"model": "b", "messages": HI}, headers=ADMIN)
    upstream.wait_called("b")
    before = gateway.tasks()
    own = {"authorization": f"Bearer {client.key}"}
    second = gateway.send({"model": "a", "messages": HI, "stream": True}, headers=own)
    while gateway.tasks() == before:
        pass
    narrowed(gateway, client)
    gate.open()
    assert [one.getresponse().status for one in (first, second)] == [200, 403]
    for one in (first, second):
        one.close()
    assert upstream.calls_to("a") == []


@pytest.mark.parametrize("withdraw", OF_A_JOB, ids=lambda way: way.__name__)
def test_the_lines_of_a_job_that_wait_are_not_sent(
    gateway: RunningGateway, upstream: Upstream, withdraw: Withdraw
) -> None:
    client, gate = Client(gateway), upstream.gate()
    upstream.script("a", [wait(gate), *answers("Hello")], answers("Hello"))
    job = client.start(12, "a")
    upstream.wait_called("a")
    client.wait_for(job, lambda batch: batch.fanout["waits"])  # the others, for a slot
    withdraw(gateway, client)
    gate.open()
    client.key = MASTER  # it may read every job
    client.move_to(gateway)
    batch = client.ended(job)
    assert len(upstream.calls) == 1
    counts = batch.request_counts
    if OF_A_JOB[withdraw] == 403:
        assert (batch.status, counts.completed, counts.failed) == ("completed", 1, 11)
        assert list(batch.fanout["causes"]) == ["model_not_allowed"]
    else:
        assert (batch.status, counts.completed) == ("cancelled", 1)
        assert list(batch.fanout["causes"]) == ["batch_cancelled"]  # so a retry sends them
        assert [error.code for error in batch.errors.data] == ["invalid_api_key"]


def test_rights_that_cannot_be_read_now_are_those_that_are_known(
    gateway: RunningGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, gate = Client(gateway), upstream.gate()
    upstream.script("a", [wait(gate), refuse(500, "no")], answers("Hello"))
    asked = {"model": "a", "messages": HI, "num_retries": 1}
    connection = gateway.send(asked, headers={"authorization": f"Bearer {client.key}"})
    upstream.wait_called("a")

    async def fail(*_: object) -> None:
        raise StorageBusy("keys", "it does not respond")

    with monkeypatch.context() as broken:
        broken.setattr(SQLiteStore, "get", fail)
        gate.open()
        upstream.wait(lambda: len(upstream.calls) == 2)
    assert connection.getresponse().status == 200
    connection.close()
