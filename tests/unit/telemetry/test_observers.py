from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fanout.errors import StorageFull
from fanout.telemetry.observers import (
    AttemptRecord,
    JSONLinesObserver,
    NullObserver,
    ObserverGroup,
    RequestRecord,
)

ATTEMPT = AttemptRecord(
    request_id="req_1",
    mode="race",
    model="a",
    deployment="a#0",
    provider="openai",
    outcome="failed",
    status=429,
    error="RateLimited",
    first_token_ms=None,
    duration_ms=12.5,
    usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    dropped=("logit_bias",),
    cost_usd=0.25,
)
REQUEST = RequestRecord(
    request_id="req_1",
    caller="team",
    mode="race",
    models=("a", "b"),
    winner="b",
    stream=True,
    status=200,
    error=None,
    duration_ms=20.0,
)


def lines(log: Any) -> list[str]:
    written: list[str] = []
    log(JSONLinesObserver(written.append, lambda: 1_764_459_000.0099))
    return written


def test_an_attempt_is_one_json_line_with_every_field() -> None:
    (line,) = lines(lambda log: log.attempt(ATTEMPT))
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "event": "attempt",
        "time": "2025-11-29T23:30:00.009Z",
        "level": "info",
        "request_id": "req_1",
        "mode": "race",
        "model": "a",
        "deployment": "a#0",
        "provider": "openai",
        "outcome": "failed",
        "status": 429,
        "error": "RateLimited",
        "first_token_ms": None,
        "duration_ms": 12.5,
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "dropped": ["logit_bias"],
        "cost_usd": 0.25,
    }


def test_a_request_is_one_json_line_with_every_field() -> None:
    (line,) = lines(lambda log: log.request(REQUEST))
    assert json.loads(line) == {
        "event": "request",
        "time": "2025-11-29T23:30:00.009Z",
        "level": "info",
        "request_id": "req_1",
        "caller": "team",
        "mode": "race",
        "models": ["a", "b"],
        "winner": "b",
        "stream": True,
        "status": 200,
        "error": None,
        "duration_ms": 20.0,
    }


def test_a_bugs_record_has_its_traceback_and_no_values() -> None:
    def fail(prompt: str) -> None:
        raise ValueError(f"cannot take {prompt}")

    def record(log: JSONLinesObserver) -> None:
        try:
            fail("my secret prompt")
        except ValueError as error:
            log.unexpected_error("req_1", error)

    (line,) = lines(record)
    entry = json.loads(line)
    assert (entry["event"], entry["request_id"], entry["error"]) == (
        "unexpected_error",
        "req_1",
        "ValueError",
    )
    assert (entry["time"], entry["level"]) == ("2025-11-29T23:30:00.009Z", "error")
    assert [where.rpartition(" ")[2] for where in entry["where"]] == ["record", "fail"]
    assert "test_observers.py:" in entry["where"][0]
    assert "secret prompt" not in line


def test_a_fault_of_the_storage_is_no_bug() -> None:
    full = StorageFull("jobs.db", "no space is left")
    (line,) = lines(lambda log: log.unexpected_error("req_1", full))
    entry = json.loads(line)
    assert entry.pop("time")
    assert entry == {
        "event": "storage_error",
        "level": "error",
        "request_id": "req_1",
        "error": "StorageFull",
        "path": "jobs.db",
        "reason": "no space is left",
    }


def test_a_name_with_a_line_break_stays_on_its_line() -> None:
    (line,) = lines(lambda log: log.request(REQUEST.__class__(**{**_fields(), "winner": "a\nb"})))
    assert line.count("\n") == 1
    assert json.loads(line)["winner"] == "a\nb"


@pytest.mark.parametrize(("status", "level"), [(200, "info"), (429, "info"), (502, "error")])
def test_a_request_that_the_gateway_failed_is_an_error(status: int, level: str) -> None:
    (line,) = lines(lambda log: log.request(REQUEST.__class__(**{**_fields(), "status": status})))
    assert json.loads(line)["level"] == level


def test_a_group_passes_each_record_to_every_observer() -> None:
    first: list[str] = []
    second: list[str] = []
    group = ObserverGroup([JSONLinesObserver(one.append, lambda: 0.0) for one in (first, second)])
    group.attempt(ATTEMPT)
    group.request(REQUEST)
    group.unexpected_error("r", ValueError())
    assert [json.loads(line)["event"] for line in first] == [
        "attempt",
        "request",
        "unexpected_error",
    ]
    assert first == second


def test_the_null_observer_ignores_everything() -> None:
    null, bug = NullObserver(), ValueError()
    returned = [null.attempt(ATTEMPT), null.request(REQUEST), null.unexpected_error("r", bug)]  # type: ignore[func-returns-value]
    assert returned == [None, None, None]


def _fields() -> dict[str, Any]:
    return {name: getattr(REQUEST, name) for name in REQUEST.__struct_fields__}


def test_a_rejection_of_fanouts_own_is_a_warning_that_names_the_field() -> None:
    """In a race, the client gets another model's response and may not notice."""
    record = msgspec.structs.replace(ATTEMPT, status=400, error="Unsupported", rejected="stop")
    (line,) = lines(lambda observer: observer.attempt(record))
    written = json.loads(line)
    assert (written["level"], written["rejected"]) == ("warning", "stop")
    (line,) = lines(lambda observer: observer.attempt(ATTEMPT))
    assert json.loads(line)["level"] == "info"
    assert "rejected" not in json.loads(line)
