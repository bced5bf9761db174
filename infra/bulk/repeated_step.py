"""A state machine that calls a function, waits as long as the function says, and calls it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..logs import log_group
from ..props import GatewayProps
from .state_machine_definition import RETRY_BUSY, RETRY_LAMBDA, TASK_MARGIN

FAULT_SECONDS = 300
"""The wait after an invocation that has failed."""


@dataclass(frozen=True)
class Repetition:
    """
    What is repeated: the state that calls the function, which may run so many `seconds`.

    An execution's input is the id of a job, and its data has nothing else. It ends after `days`.
    """

    comment: str
    state: str
    seconds: int
    days: int


def definition(repetition: Repetition, function: str, partition: str) -> dict[str, Any]:
    """
    Return the whole definition; `function` is the function's ARN.

    The function returns `next`, which is `wait` or `done`, and the seconds to `wait`.
    """
    state = repetition.state
    return {
        "Comment": repetition.comment,
        "QueryLanguage": "JSONata",
        "StartAt": state,
        "TimeoutSeconds": repetition.days * 24 * 3600,
        "States": {
            state: {
                "Type": "Task",
                "Resource": f"arn:{partition}:states:::lambda:invoke",
                "Arguments": {
                    "FunctionName": function,
                    "Payload": {"job": "{% $states.context.Execution.Input.job %}"},
                },
                "TimeoutSeconds": repetition.seconds + TASK_MARGIN,
                "Retry": [RETRY_BUSY, RETRY_LAMBDA],
                "Output": "{% $states.result.Payload %}",
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Output": {"wait": FAULT_SECONDS},
                        "Next": "Wait",
                    }
                ],
                "Next": f"{state}ed",
            },
            f"{state}ed": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.next = 'wait' %}", "Next": "Wait"}],
                "Default": "Done",
            },
            "Wait": {"Type": "Wait", "Seconds": "{% $states.input.wait %}", "Next": state},
            "Done": {"Type": "Succeed"},
        },
    }


def repeating_machine(
    scope: Construct,
    repetition: Repetition,
    *,
    props: GatewayProps,
    function: str,
    name: str,
    comment: str,
) -> sfn.StateMachine:
    """Make the state machine, its role and its log group, whose name ends with `name`."""
    stack = cdk.Stack.of(scope)
    states = iam.ServicePrincipal(
        "states.amazonaws.com",
        conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
    )
    role = iam.Role(scope, "Role", assumed_by=states)
    role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function]))
    log = log_group(scope, "Log", props, f"/aws/vendedlogs/states/{stack.stack_name}-{name}")
    text = stack.to_json_string(definition(repetition, function, stack.partition))
    return sfn.StateMachine(
        scope,
        "Machine",
        comment=comment,
        definition_body=sfn.DefinitionBody.from_string(text),
        role=role,
        tracing_enabled=True,
        logs=sfn.LogOptions(destination=log, level=sfn.LogLevel.ALL, include_execution_data=True),
    )
