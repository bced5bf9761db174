"""The functions of jobs: plan, work, finish; one zip, a role each."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..api.function import ARCHITECTURES, RUNTIMES, beside, own_environment
from ..bedrock import grant_bedrock
from ..config import GatewayConfig
from ..logs import log_group
from ..props import GatewayProps
from ..secrets import ProviderKeys
from .storage import JobStore

ONE_CORE = 1_769
"""MB at which a function has a whole one; see
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html."""

LONGEST = 900


class StepFunction(Construct):
    """
    One of the functions, its role and its log.

    There is no alias: each step may be taken again, so one that a deploy has interrupted is.
    """

    def __init__(  # noqa: PLR0913 -- what makes it different from the others
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        code: lambda_.Code,
        environment: dict[str, str],
        memory: int,
        timeout: int,
        does: str,
    ) -> None:
        super().__init__(scope, id_)
        self.log = log_group(self, "Log", props)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Fanout: {does}",
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
    """The three, each with what it may do and no more."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        config: GatewayConfig,
        code: lambda_.Code,
        keys: ProviderKeys,
        store: JobStore,
    ) -> None:
        super().__init__(scope, id_)
        environment = own_environment(props, keys.prefix) | beside(props, store.environment)

        def make(name: str, does: str, memory: int, timeout: int = LONGEST) -> StepFunction:
            return StepFunction(
                self,
                name,
                props=props,
                code=code,
                environment=environment,
                memory=memory,
                timeout=timeout,
                does=does,
            )

        self.plan = make("Plan", "checks a job's input and cuts it into shards", ONE_CORE)
        self.work = make("Work", "asks for a shard's lines", props.bulk_memory, props.bulk_timeout)
        self.finish = make("Finish", "joins a job's results", ONE_CORE)
        self.all = (self.plan, self.work, self.finish)
        for step in self.all:
            store.grant_records(step.role)
        store.grant_files(self.plan.role, read="/", write="files/ jobs/")
        store.grant_files(self.work.role, read="files/ jobs/", write="jobs/")
        store.grant_files(self.finish.role, read="files/ jobs/", write="files/ jobs/ outbox/")
        keys.grant_read(self.work.role)
        grant_bedrock(self.work.role, config.bedrock_models)
