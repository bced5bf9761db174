"""
The definition of the jobs' state machine: Amazon States Language as a Python value, with JSONata.

The states are: plan, work on every shard of a manifest, finish. Finish ends the job, or starts
another round of work on the incomplete shards. If all lines wait for a provider that asked for a
long pause, the state machine holds the job, without any worker, and looks at it now and then.
docs/decisions/0010 has the reasons. See
https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]

LABEL = "Shards"
MAX_DAYS = 15
"""One day more than the longest `completion_window`."""

LAMBDA_SECONDS = 900
"""How long the planner and the finisher may run."""

TASK_MARGIN = 60
"""Seconds more than a Lambda may run. After that the task fails, whatever happened to it."""

RETRY_BUSY = {
    "ErrorEquals": ["Lambda.TooManyRequestsException"],
    "IntervalSeconds": 2,
    "MaxAttempts": 1_000,
    "BackoffRate": 2,
    "MaxDelaySeconds": 300,
    "JitterStrategy": "FULL",
}
"""
For an account without concurrency left: that delays a job and never fails it.

A thousand attempts take about 40 hours and 3,000 of an execution's 25,000 events. The next round
goes on.
"""

RETRY_LAMBDA = {
    "ErrorEquals": [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 10,
    "BackoffRate": 2,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}
"""For faults of Lambda."""

RETRY_ANY = {
    "ErrorEquals": ["States.ALL"],
    "IntervalSeconds": 3,
    "MaxAttempts": 3,
    "BackoffRate": 3,
    "JitterStrategy": "FULL",
}

RETRY_MAP = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30, "MaxAttempts": 2}
"""For the whole map, if S3 could not be read. It starts over; workers skip the stored lines."""

START = {
    "given": "{% $states.context.Execution.Input %}",
    "execution": {
        "id": "{% $states.context.Execution.Id %}",
        "started": "{% $states.context.Execution.StartTime %}",
    },
}
WORKERS = "{% $states.input.workers > 0 ? $states.input.workers : 0 %}"
SLOTS = "{% $states.input.slots > 0 ? $states.input.slots : 0 %}"
"""The input's limits; 0 if an older planner has planned the job."""

WAITS = "{% $states.input.waits > 0 ? $states.input.waits : 0 %}"
"""How many times the shard has waited for a slot."""

WAITS_NOW = "{% $states.result.Payload.waits > 0 ? $states.result.Payload.waits : 0 %}"
NO_SLOT_SECONDS = "{% $states.input.result.wait > 0 ? $states.input.result.wait : 30 %}"
"""As the worker says; 30 after an older one, which says nothing."""

FAILURE = {**START, "error": "{% $states.input.error %}"}


@dataclass(frozen=True)
class References:
    """What the definition refers to: the functions' ARNs, the bucket's name, AWS's partition."""

    plan: str
    work: str
    finish: str
    bucket: str
    partition: str


def definition(references: References, workers: int, seconds: int) -> State:
    """
    Return the whole definition. Its map runs as many shards at the same time as the planner says.

    `workers` is the number for a job that an older planner has planned; a worker runs for at most
    `seconds`.
    """
    plan, finish = references.plan, references.finish
    return {
        "Comment": "plan, work on every shard, finish; again while lines are left",
        "QueryLanguage": "JSONata",
        "StartAt": "Plan",
        "TimeoutSeconds": MAX_DAYS * 24 * 3600,
        "States": {
            "Plan": _task(references, plan, START, "Planned"),
            "Planned": _choice({"work": "Work", "refuse": "Refuse", "done": "Done"}, "Finish"),
            "Work": _map(references, workers, seconds),
            "Finish": _task(references, finish, "{% $states.input %}", "Finished"),
            "Finished": _choice({"work": "Pause", "hold": "Hold", "fail": "Fail"}, "Done"),
            "Pause": {"Type": "Wait", "Seconds": "{% $states.input.wait %}", "Next": "Work"},
            "Hold": {"Type": "Wait", "Seconds": "{% $states.input.wait %}", "Next": "Finish"},
            "GiveUp": _task(references, finish, FAILURE, "Fail", catch="Abandon"),
            "Abandon": _task(
                references, finish, {**FAILURE, "abandon": True}, "Fail", catch="Lost"
            ),
            "Done": {"Type": "Succeed"},
            "Refuse": _fail("BadInput", "{% $states.input.why %}"),
            "Fail": _fail("JobFailed", "{% $states.input.why %}"),
            "Lost": _fail("JobLost", "{% 'the job could not be closed: ' & $states.input.error %}"),
        },
    }


def _task(
    references: References, function: str, payload: object, next_: str, *, catch: str = "GiveUp"
) -> State:
    """Return a state that calls a function and passes its result to the next state."""
    return {
        **_invoke(references, function, payload),
        "Output": "{% $states.result.Payload %}",
        "Catch": [_catch(catch)],
        "Next": next_,
    }


def _invoke(
    references: References, function: str, payload: object, seconds: int = LAMBDA_SECONDS
) -> State:
    return {
        "Type": "Task",
        "Resource": f"arn:{references.partition}:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": payload},
        "TimeoutSeconds": seconds + TASK_MARGIN,
        "Retry": [RETRY_BUSY, RETRY_LAMBDA, RETRY_ANY],
    }


def _catch(next_: str) -> State:
    return {
        "ErrorEquals": ["States.ALL"],
        "Output": {"error": "{% $states.errorOutput.Error %}"},
        "Next": next_,
    }


def _choice(ways: Mapping[str, str], default: str) -> State:
    """Return a choice by `next`, a field of every function's result."""
    return {
        "Type": "Choice",
        "Choices": [
            {"Condition": f"{{% $states.input.next = '{value}' %}}", "Next": state}
            for value, state in ways.items()
        ],
        "Default": default,
    }


def _fail(error: str, cause: str) -> State:
    return {"Type": "Fail", "Error": f"Fanout.{error}", "Cause": cause}


def _map(references: References, workers: int, seconds: int) -> State:
    """
    Return the Distributed Map, which runs a child execution for each shard of the manifest.

    A child that fails does not end the others: the next round works on the lines that are left.
    """
    s3 = f"arn:{references.partition}:states:::s3"
    return {
        "Type": "Map",
        "Label": LABEL,
        "MaxConcurrency": f"{{% $states.input.workers > 0 ? $states.input.workers : {workers} %}}",
        "ToleratedFailurePercentage": 100,
        "ItemReader": {
            "Resource": f"{s3}:getObject",
            "ReaderConfig": {"InputType": "JSONL"},
            "Arguments": {"Bucket": references.bucket, "Key": "{% $states.input.manifest %}"},
        },
        "ItemSelector": {
            "job": "{% $states.input.job %}",
            "shard": "{% $states.context.Map.Item.Value %}",
            "workers": WORKERS,
            "slots": SLOTS,
        },
        "ItemProcessor": _child(references, seconds),
        "ResultWriter": {
            "Resource": f"{s3}:putObject",
            "Arguments": {
                "Bucket": references.bucket,
                "Prefix": "{% 'jobs/' & $states.input.job & '/runs' %}",
            },
            "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSONL"},
        },
        "Output": "{% $states.input %}",
        "Retry": [RETRY_MAP],
        "Catch": [_catch("GiveUp")],
        "Next": "Finish",
    }


def _child(references: References, seconds: int) -> State:
    """
    Return a shard's states: run one worker after another while each stops for lack of time.

    If all slots of the stack's workers are taken, the shard waits, longer each time.
    """
    shard = {
        "job": "{% $states.input.job %}",
        "shard": "{% $states.input.shard %}",
        "workers": WORKERS,
        "slots": SLOTS,
    }
    return {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Shard",
        "States": {
            "Shard": {
                **_invoke(references, references.work, {**shard, "waits": WAITS}, seconds),
                "Output": {
                    **shard,
                    "waits": WAITS_NOW,
                    "result": "{% $states.result.Payload %}",
                },
                "Next": "Worked",
            },
            "Worked": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $states.input.result.stop = 'time' and "
                        "$states.input.result.left > 0 %}",
                        "Next": "Shard",
                    },
                    {
                        "Condition": "{% $states.input.result.stop = 'slots' %}",
                        "Next": "NoSlot",
                    },
                ],
                "Default": "Counts",
            },
            "NoSlot": {"Type": "Wait", "Seconds": NO_SLOT_SECONDS, "Next": "Shard"},
            "Counts": {"Type": "Succeed", "Output": "{% $states.input.result %}"},
        },
    }
