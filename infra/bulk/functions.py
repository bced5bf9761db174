"""The functions of jobs: planner, worker and finisher. They share one zip and have a role each."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..bedrock import grant_bedrock, grant_roles
from ..config import GatewayConfig
from ..lambda_settings import ARCHITECTURES, RUNTIMES, function_environment, reserved
from ..logs import log_group
from ..props import GatewayProps
from ..secrets import KeySecrets
from .storage import JobStorage

ONE_VCPU = 1_769
"""MB of memory at which a function has one vCPU. See
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html."""

MAX_TIMEOUT = 900
"""Seconds."""


class StepFunction(Construct):
    """
    One Lambda function of the state machine, with its role and its log group.

    It has no alias: every step can run again, so the state machine retries one that a deployment
    interrupts.
    """

    def __init__(  # noqa: PLR0913 -- what differs between the functions
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        code: lambda_.Code,
        environment: dict[str, str],
        memory: int,
        timeout: int,
        description: str,
    ) -> None:
        super().__init__(scope, id_)
        self.log = log_group(self, "Log", props)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Fanout: {description}",
            runtime=RUNTIMES[props.python],
            architecture=ARCHITECTURES[props.architecture],
            code=code,
            handler=f"functions.bulk.{id_.lower()}.handler",
            memory_size=memory,
            timeout=cdk.Duration.seconds(timeout),
            role=self.role,
            log_group=self.log,
            tracing=lambda_.Tracing.ACTIVE,
            environment=environment,
        )


class JobFunctions(Construct):
    """The three functions, each with the permissions that it needs and no more."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        config: GatewayConfig,
        code: lambda_.Code,
        secrets: KeySecrets,
        storage: JobStorage,
    ) -> None:
        super().__init__(scope, id_)
        own = reserved(props, storage.environment)
        environment = function_environment(props, secrets.prefix) | own
        workers = reserved(props, {"FANOUT_WORKERS": str(props.bulk_workers)})

        def make(
            name: str, description: str, memory: int, timeout: int = MAX_TIMEOUT
        ) -> StepFunction:
            return StepFunction(
                self,
                name,
                props=props,
                code=code,
                environment=environment,
                memory=memory,
                timeout=timeout,
                description=description,
            )

        self.plan = make("Plan", "checks a job's input and cuts it into shards", ONE_VCPU)
        self.work = make("Work", "sends a shard's lines", props.bulk_memory, props.bulk_timeout)
        self.finish = make("Finish", "joins a job's results", ONE_VCPU)
        self.all = (self.plan, self.work, self.finish)
        for step in self.all:
            storage.grant_records(step.role)
        storage.grant_files(self.plan.role, read="/", write="files/ jobs/ outbox/")
        storage.grant_files(self.work.role, read="files/ jobs/", write="jobs/")
        storage.grant_files(self.finish.role, read="files/ jobs/", write="files/ jobs/ outbox/")
        for step in (self.plan, self.finish):  # each starts a round of work
            for name, value in workers.items():
                step.function.add_environment(name, value)
            step.role.add_to_policy(
                iam.PolicyStatement(actions=["lambda:GetAccountSettings"], resources=["*"])
            )
        secrets.grant_read_provider_keys(self.work.role)
        grant_bedrock(self.work.role, config.bedrock_models)
        grant_roles(self.work.role, config.roles)
