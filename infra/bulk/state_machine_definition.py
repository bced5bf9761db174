"""
The state machine of jobs in the States Language, as a value; JSONata fills it in.

plan, then work on every shard of a manifest, then finish: which ends the job, or says when the next
round is, on what. docs/decisions/0010 has the reasons. See
https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]

LABEL = "Shards"
DAYS = 15
"""A day more than the longest `completion_window`."""

TASK_SECONDS = 960
"""A minute more than a Lambda may take: whatever became of it, the state goes on."""

BUSY = {
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
"""More workers at once than the account allows, or a fault of Lambda's."""

FAULT = {
    "ErrorEquals": ["States.ALL"],
    "IntervalSeconds": 3,
    "MaxAttempts": 3,
    "BackoffRate": 3,
    "JitterStrategy": "FULL",
}

MAP_FAULT = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30, "MaxAttempts": 2}
"""The map as a whole: S3 could not be read. It begins anew, and passes over what is stored."""

GIVEN = {
    "given": "{% $states.context.Execution.Input %}",
    "execution": {
        "id": "{% $states.context.Execution.Id %}",
        "started": "{% $states.context.Execution.StartTime %}",
    },
}
FAILED = {**GIVEN, "error": "{% $states.input.error %}"}


@dataclass(frozen=True)
class Names:
    """What the machine refers to: ARNs of its functions, the bucket's name, AWS's partition."""

    plan: str
    work: str
    finish: str
    bucket: str
    partition: str


def definition(names: Names, workers: int) -> State:
    """The machine, whose map has so many workers at once."""
    finish = names.finish
    return {
        "Comment": "plan, work on every shard, finish; again while lines are left",
        "QueryLanguage": "JSONata",
        "StartAt": "Plan",
        "TimeoutSeconds": DAYS * 24 * 3600,
        "States": {
            "Plan": _task(names, names.plan, GIVEN, "Planned"),
            "Planned": _choice({"work": "Work", "refuse": "Refuse", "done": "Done"}, "Finish"),
            "Work": _map(names, workers),
            "Finish": _task(names, finish, "{% $states.input %}", "Finished"),
            "Finished": _choice({"work": "Pause", "fail": "Fail"}, "Done"),
            "Pause": {"Type": "Wait", "Seconds": "{% $states.input.wait %}", "Next": "Work"},
            "GiveUp": _task(names, finish, FAILED, "Fail", fault="Abandon"),
            "Abandon": _task(names, finish, {**FAILED, "abandon": True}, "Fail", fault="Lost"),
            "Done": {"Type": "Succeed"},
            "Refuse": _fail("BadInput", "{% $states.input.why %}"),
            "Fail": _fail("JobFailed", "{% $states.input.why %}"),
            "Lost": _fail("JobLost", "{% 'the job could not be closed: ' & $states.input.error %}"),
        },
    }


def _task(
    names: Names, function: str, payload: object, next_: str, *, fault: str = "GiveUp"
) -> State:
    """A function whose answer is the next state's input."""
    return {
        **_call(names, function, payload),
        "Output": "{% $states.result.Payload %}",
        "Catch": [_catch(fault)],
        "Next": next_,
    }


def _call(names: Names, function: str, payload: object) -> State:
    return {
        "Type": "Task",
        "Resource": f"arn:{names.partition}:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": payload},
        "TimeoutSeconds": TASK_SECONDS,
        "Retry": [BUSY, FAULT],
    }


def _catch(next_: str) -> State:
    return {
        "ErrorEquals": ["States.ALL"],
        "Output": {"error": "{% $states.errorOutput.Error %}"},
        "Next": next_,
    }


def _choice(ways: Mapping[str, str], otherwise: str) -> State:
    """By `next`, which the functions say."""
    return {
        "Type": "Choice",
        "Choices": [
            {"Condition": f"{{% $states.input.next = '{said}' %}}", "Next": state}
            for said, state in ways.items()
        ],
        "Default": otherwise,
    }


def _fail(error: str, cause: str) -> State:
    return {"Type": "Fail", "Error": f"Fanout.{error}", "Cause": cause}


def _map(names: Names, workers: int) -> State:
    """
    A child for each shard of the manifest. One that fails does not end the others: what it has left
    is another round's.
    """
    s3 = f"arn:{names.partition}:states:::s3"
    return {
        "Type": "Map",
        "Label": LABEL,
        "MaxConcurrency": workers,
        "ToleratedFailurePercentage": 100,
        "ItemReader": {
            "Resource": f"{s3}:getObject",
            "ReaderConfig": {"InputType": "JSONL"},
            "Arguments": {"Bucket": names.bucket, "Key": "{% $states.input.manifest %}"},
        },
        "ItemSelector": {
            "job": "{% $states.input.job %}",
            "shard": "{% $states.context.Map.Item.Value %}",
        },
        "ItemProcessor": _child(names),
        "ResultWriter": {
            "Resource": f"{s3}:putObject",
            "Arguments": {
                "Bucket": names.bucket,
                "Prefix": "{% 'jobs/' & $states.input.job & '/runs' %}",
            },
            "WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSONL"},
        },
        "Output": "{% $states.input %}",
        "Retry": [MAP_FAULT],
        "Catch": [_catch("GiveUp")],
        "Next": "Finish",
    }


def _child(names: Names) -> State:
    """A shard, worker after worker while one says that only its time was up."""
    shard = {"job": "{% $states.input.job %}", "shard": "{% $states.input.shard %}"}
    return {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Shard",
        "States": {
            "Shard": {
                **_call(names, names.work, shard),
                "Output": {**shard, "said": "{% $states.result.Payload %}"},
                "Next": "Said",
            },
            "Said": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Condition": "{% $states.input.said.stop = 'time' and "
                        "$states.input.said.left > 0 %}",
                        "Next": "Shard",
                    }
                ],
                "Default": "Counts",
            },
            "Counts": {"Type": "Succeed", "Output": "{% $states.input.said %}"},
        },
    }
