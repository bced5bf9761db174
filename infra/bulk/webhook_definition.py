"""
The definition of the webhooks' state machine: attempt, and wait until the next attempt.

The function knows when that is (`fanout.bulk.service.webhooks`). An execution's data is the id of
its job; neither the address nor the secret is in its log.
"""

from __future__ import annotations

from typing import Any

from .state_machine_definition import RETRY_BUSY, RETRY_LAMBDA, TASK_MARGIN

ATTEMPT_SECONDS = 60
"""How long the function may run; it waits 15 s for the receiver."""

DAYS = 2
"""The attempts take a day; the rest is for faults of AWS's."""

FAULT_SECONDS = 300
"""The wait after an invocation that has failed."""


def definition(function: str, partition: str) -> dict[str, Any]:
    """Return the whole definition; `function` is the function's ARN."""
    return {
        "Comment": "attempt the delivery, and again until it is received or given up",
        "QueryLanguage": "JSONata",
        "StartAt": "Attempt",
        "TimeoutSeconds": DAYS * 24 * 3600,
        "States": {
            "Attempt": {
                "Type": "Task",
                "Resource": f"arn:{partition}:states:::lambda:invoke",
                "Arguments": {
                    "FunctionName": function,
                    "Payload": {"job": "{% $states.context.Execution.Input.job %}"},
                },
                "TimeoutSeconds": ATTEMPT_SECONDS + TASK_MARGIN,
                "Retry": [RETRY_BUSY, RETRY_LAMBDA],
                "Output": "{% $states.result.Payload %}",
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Output": {"wait": FAULT_SECONDS},
                        "Next": "Wait",
                    }
                ],
                "Next": "Attempted",
            },
            "Attempted": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.next = 'wait' %}", "Next": "Wait"}],
                "Default": "Done",
            },
            "Wait": {
                "Type": "Wait",
                "Seconds": "{% $states.input.wait %}",
                "Next": "Attempt",
            },
            "Done": {"Type": "Succeed"},
        },
    }
