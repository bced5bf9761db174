"""Delivers webhooks of jobs: a function that makes one attempt, a state machine that repeats it."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..lambda_settings import function_environment, reserved
from ..logs import log_group
from ..props import GatewayProps
from ..secrets import KeySecrets
from .functions import StepFunction
from .storage import JobStorage
from .webhook_definition import ATTEMPT_SECONDS, definition

MEMORY = 512
"""MB. An attempt waits for the receiver; the first one of an environment imports boto3."""

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
        self.machine = self._machine(props)

    def _machine(self, props: GatewayProps) -> sfn.StateMachine:
        stack = cdk.Stack.of(self)
        states = iam.ServicePrincipal(
            "states.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
        )
        role = iam.Role(self, "Role", assumed_by=states)
        function = self.step.function.function_arn
        role.add_to_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function])
        )
        name = f"/aws/vendedlogs/states/{stack.stack_name}-webhooks"
        text = stack.to_json_string(definition(function, stack.partition))
        return sfn.StateMachine(
            self,
            "Machine",
            comment="Fanout: reports the end of a job, and again until it is received",
            definition_body=sfn.DefinitionBody.from_string(text),
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group(self, "Log", props, name),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
        )

    def connect_finisher(self, finish: StepFunction, props: GatewayProps) -> None:
        """Let the finisher start deliveries."""
        arn = self.machine.state_machine_arn
        for name, value in reserved(props, {"FANOUT_WEBHOOK_MACHINE": arn}).items():
            finish.function.add_environment(name, value)
        finish.role.add_to_policy(
            iam.PolicyStatement(actions=["states:StartExecution"], resources=[arn])
        )
