"""Delivers webhooks of jobs: a function that makes one attempt, a state machine that repeats it."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..lambda_settings import function_environment, reserved
from ..props import GatewayProps
from ..secrets import KeySecrets
from .functions import StepFunction
from .repeated_step import Repetition, repeating_machine
from .storage import JobStorage

MEMORY = 512
"""MB. An attempt waits for the receiver; the first one of an environment imports boto3."""

ATTEMPT_SECONDS = 60
"""How long the function may run; it waits 15 s for the receiver."""

ATTEMPTS = Repetition(
    "attempt the delivery, and again until it is received or given up",
    "Attempt",
    ATTEMPT_SECONDS,
    2,
)
"""The attempts take a day; the second one is for faults of AWS's."""

VARIABLES = ("FANOUT_FILE_DAYS", "FANOUT_TABLE")
"""What the function needs of the storage's variables: it reads no files."""


class Webhooks(Construct):
    """
    The function and its state machine. The finisher starts an execution for each job's webhook.

    A state machine costs nothing while no webhook is on its way, and its waits cost nothing either;
    a queue would be polled all the time.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        code: lambda_.Code,
        secrets: KeySecrets,
        storage: JobStorage,
    ) -> None:
        super().__init__(scope, id_)
        own = reserved(props, {name: storage.environment[name] for name in VARIABLES})
        self.step = StepFunction(
            self,
            "Webhook",
            props=props,
            code=code,
            environment=function_environment(props, secrets.prefix) | own,
            memory=MEMORY,
            timeout=ATTEMPT_SECONDS,
            description="reports the end of a job to its webhook",
        )
        storage.grant_job_records(self.step.role)
        secrets.grant_read_webhook_secrets(self.step.role)
        self.machine = repeating_machine(
            self,
            ATTEMPTS,
            props=props,
            function=self.step.function.function_arn,
            name="webhooks",
            comment="Fanout: reports the end of a job, and again until it is received",
        )

    def connect_finisher(self, finish: StepFunction, props: GatewayProps) -> None:
        """Let the finisher start deliveries."""
        arn = self.machine.state_machine_arn
        for name, value in reserved(props, {"FANOUT_WEBHOOK_MACHINE": arn}).items():
            finish.function.add_environment(name, value)
        finish.role.add_to_policy(
            iam.PolicyStatement(actions=["states:StartExecution"], resources=[arn])
        )
