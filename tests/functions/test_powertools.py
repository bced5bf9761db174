"""Logs and metrics on AWS: one JSON line each, written before the call returns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.totals import Totals
from fanout.keys.ledger import KeyLedger
from fanout.keys.management import KeyManager
from fanout.telemetry.observers import AttemptRecord, DecisionRecord, RequestRecord
from functions.powertools import FLUSH_INTERVAL, PowertoolsBulkObserver, PowertoolsObserver
from tests.support.memory_store import MemoryStore, finish

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


DECISIONS: list[tuple[DecisionRecord, dict[str, float]]] = [
    (
        DecisionRecord("req-1", "agree", "undecided", calls=3, calls_saved=1, votes=2),
        {"Decisions": 1, "Undecided": 1, "Votes": 2, "CallsSaved": 1},
    ),
    (
        DecisionRecord("req-1", "best", "failed", calls=2, judge="j", judge_calls=2),
        {"Decisions": 1, "JudgeCalls": 2, "JudgeFailures": 1},
    ),
    (DecisionRecord("req-1", "hedge", "started"), {"Hedges": 1, "HedgesWithheld": 0}),
    (DecisionRecord("req-1", "hedge", "withheld"), {"Hedges": 0, "HedgesWithheld": 1}),
]


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """A name for each test: Powertools keeps one logger, and its stdout, for each name."""
    return str(request.node.name)


def written(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the log line and the metrics."""
    line, metrics = map(json.loads, capsys.readouterr().out.splitlines())
    return line, metrics


def values(metrics: dict[str, Any]) -> dict[str, float]:
    (declared,) = metrics["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: metrics[metric["Name"]][0] for metric in declared["Metrics"]}


def test_an_attempt_is_a_line_with_its_requests_id(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    PowertoolsObserver(service).attempt(ATTEMPT)
    line, _ = written(capsys)
    assert (line["message"], line["correlation_id"]) == ("attempt", "req-1")
    assert (line["service"], line["model"], line["outcome"]) == (service, "fast", "cancelled")
    assert line["usage"]["total_tokens"] == 15
    assert "request_id" not in line


def test_a_soft_budget_is_a_line_that_names_the_account_and_a_metric_that_does_not(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    manager = KeyManager(KeyLedger(MemoryStore(), lease=1.0), "master")
    _, item = finish(manager.create({"alias": "search", "soft_budget": 5}))
    PowertoolsObserver(service).soft_budget(item)
    line, metrics = written(capsys)
    assert (line["message"], line["account"]) == ("soft_budget", item["id"])
    assert values(metrics) == {"SoftBudgets": 1}
    assert "search" not in str(metrics)
    assert item["id"] not in str(metrics)


def test_a_decision_is_a_line_and_the_metrics_of_its_mode(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    for number, (record, counts) in enumerate(DECISIONS):
        PowertoolsObserver(f"{service}{number}").decision(record)
        line, metrics = written(capsys)
        assert (line["message"], line["outcome"]) == ("decision", record.outcome)
        assert values(metrics) == counts
        (declared,) = metrics["_aws"]["CloudWatchMetrics"]
        assert ["mode", "service"] in [sorted(one) for one in declared["Dimensions"]]


def test_a_worker_writes_sums_of_its_decisions(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    observer = PowertoolsBulkObserver(service)
    for record, _ in [*DECISIONS, *DECISIONS]:
        observer.decision(record)
    assert capsys.readouterr().out == ""
    observer.flush()
    lines = [values(json.loads(line)) for line in capsys.readouterr().out.splitlines()]
    assert {"Decisions": 2, "Undecided": 2, "Votes": 4, "CallsSaved": 2} in lines
    assert {"Hedges": 2, "HedgesWithheld": 2} in lines
    observer.flush()
    assert capsys.readouterr().out == ""


def test_a_rejection_of_fanouts_own_is_a_warning(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    PowertoolsObserver(service).attempt(replace(ATTEMPT, outcome="failed", rejected="stop"))
    line, _ = written(capsys)
    assert (line["level"], line["rejected"]) == ("WARNING", "stop")


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


def test_a_request_with_a_5xx_counts_as_an_error(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    PowertoolsObserver(service).request(REQUEST)
    line, metrics = written(capsys)
    assert (line["message"], line["correlation_id"]) == ("request", "req-1")
    assert (line["caller"], line["models"], line["winner"]) == ("team", ["fast", "slow"], "slow")
    assert values(metrics) == {"Requests": 1.0, "Errors": 1.0, "Latency": 50.0}


def fails() -> None:
    raise ValueError("the prompt, which must not be logged")


def test_a_bug_is_logged_with_its_place_and_without_its_message(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    with pytest.raises(ValueError, match="must not be logged") as raised:
        fails()
    PowertoolsObserver(service).unexpected_error("req-1", raised.value)
    out = capsys.readouterr().out
    line = json.loads(out)
    assert (line["message"], line["error"], line["correlation_id"]) == (
        "unexpected_error",
        "ValueError",
        "req-1",
    )
    assert "test_powertools.py" in line["where"][-1]
    assert "must not be logged" not in out


# ---- a job's worker ----


def sums(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """Return the metrics that were written, by their model."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line.get("model", ""): line for line in lines}


def test_a_workers_attempts_are_written_as_sums_by_model(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    observer = PowertoolsBulkObserver(service, lambda: 0.0)
    failed = replace(ATTEMPT, outcome="failed", usage=None, cost_usd=None)
    for record in (ATTEMPT, failed, replace(ATTEMPT, model="slow", outcome="ok")):
        observer.attempt(record)
    assert capsys.readouterr().out == ""
    observer.flush()
    found = sums(capsys)
    assert set(found) == {"fast", "slow"}
    assert values(found["fast"]) == {
        "Attempts": 2.0,
        "AttemptFailures": 1.0,
        "Cancelled": 1.0,
        "PromptTokens": 10.0,
        "CompletionTokens": 5.0,
        "CostUSD": 0.25,
    }
    (declared,) = found["fast"]["_aws"]["CloudWatchMetrics"]
    assert declared["Dimensions"] == [["service"], ["service", "model"]]
    observer.flush()
    assert capsys.readouterr().out == ""


def test_a_worker_writes_its_sums_every_half_minute(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    clock = [0.0]
    observer = PowertoolsBulkObserver(service, lambda: clock[0])
    observer.attempt(ATTEMPT)
    clock[0] = FLUSH_INTERVAL
    observer.attempt(ATTEMPT)
    assert values(sums(capsys)["fast"])["Attempts"] == 2.0
    observer.attempt(ATTEMPT)
    assert capsys.readouterr().out == ""


def test_a_workers_lines_and_overdue_jobs_are_written_with_the_stacks_name(
    capsys: pytest.CaptureFixture[str], service: str
) -> None:
    observer = PowertoolsBulkObserver(service)
    observer.lines(Totals(done=3, failed=1, cost=500_000_000))
    assert values(sums(capsys)[""]) == {"Lines": 4.0, "LineFailures": 1.0, "LineCostUSD": 0.5}
    observer.overdue(2)
    found = sums(capsys)[""]
    assert (found["service"], values(found)) == (service, {"StuckJobs": 2.0})
