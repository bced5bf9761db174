"""The jobs' state machine: the settings that must not change by accident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.bulk.state_machine_definition import References, definition
from infra.context import read_props
from scripts.aws.state_machines import definitions

from .synth import Template


def definition_of(stack: Template) -> Mapping[str, Any]:
    (found,) = (
        found
        for name, found in definitions(stack.template["Resources"])
        if name.startswith("BulkJobs")
    )
    whole: Mapping[str, Any] = found
    return whole


def states_of(stack: Template) -> Mapping[str, Any]:
    states: Mapping[str, Any] = definition_of(stack)["States"]
    return states


def test_a_shard_is_a_standard_child_that_is_retried_and_fails_alone(
    stack: Template,
) -> None:
    shards = states_of(stack)["Work"]
    processor = shards["ItemProcessor"]
    assert processor["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert shards["Label"] == "Shards"
    assert shards["ToleratedFailurePercentage"] == 100
    # The planner's number; 20 for a job that an older planner has planned.
    assert (
        shards["MaxConcurrency"] == "{% $states.input.workers > 0 ? $states.input.workers : 20 %}"
    )
    assert shards["ItemReader"]["ReaderConfig"] == {"InputType": "JSONL"}
    assert shards["ResultWriter"]["Resource"].endswith(":s3:putObject")
    task = processor["States"]["Shard"]
    assert [max(r["ErrorEquals"]) for r in task["Retry"]] == [
        "Lambda.TooManyRequestsException",
        "Lambda.ServiceException",
        "States.ALL",
    ]


def test_a_full_account_delays_a_step_for_over_a_day_and_does_not_fail_it(stack: Template) -> None:
    states = states_of(stack)
    tasks = [*states.values(), *states["Work"]["ItemProcessor"]["States"].values()]
    for task in (state for state in tasks if state["Type"] == "Task"):
        busy = task["Retry"][0]
        assert busy["ErrorEquals"] == ["Lambda.TooManyRequestsException"]
        mean = busy["MaxDelaySeconds"] / 2
        assert busy["MaxAttempts"] * mean > 24 * 3600
        assert busy["MaxAttempts"] * 3 < 25_000  # the events of an execution


def test_a_shard_without_a_slot_for_its_worker_waits(stack: Template) -> None:
    states = states_of(stack)["Work"]["ItemProcessor"]["States"]
    ways = {choice["Condition"]: choice["Next"] for choice in states["Worked"]["Choices"]}
    assert ways["{% $states.input.result.stop = 'slots' %}"] == "NoSlot"
    assert states["NoSlot"] == {
        "Type": "Wait",
        "Seconds": "{% $states.input.result.wait > 0 ? $states.input.result.wait : 30 %}",
        "Next": "Shard",
    }
    payload, output = states["Shard"]["Arguments"]["Payload"], states["Shard"]["Output"]
    assert payload["waits"] == "{% $states.input.waits > 0 ? $states.input.waits : 0 %}"
    waits = "$states.result.Payload.waits"
    assert output["waits"] == f"{{% {waits} > 0 ? {waits} : 0 %}}"
    assert payload["slots"] == "{% $states.input.slots > 0 ? $states.input.slots : 0 %}"


def test_every_step_that_fails_ends_its_job(stack: Template) -> None:
    states = states_of(stack)
    caught = {name: state["Catch"][0]["Next"] for name, state in states.items() if "Catch" in state}
    assert caught == {
        "Plan": "GiveUp",
        "Work": "GiveUp",
        "Finish": "GiveUp",
        "GiveUp": "Abandon",
        "Abandon": "Lost",
    }
    for state in states.values():
        if state["Type"] == "Task":
            assert state["Retry"]
            assert state["TimeoutSeconds"] == 960


def test_a_worker_may_run_as_long_as_the_option_says() -> None:
    assert read_props({"fanout:bulk_timeout": "1800"}).bulk_timeout == 1_800
    references = References("plan", "work", "finish", "bucket", "aws")
    states = definition(references, 20, 1_800)["States"]
    assert states["Work"]["ItemProcessor"]["States"]["Shard"]["TimeoutSeconds"] == 1_860
    assert states["Plan"]["TimeoutSeconds"] == 960


def test_the_state_machine_has_a_time_limit_logs_and_traces(stack: Template) -> None:
    properties = stack.one("StepFunctions::StateMachine", "BulkJobs")
    whole = definition_of(stack)
    assert whole["TimeoutSeconds"] == 15 * 24 * 3600
    assert properties["TracingConfiguration"] == {"Enabled": True}
    assert properties["LoggingConfiguration"]["Level"] == "ALL"
    assert properties.get("StateMachineType", "STANDARD") == "STANDARD"


def test_a_job_that_only_waits_is_held_without_workers(stack: Template) -> None:
    states = states_of(stack)
    ways = {choice["Condition"]: choice["Next"] for choice in states["Finished"]["Choices"]}
    assert ways["{% $states.input.next = 'hold' %}"] == "Hold"
    assert states["Hold"]["Type"] == "Wait"
    assert states["Hold"]["Next"] == "Finish"
