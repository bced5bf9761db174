"""The jobs' state machine: the settings that must not change by accident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.aws.state_machines import definitions

from .synth import Template


def states_of(stack: Template) -> Mapping[str, Any]:
    ((_, found),) = definitions(stack.template["Resources"])
    states: Mapping[str, Any] = found["States"]
    return states


def test_a_shard_is_a_standard_child_that_is_retried_and_fails_alone(
    stack: Template,
) -> None:
    shards = states_of(stack)["Work"]
    processor = shards["ItemProcessor"]
    assert processor["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert shards["Label"] == "Shards"
    assert shards["ToleratedFailurePercentage"] == 100
    assert shards["MaxConcurrency"] == 20
    assert shards["ItemReader"]["ReaderConfig"] == {"InputType": "JSONL"}
    assert shards["ResultWriter"]["Resource"].endswith(":s3:putObject")
    task = processor["States"]["Shard"]
    assert [max(r["ErrorEquals"]) for r in task["Retry"]] == [
        "Lambda.TooManyRequestsException",
        "States.ALL",
    ]


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


def test_the_state_machine_has_a_time_limit_logs_and_traces(stack: Template) -> None:
    properties = stack.one("StepFunctions::StateMachine")
    ((_, whole),) = definitions(stack.template["Resources"])
    assert whole["TimeoutSeconds"] == 15 * 24 * 3600
    assert properties["TracingConfiguration"] == {"Enabled": True}
    assert properties["LoggingConfiguration"]["Level"] == "ALL"
    assert properties.get("StateMachineType", "STANDARD") == "STANDARD"
