"""
The table through which an environment of the API function cancels a request of another one.

The environments also count the times of adaptive hedges and their budget there, and so do the
workers of jobs.

A Lambda environment cannot reach another one, and AWS does not tell it that a client has
disconnected.
"""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from ..bulk.functions import StepFunction
from ..lambda_settings import reserved
from ..nag_suppressions import acknowledge
from ..props import GatewayProps
from .function import ApiFunction

ACTIONS = ("BatchGetItem", "DeleteItem", "UpdateItem")
COUNTS_ACTION = "UpdateItem"
RECOVERY_REASON = "An item matters for as long as a request is open, or for an hour."


class OpenRequests(Construct):
    """
    A table of requests that are cancelled, or have a lease, and of what hedges count.

    It costs nothing while it is not used.

    It is another table than that of the jobs: a stack may have no jobs, and the key is another.
    """

    def __init__(
        self, scope: Construct, id_: str, *, props: GatewayProps, api: ApiFunction
    ) -> None:
        super().__init__(scope, id_)
        self._props = props
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.DEFAULT,  # with a key that AWS owns: free
            time_to_live_attribute="ttl",
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(self.table, {"AwsSolutions-DDB3": RECOVERY_REASON})
        self._connect(api, ACTIONS)

    def share_counts(self, worker: StepFunction) -> None:
        """Let the workers of jobs count their hedges together with the API function."""
        self._connect(worker, (COUNTS_ACTION,))

    def _connect(self, user: ApiFunction | StepFunction, actions: Sequence[str]) -> None:
        variables = {"FANOUT_REQUESTS_TABLE": self.table.table_name}
        for name, value in reserved(self._props, variables).items():
            user.function.add_environment(name, value)
        user.role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{action}" for action in actions],
                resources=[self.table.table_arn],
            )
        )
