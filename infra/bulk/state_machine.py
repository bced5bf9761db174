"""The Step Functions state machine of jobs, with its role and its log group."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..logs import log_group
from ..nag_suppressions import acknowledge, shown
from ..props import GatewayProps
from .functions import JobFunctions
from .state_machine_definition import LABEL, References, definition
from .storage import JobStorage

OWN_EXECUTIONS = "The executions of this state machine, whose names Step Functions generates."
MAP_ACTIONS = ("AbortMultipartUpload", "GetObject", "ListMultipartUploadParts", "PutObject")


class JobStateMachine(Construct):
    """The state machine. One execution runs one job."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        storage: JobStorage,
        functions: JobFunctions,
    ) -> None:
        super().__init__(scope, id_)
        stack = cdk.Stack.of(self)
        # With AWS's prefix for vended logs, the account's log resource policy does not grow.
        log = log_group(self, "Log", props, f"/aws/vendedlogs/states/{stack.stack_name}-jobs")
        states = iam.ServicePrincipal(
            "states.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
        )
        self.role = iam.Role(self, "Role", assumed_by=states)
        references = References(
            plan=functions.plan.function.function_arn,
            work=functions.work.function.function_arn,
            finish=functions.finish.function.function_arn,
            bucket=storage.bucket.bucket_name,
            partition=stack.partition,
        )
        text = stack.to_json_string(definition(references, props.bulk_workers, props.bulk_timeout))
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            comment="Fanout: runs a job's lines, shard by shard",
            definition_body=sfn.DefinitionBody.from_string(text),
            role=self.role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log, level=sfn.LogLevel.ALL, include_execution_data=True
            ),
        )
        self._grant(storage, functions)

    @property
    def arn(self) -> str:
        return self.machine.state_machine_arn

    def _grant(self, storage: JobStorage, functions: JobFunctions) -> None:
        """
        Grant what AWS requires for a state machine with a Distributed Map.

        See https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html.
        """
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[step.function.function_arn for step in functions.all],
            )
        )
        storage.grant_objects(self.role, "jobs/", *MAP_ACTIONS)
        # A separate policy, because it names the state machine, which depends on the role's default
        # policy.
        children = iam.Policy(
            self,
            "Children",
            roles=[self.role],
            statements=[
                self._start(),
                iam.PolicyStatement(
                    actions=["states:DescribeExecution", "states:StopExecution"],
                    resources=[self._executions(":*")],
                ),
                iam.PolicyStatement(
                    actions=["states:RedriveExecution"],
                    resources=[self._executions(f"/{LABEL}:*")],
                ),
            ],
        )
        stack = cdk.Stack.of(self)
        name = stack.get_logical_id(self._resource)
        prefix = shown(stack, f"arn:{stack.partition}:states:{stack.region}:{stack.account}")
        arns = [f"{prefix}:execution:<{name}.Name>{suffix}" for suffix in (":*", f"/{LABEL}:*")]
        rules = {f"AwsSolutions-IAM5[Resource::{arn}]": OWN_EXECUTIONS for arn in arns}
        acknowledge(children, rules)

    @property
    def _resource(self) -> sfn.CfnStateMachine:
        return cast(sfn.CfnStateMachine, self.machine.node.default_child)

    def _start(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(actions=["states:StartExecution"], resources=[self.arn])

    def _executions(self, suffix: str) -> str:
        stack = cdk.Stack.of(self)
        prefix = f"arn:{stack.partition}:states:{stack.region}:{stack.account}"
        return f"{prefix}:execution:{self.machine.state_machine_name}{suffix}"

    def grant_start(self, role: iam.Role) -> None:
        """Allow `role` to start jobs."""
        role.add_to_policy(self._start())
