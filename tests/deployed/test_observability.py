"""Logs and metrics: each request can be found, and nothing private is logged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from .deployed_stack import DeployedStack
from .scripted_provider import ANSWER

TIMEOUT = 120.0
PROMPT = "the-prompt-that-must-not-be-logged"


def log_lines(stack: DeployedStack) -> Iterator[str]:
    """Yield every line in the stack's logs."""
    client = stack.aws("logs")
    for group in stack.resources("AWS::Logs::LogGroup"):
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=group)
        yield from (event["message"] for page in pages for event in page["events"])


@pytest.fixture(scope="module")
def version(own: DeployedStack) -> Iterator[str]:
    """A new version of the function, so that its logs are of these tests only."""
    with own.variant() as version:
        yield version


def logged(stack: DeployedStack, request_id: str, count: int) -> list[dict[str, Any]]:
    """Wait for that many log lines of a request; return them as parsed JSON."""
    end = time.monotonic() + TIMEOUT
    while True:
        texts = {line.strip() for line in log_lines(stack) if request_id in line}
        found = [line for line in map(parsed, texts) if line.get("correlation_id") == request_id]
        if len(found) >= count or time.monotonic() > end:
            return sorted(found, key=lambda line: str(line["message"]))
        time.sleep(1)


def parsed(line: str) -> dict[str, Any]:
    """Return a JSON line; an empty object for others, such as a line that was cut."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def metrics(stack: DeployedStack) -> Iterator[Mapping[str, Any]]:
    """Yield every line from which CloudWatch makes metrics."""
    for line in log_lines(stack):
        if line.startswith('{"_aws"'):
            yield json.loads(line)


def ask(stack: DeployedStack, version: str, model: str = "quick", **more: object) -> str:
    """Send a request; return its id."""
    request_id = uuid4().hex
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}
    stack.invoke("POST", "/chat/completions", body, request_id=request_id, version=version)
    return request_id


def test_each_attempt_and_each_request_is_one_line_with_the_requests_id(
    own: DeployedStack, version: str
) -> None:
    attempt, request = logged(own, ask(own, version), 2)
    assert attempt["message"] == "attempt"
    assert attempt["service"] == own.name
    assert (attempt["model"], attempt["outcome"], attempt["status"]) == ("quick", "ok", 200)
    assert attempt["usage"]["total_tokens"] == 15
    assert attempt["cost_usd"] == pytest.approx(0.00002)

    assert request["message"] == "request"
    assert (request["mode"], request["models"], request["status"]) == ("one", ["quick"], 200)
    assert request["duration_ms"] >= attempt["duration_ms"]


def test_each_leg_of_a_race_is_logged(own: DeployedStack, version: str) -> None:
    name = ask(own, version, model="broken, slow", fastest_response=True)
    *attempts, request = logged(own, name, 3)
    assert {a["model"]: a["outcome"] for a in attempts} == {"broken": "failed", "slow": "ok"}
    assert (request["mode"], request["winner"]) == ("race", "slow")


def test_the_metrics_are_those_of_the_dashboard(own: DeployedStack, version: str) -> None:
    logged(own, ask(own, version, stream=True), 2)
    lines = list(metrics(own))
    attempts = [
        line
        for line in lines  # a job's worker writes no mode
        if "Attempts" in line and line["model"] == "quick" and "mode" in line
    ]
    (declared,) = attempts[-1]["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "Fanout"
    assert declared["Dimensions"] == [["service"], ["service", "model"], ["service", "mode"]]
    assert attempts[-1]["service"] == own.name
    names = {metric["Name"] for metric in declared["Metrics"]}
    assert {"Attempts", "CostUSD", "FirstToken", "CompletionTokens", "Cancelled"} <= names
    assert any("Requests" in line and line["Errors"] == [0.0] for line in lines)


def test_no_prompt_no_response_and_no_key_is_in_any_log(own: DeployedStack, version: str) -> None:
    for model in ("quick", "broken", "nowhere", "keyless"):
        logged(own, ask(own, version, model=model), 1)
    text = "\n".join(log_lines(own))
    assert '"message":"attempt"' in text
    for secret in (PROMPT, ANSWER, own.key, "provider-key-1"):
        assert secret not in text
