"""The functions of jobs check each event, and pass it on as plain values."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from fanout.bulk.aws.job_starter import Execution, ExistingJob
from fanout.bulk.aws.state_transitions import JobState
from fanout.bulk.input.planner import Shard
from fanout.errors import RequestError
from functions.bulk.events import ShardEvent, StateEvent
from functions.bulk.start_events import read_start

ARN = "arn:aws:states:eu-west-1:1:execution:Jobs:a"
EXECUTION = {"id": ARN, "started": "2026-11-25T12:00:00.250Z"}
STARTED = datetime(2026, 11, 25, 12, 0, 0, 250_000, UTC)
SHARD = {"index": 1, "start": 10, "end": 20, "first": 3, "lines": 2}
GIVEN = {"input": "private"}
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)


class Calls:
    """A runtime whose steps return what they are called with."""

    def run(self, step: Any) -> Any:
        return step(self)

    run_transition = run

    def report_overdue(self) -> Any:
        return ("report_overdue",)

    def __getattr__(self, name: str) -> Any:
        return lambda *values, **named: (name, *values, *named.items())


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    name = "functions.bulk.runtime"
    module = ModuleType(name)
    module.__dict__["runtime"] = Calls()
    monkeypatch.setitem(sys.modules, name, module)
    yield
    for handler in ("plan", "work", "finish"):
        sys.modules.pop(f"functions.bulk.{handler}", None)


def handle(function: str, event: Any) -> Any:
    return import_module(f"functions.bulk.{function}").handler(event, CONTEXT)


def test_plan_begins_what_the_execution_was_started_with() -> None:
    step, read, execution = handle("plan", {"given": {"job": "batch_1"}, "execution": EXECUTION})
    assert (step, read(), execution) == ("begin", ExistingJob("batch_1"), Execution(ARN, STARTED))


def test_work_gets_a_shard_and_the_invocations_time_minus_a_margin() -> None:
    shard = Shard(1, 10, 20, 3, 2)
    # An older state machine sends neither.
    for event, slots, waits in (({"slots": 5, "waits": 2}, 5, 2), ({}, 0, 0)):
        step, *values = handle("work", {"job": "batch_1", "shard": SHARD, **event})
        limits = [("workers", 0), ("slots", slots), ("waits", waits)]
        assert (step, values) == ("run_worker", ["batch_1", shard, 50.0, *limits])


def test_finish_gets_the_state_of_an_earlier_step_and_ignores_unknown_fields() -> None:
    state = JobState("batch_1", "work", "in_progress", "m", 15, 1, 40)
    assert handle("finish", {**msgspec.to_builtins(state), "new": 1}) == ("finish", state)
    assert handle("finish", {"job": "batch_1", "next": "finish"})[1] == JobState(
        "batch_1", "finish"
    )


@pytest.mark.parametrize("given", [{"job": "batch_1"}, {"input": "s3://b/x"}, {"job": 1}, []])
def test_a_failed_step_ends_the_job_that_the_execution_runs_or_would_have_created(
    given: Any,
) -> None:
    event = {"given": given, "execution": EXECUTION, "error": "States.Timeout"}
    job = "batch_1" if given == {"job": "batch_1"} else Execution(ARN, STARTED).job_id
    expected = ("give_up", job, "States.Timeout")
    assert handle("finish", event) == (*expected, ("abandon", False))
    assert handle("finish", {**event, "abandon": True}) == (*expected, ("abandon", True))


def test_the_schedule_counts_overdue_jobs() -> None:
    assert handle("finish", {"check": "overdue_jobs"}) == ("report_overdue",)


@pytest.mark.parametrize(
    ("function", "event", "slot"),
    [
        ("plan", {"given": GIVEN}, ("execution",)),
        (
            "plan",
            {"given": GIVEN, "execution": {**EXECUTION, "started": "x"}},
            ("execution", "started"),
        ),
        ("work", {"job": "batch_1", "shard": {**SHARD, "lines": None}}, ("shard", "lines")),
        ("work", {"job": "batch_1", "shard": {**SHARD, "lines": -1}}, ("shard", "lines")),
        ("work", {"job": "batch_1", "shard": {**SHARD, "index": -1}}, ("shard", "index")),
        ("work", {"job": "batch_1", "shard": {**SHARD, "end": 9}}, ("shard", "end")),
        ("finish", None, ("state",)),
        ("finish", {"job": "batch_1", "next": "elsewhere"}, ("state", "next")),
        ("finish", {"error": "x", "given": GIVEN}, ("error", "execution")),
        ("finish", {"check": "elsewhere"}, ("check", "check")),
    ],
)
def test_an_event_that_the_state_machine_does_not_send_raises_an_error_with_the_field(
    function: str, event: Any, slot: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as raised:
        handle(function, event)
    assert [fault["loc"] for fault in raised.value.errors()] == [slot]
    assert "private" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({"job": ""}, ["`job` is empty: the id of a job, such as `batch_…`"]),
        (
            {"input": 1, "max_cost_usd": -1.0, "completion_window": "1 fortnight"},
            [
                (
                    "`input` must be a string, not a number: "
                    "an object in the stack's bucket, such as `s3://BUCKET/x.jsonl`"
                ),
                "`max_cost_usd` must be above 0",
                "`completion_window` must be between `1h` and `14d`, such as `24h`",
            ],
        ),
        ({"input": "s3://b/x", "max_cost_usd": float("nan")}, ["`max_cost_usd` must be above 0"]),
        (
            {"input": "s3://b/x", "webhook": "x", "order": ["input"]},
            [
                "`webhook` must be an object, not a string: an object with `url` and `secret`",
                "`order` must be a string, not a list: `any` or `input`",
            ],
        ),
        (
            {"detail-type": "Object Deleted", "source": "aws.s3", "detail": {}, "id": "1"},
            ["`detail-type` is `Object Deleted`: only `Object Created` starts a job"],
        ),
        ({"detail-type": "Object Created"}, ["`version` is missing"]),
    ],
)
def test_all_wrong_fields_of_an_input_are_reported_together(
    given: dict[str, Any], faults: list[str]
) -> None:
    with pytest.raises(RequestError) as raised:
        read_start(given)
    assert str(raised.value).split("; ")[: len(faults)] == faults


@pytest.mark.parametrize("detail", [{}, {"detail": {"bucket": {"name": "b"}}}])
def test_an_event_of_s3_that_is_not_whole_is_an_error_with_the_fields_alone(detail: Any) -> None:
    with pytest.raises(RequestError) as raised:
        read_start({"detail-type": "Object Created", **detail})
    faults = str(raised.value).split("; ")
    assert [re.fullmatch(r"`[\w.-]+` is missing", fault) for fault in faults].count(None) == 0
    assert faults[0] == "`version` is missing"


@pytest.mark.parametrize(("event", "value"), [(StateEvent, JobState), (ShardEvent, Shard)])
def test_an_event_has_the_fields_of_the_value_that_it_becomes(event: Any, value: Any) -> None:
    required = [f.name for f in msgspec.structs.fields(value) if f.required]
    assert list(event.model_fields) == list(value.__struct_fields__)
    assert [name for name, field in event.model_fields.items() if field.is_required()] == required
