"""The table of virtual keys: what each may use and spend, its spend rows, and audit rows."""

from __future__ import annotations

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..bulk.functions import JobFunctions
from ..lambda_settings import reserved
from ..props import GatewayProps
from .function import ApiFunction

ACTIONS = ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")

JOB_ACTIONS = ("GetItem", "PutItem", "Query", "UpdateItem")
"""What workers and the finisher need to charge the jobs of virtual keys."""


class VirtualKeys(Construct):
    """
    A table that costs nothing while no client has a virtual key.

    Its items are hashes of keys and sums of money, never a key or a prompt. They are data: a backup
    of each second of the last 35 days is kept, and the table is removed only if secrets are.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        api: ApiFunction,
        removal: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, id_)
        text = dynamodb.AttributeType.STRING
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="partition", type=text),
            sort_key=dynamodb.Attribute(name="name", type=text),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.DEFAULT,  # with a key that AWS owns: free
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=removal,
            time_to_live_attribute="ttl",  # of the items of jobs only
        )
        self._connect(api.function, api.role, props, ACTIONS)

    def connect_jobs(self, functions: JobFunctions, props: GatewayProps) -> None:
        """Let the steps of jobs look at keys and charge them; none can make or delete a key."""
        for step, actions in (
            (functions.plan, ("GetItem",)),
            (functions.work, JOB_ACTIONS),
            (functions.finish, JOB_ACTIONS),
        ):
            self._connect(step.function, step.role, props, actions)

    def _connect(
        self,
        function: lambda_.Function,
        role: iam.Role,
        props: GatewayProps,
        actions: Iterable[str],
    ) -> None:
        variables = {"FANOUT_KEYS_TABLE": self.table.table_name}
        for name, value in reserved(props, variables).items():
            function.add_environment(name, value)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{action}" for action in actions],
                resources=[self.table.table_arn],
            )
        )
