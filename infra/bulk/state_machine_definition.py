"""
The definition of the jobs' state machine: Amazon States Language as a Python value, with JSONata.

The states are: plan, work on every shard of a manifest, finish. Finish ends the job, or starts
another round of work on the incomplete shards. docs/decisions/0010 has the reasons. See
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

TASK_SECONDS = 960
"""One minute more than a Lambda may run. After that the task fails, whatever happened to it."""

RETRY_LAMBDA = {
    "ErrorEquals": [
        "Lambda.TooManyRequestsException",
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
"""For Lambda's own errors: more workers at once than the account allows, or a fault of Lambda."""

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
FAILURE = {**START, "error": "{% $states.input.error %}"}


@dataclass(frozen=True)
class References:
    """What the definition refers to: the functions' ARNs, the bucket's name, AWS's partition."""

    plan: str
    work: str
    finish: str
    bucket: str
    partition: str


def definition(references: References, workers: int) -> State:
    """Return the whole definition; its map runs at most `workers` shards at the same time."""
    plan, finish = references.plan, references.finish
    return {
        "Comment": "plan, work on every shard, finish; again while lines are left",
        "QueryLanguage": "JSONata",
        "StartAt": "Plan",
        "TimeoutSeconds": MAX_DAYS * 24 * 3600,
        "States": {
            "Plan": _task(references, plan, START, "Planned"),
            "Planned": _choice({"work": "Work", "refuse": "Refuse", "done": "Done"}, "Finish"),
            "Work": _map(references, workers),
            "Finish": _task(references, finish, "{% $states.input %}", "Finished"),
            "Finished": _choice({"work": "Pause", "fail": "Fail"}, "Done"),
            "Pause": {"Type": "Wait", "Seconds": "{% $states.input.wait %}", "Next": "Work"},
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


def _invoke(references: References, function: str, payload: object) -> State:
    return {
        "Type": "Task",
        "Resource": f"arn:{references.partition}:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": payload},
        "TimeoutSeconds": TASK_SECONDS,
        "Retry": [RETRY_LAMBDA, RETRY_ANY],
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


def _map(references: References, workers: int) -> State:
    """
    Return the Distributed Map, which runs a child execution for each shard of the manifest.

    A child that fails does not end the others: the next round works on the lines that are left.
    """
    s3 = f"arn:{references.partition}:states:::s3"
    return {
        "Type": "Map",
        "Label": LABEL,
        "MaxConcurrency": workers,
        "ToleratedFailurePercentage": 100,
        "ItemReader": {
            "Resource": f"{s3}:getObject",
            "ReaderConfig": {"InputType": "JSONL"},
            "Arguments": {"Bucket": references.bucket, "Key": "{% $states.input.manifest %}"},
        },
        "ItemSelector": {
            "job": "{% $states.input.job %}",
            "shard": "{% $states.context.Map.Item.Value %}",
        },
        "ItemProcessor": _child(references),
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


def _child(references: References) -> State:
    """Return a shard's states: run one worker after another while each stops for lack of time."""
    shard = {"job": "{% $states.input.job %}", "shard": "{% $states.input.shard %}"}
    return {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Shard",
        "States": {
            "Shard": {
                **_invoke(references, references.work, shard),
                "Output": {**shard, "result": "{% $states.result.Payload %}"},
                "Next": "Worked",
            },
            "Worked": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $states.input.result.stop = 'time' and "
                        "$states.input.result.left > 0 %}",
                        "Next": "Shard",
                    }
                ],
                "Default": "Counts",
            },
            "Counts": {"Type": "Succeed", "Output": "{% $states.input.result %}"},
        },
    }
