"""Native batches of jobs: a function that makes one turn, and a state machine that repeats it."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..lambda_settings import function_environment, reserved
from ..props import GatewayProps
from ..secrets import KeySecrets
from .functions import MAX_TIMEOUT, ONE_VCPU, JobFunctions, StepFunction
from .repeated_step import Repetition, repeating_machine
from .state_machine_definition import MAX_DAYS
from .storage import JobStorage

OUTPUT = "BatchesMachine"

TURNS = Repetition(
    "create, poll and end a job's native batches, until all of them have ended",
    "Turn",
    MAX_TIMEOUT,
    MAX_DAYS,
)


class NativeBatches(Construct):
    """
    The function and its state machine. An execution has the batches of one job.

    Nothing runs, and nothing is paid for, while an execution waits, and there is none without such
    a job; a schedule would run all the time.
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
        own = reserved(props, storage.environment)
        self.step = StepFunction(
            self,
            "Native",
            props=props,
            code=code,
            environment=function_environment(props, secrets.prefix) | own,
            memory=ONE_VCPU,
            timeout=MAX_TIMEOUT,
            description="creates, polls and ends native batches of jobs",
        )
        storage.grant_batches(self.step.role)
        storage.grant_files(self.step.role, read="files/ jobs/")
        storage.grant_objects(self.step.role, "jobs/", "AbortMultipartUpload", "PutObject")
        secrets.grant_read_provider_keys(self.step.role)
        self.machine: sfn.StateMachine = repeating_machine(
            self,
            TURNS,
            props=props,
            function=self.step.function.function_arn,
            name="batches",
            comment="Fanout: the native batches of a job, from their creation to their end",
        )
        cdk.CfnOutput(
            cdk.Stack.of(self),
            OUTPUT,
            value=self.machine.state_machine_arn,
            description="The state machine of jobs' native batches",
        )

    def connect(self, functions: JobFunctions, props: GatewayProps) -> None:
        """Let the planner start executions, and the finisher, if one was lost."""
        arn = self.machine.state_machine_arn
        for step in (functions.plan, functions.finish):
            for name, value in reserved(props, {"FANOUT_BATCHES_MACHINE": arn}).items():
                step.function.add_environment(name, value)
            step.role.add_to_policy(
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[arn])
            )
