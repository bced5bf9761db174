"""The Step Functions state machine of jobs, with its role and its log."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..logs import log_group
from ..nag_suppressions import acknowledge
from ..props import GatewayProps
from .functions import JobFunctions
from .state_machine_definition import LABEL, Names, definition
from .storage import JobStore

OWN_RUNS = "The map's own executions of this one machine, whose names Step Functions makes up."
WRITTEN = ("AbortMultipartUpload", "GetObject", "ListMultipartUploadParts", "PutObject")


class JobMachine(Construct):
    """The state machine; an execution of it is a job."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        store: JobStore,
        functions: JobFunctions,
    ) -> None:
        super().__init__(scope, id_)
        stack = cdk.Stack.of(self)
        # AWS's own prefix for such logs: under it they need no resource policy that grows.
        log = log_group(self, "Log", props, f"/aws/vendedlogs/states/{stack.stack_name}-jobs")
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        names = Names(
            plan=functions.plan.function.function_arn,
            work=functions.work.function.function_arn,
            finish=functions.finish.function.function_arn,
            bucket=store.bucket.bucket_name,
            partition=stack.partition,
        )
        text = stack.to_json_string(definition(names, props.bulk_workers))
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            comment="Fanout: a job's lines, asked shard by shard",
            definition_body=sfn.DefinitionBody.from_string(text),
            role=self.role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log, level=sfn.LogLevel.ALL, include_execution_data=True
            ),
        )
        self._grant(store, functions)

    def _grant(self, store: JobStore, functions: JobFunctions) -> None:
        """
        What AWS asks for of a role whose machine has a Distributed Map.

        See https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html.
        """
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[step.function.function_arn for step in functions.all],
            )
        )
        store.grant_objects(self.role, "jobs/", *WRITTEN)
        # A policy of its own, as it names the machine, and that waits for its role's first.
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
        name = cdk.Stack.of(self).get_logical_id(self._resource)
        start = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>"
        runs = [f"{start}:execution:<{name}.Name>{which}" for which in (":*", f"/{LABEL}:*")]
        acknowledge(children, {f"AwsSolutions-IAM5[Resource::{run}]": OWN_RUNS for run in runs})

    @property
    def _resource(self) -> sfn.CfnStateMachine:
        return cast(sfn.CfnStateMachine, self.machine.node.default_child)

    def _start(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=["states:StartExecution"], resources=[self.machine.state_machine_arn]
        )

    def _executions(self, which: str) -> str:
        stack = cdk.Stack.of(self)
        name = self.machine.state_machine_name
        start = f"arn:{stack.partition}:states:{stack.region}:{stack.account}"
        return f"{start}:execution:{name}{which}"

    def grant_start(self, role: iam.Role) -> None:
        """Let `role` start jobs."""
        role.add_to_policy(self._start())
