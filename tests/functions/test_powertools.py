"""The log and the metrics on AWS: one JSON line each, whole when the call returns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.totals import Totals
from fanout.telemetry.observers import AttemptRecord, RequestRecord
from functions.powertools import OFTEN, PowertoolsObserver, PowertoolsTotals

ATTEMPT = AttemptRecord(
    request_id="req-1",
    mode="race",
    model="fast",
    deployment="fast#0",
    provider="openai",
    outcome="cancelled",
    status=None,
    error=None,
    first_token_ms=12.5,
    duration_ms=40.0,
    usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    cost_usd=0.25,
)
REQUEST = RequestRecord(
    request_id="req-1",
    caller="team",
    mode="race",
    models=("fast", "slow"),
    winner="slow",
    stream=True,
    status=503,
    error="Overloaded",
    duration_ms=50.0,
)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """A name of its own: Powertools keeps one logger for each, and its standard output."""
    return str(request.node.name)


def written(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The line and the metrics."""
    line, metrics = map(json.loads, capsys.readouterr().out.splitlines())
    return line, metrics


def values(metrics: dict[str, Any]) -> dict[str, float]:
    (declared,) = metrics["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: metrics[metric["Name"]][0] for metric in declared["Metrics"]}


def test_an_attempt_is_a_line_under_its_requests_name(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    PowertoolsObserver(service).attempt(ATTEMPT)
    line, _ = written(capsys)
    assert (line["message"], line["correlation_id"]) == ("attempt", "req-1")
    assert (line["service"], line["model"], line["outcome"]) == (service, "fast", "cancelled")
    assert line["usage"]["total_tokens"] == 15
    assert "request_id" not in line


def test_an_attempts_metrics_are_in_total_by_model_and_by_mode(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    PowertoolsObserver(service).attempt(ATTEMPT)
    _, metrics = written(capsys)
    (declared,) = metrics["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "Fanout"
    assert declared["Dimensions"] == [["service"], ["service", "model"], ["service", "mode"]]
    assert (metrics["service"], metrics["model"], metrics["mode"]) == (service, "fast", "race")
    assert values(metrics) == {
        "Attempts": 1.0,
        "AttemptFailures": 0.0,
        "Cancelled": 1.0,
        "FirstToken": 12.5,
        "PromptTokens": 10.0,
        "CompletionTokens": 5.0,
        "CostUSD": 0.25,
    }


def test_a_request_counts_as_an_error_when_the_gateway_is_to_blame(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    PowertoolsObserver(service).request(REQUEST)
    line, metrics = written(capsys)
    assert (line["message"], line["correlation_id"]) == ("request", "req-1")
    assert (line["caller"], line["models"], line["winner"]) == ("team", ["fast", "slow"], "slow")
    assert values(metrics) == {"Requests": 1.0, "Errors": 1.0, "Latency": 50.0}


def fails() -> None:
    raise ValueError("the prompt that nobody may log")


def test_a_bug_is_told_by_its_place_without_its_words(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    with pytest.raises(ValueError, match="nobody may log") as raised:
        fails()
    PowertoolsObserver(service).bug("req-1", raised.value)
    out = capsys.readouterr().out
    line = json.loads(out)
    assert (line["message"], line["error"], line["correlation_id"]) == (
        "bug",
        "ValueError",
        "req-1",
    )
    assert "test_powertools.py" in line["where"][-1]
    assert "nobody may log" not in out


# ---- a worker of jobs ----


def sums(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """The metrics that were told, by their model."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line.get("model", ""): line for line in lines}


def test_a_workers_attempts_are_told_as_sums_by_model_and_not_one_by_one(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    totals = PowertoolsTotals(service, lambda: 0.0)
    failed = replace(ATTEMPT, outcome="failed", usage=None, cost_usd=None)
    for record in (ATTEMPT, failed, replace(ATTEMPT, model="slow", outcome="ok")):
        totals.attempt(record)
    assert capsys.readouterr().out == ""
    totals.flush()
    told = sums(capsys)
    assert set(told) == {"fast", "slow"}
    assert values(told["fast"]) == {
        "Attempts": 2.0,
        "AttemptFailures": 1.0,
        "Cancelled": 1.0,
        "PromptTokens": 10.0,
        "CompletionTokens": 5.0,
        "CostUSD": 0.25,
    }
    (declared,) = told["fast"]["_aws"]["CloudWatchMetrics"]
    assert declared["Dimensions"] == [["service"], ["service", "model"]]
    totals.flush()
    assert capsys.readouterr().out == ""


def test_a_long_worker_tells_its_sums_every_half_minute(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    clock = [0.0]
    totals = PowertoolsTotals(service, lambda: clock[0])
    totals.attempt(ATTEMPT)
    clock[0] = OFTEN
    totals.attempt(ATTEMPT)
    assert values(sums(capsys)["fast"])["Attempts"] == 2.0
    totals.attempt(ATTEMPT)
    assert capsys.readouterr().out == ""


def test_a_workers_lines_and_what_hangs_are_told_under_the_stacks_name(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    totals = PowertoolsTotals(service)
    totals.lines(Totals(done=3, failed=1, cost=0.5))
    assert values(sums(capsys)[""]) == {"Lines": 4.0, "LineFailures": 1.0, "LineCostUSD": 0.5}
    totals.stuck(2)
    told = sums(capsys)[""]
    assert (told["service"], values(told)) == (service, {"StuckJobs": 2.0})
