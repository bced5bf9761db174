"""`GET /metrics` of `fanout serve`: counts for Prometheus, which its own parser reads."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.commands import spawned, write_config
from tests.cli.test_serve import port_of
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

KEY, LIMITED = "sk-master-marker", "sk-limited-marker"
HI = [{"role": "user", "content": "prompt-marker"}]


def served(upstream: Upstream, folder: Path, *, metrics: bool) -> Path:
    wild = entry(upstream, "any/*", "openai/*")
    config = {
        "model_list": [entry(upstream, "a"), entry(upstream, "b"), wild],
        "router_settings": {"num_retries": 0},
        "general_settings": {
            "master_key": KEY,
            "keys": [{"name": "team", "key": LIMITED, "models": ["a"]}],
            "metrics": metrics,
        },
    }
    return write_config(folder, config)


@pytest.fixture
def port(upstream: Upstream, tmp_path: Path) -> Iterator[int]:
    upstream.script("a", answers("Hello"))
    upstream.script("b", [refuse(429, "slow down")])
    upstream.script("marker-of-a-client", answers("Hello"))
    upstream.script("other", answers("Bye"))
    config = served(upstream, tmp_path, metrics=True)
    with spawned("serve", "--config", config, "--port", 0) as process:
        yield port_of(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def ask(port: int, method: str, path: str, key: str, body: Any = None) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    data = None if body is None else json.encode(body)
    connection.request(method, path, data, {"authorization": f"Bearer {key}"})
    response = connection.getresponse()
    found = response.status, response.getheader("content-type") or "", response.read()
    connection.close()
    return found


def chat(port: int, model: str, key: str = KEY) -> int:
    return ask(port, "POST", "/v1/chat/completions", key, {"model": model, "messages": HI})[0]


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample by its name and labels."""
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


def test_requests_calls_tokens_and_errors_are_counted(port: int) -> None:
    assert [chat(port, "a"), chat(port, "a", LIMITED), chat(port, "b")] == [200, 200, 429]
    status, content_type, body = ask(port, "GET", "/metrics", KEY)
    assert (status, content_type.partition(";")[0]) == (200, "text/plain")
    found = samples(body)

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert value("fanout_requests_total", client="master", mode="one", status="200") == 1
    assert value("fanout_requests_total", client="team", mode="one", status="200") == 1
    assert value("fanout_requests_total", client="master", mode="one", status="429") == 1
    a, b = {"model": "a", "provider": "openai"}, {"model": "b", "provider": "openai"}
    assert value("fanout_calls_total", **a, outcome="ok", error="") == 2
    assert value("fanout_calls_total", **b, outcome="failed", error="RateLimited") == 1
    assert value("fanout_call_duration_seconds_count", **a) == 2
    assert value("fanout_tokens_total", **a, type="input") > 0
    assert value("fanout_tokens_total", **a, type="output") > 0
    assert value("fanout_requests_in_flight") == 0


def test_votes_judges_and_what_they_save_are_counted(port: int) -> None:
    votes = {"mode": "agree", "models": ["a", "a", "b"]}
    best = {"mode": "best", "models": ["a", "a"], "judge": "b"}
    split = {**votes, "models": ["a", "any/other"]}
    for fanout in (votes, split, best, {**best, "mode": "merge"}):
        body = {"messages": HI, "fanout": fanout}
        assert ask(port, "POST", "/v1/chat/completions", KEY, body)[0] == 200
    found = samples(ask(port, "GET", "/metrics", KEY)[2])
    counts = {
        "fanout_votes_total": {(): 4},
        "fanout_calls_saved_total": {(): 1},
        "fanout_decisions_total": {
            ("agree", "agreed"): 1,
            ("agree", "undecided"): 1,
            ("best", "equal_responses"): 1,
            ("merge", "failed"): 1,
        },
        "fanout_judge_calls_total": {("best",): 0, ("merge",): 1},
    }
    for name, expected in counts.items():
        shown = {
            tuple(value for _, value in sorted(labels)): count
            for (metric, labels), count in found.items()
            if metric == name
        }
        assert shown == expected, name


def test_no_text_of_a_client_is_a_label(port: int) -> None:
    assert chat(port, "any/marker-of-a-client") == 200
    assert chat(port, "marker-of-another") == 404
    body = ask(port, "GET", "/metrics", KEY)[2]
    assert b"marker" not in body
    assert b'model="openai/*"' in body


def test_only_a_key_for_every_model_may_read_them(port: int) -> None:
    assert ask(port, "GET", "/metrics", "wrong")[0] == 401
    assert ask(port, "GET", "/metrics", LIMITED)[0] == 403
    status, _, body = ask(port, "HEAD", "/metrics", KEY)
    assert (status, body) == (200, b"")


def test_there_are_none_unless_the_config_asks_for_them(upstream: Upstream, tmp_path: Path) -> None:
    config = served(upstream, tmp_path, metrics=False)
    with spawned("serve", "--config", config, "--port", 0) as process:
        assert ask(port_of(process), "GET", "/metrics", KEY)[0] == 404
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
