"""The role with which Bedrock reads and writes native batches in the stack's bucket."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from ..bedrock import BATCHES, grant_batch_models
from ..config import BatchModel
from .storage import JobStorage

VARIABLE = "FANOUT_BATCH_ROLE"

DAYS = 15
"""Days for which batches are kept: a job takes 14 at most, and its results are stored elsewhere."""


class BatchRole(Construct):
    """
    The role, for a config with `native_batches: true` at Bedrock; Bedrock alone can assume it.

    It can do so only for batches of this account and region. Bedrock may list the bucket, because
    it is not documented with which prefixes it does.
    """

    def __init__(
        self, scope: Construct, id_: str, *, storage: JobStorage, models: list[BatchModel]
    ) -> None:
        super().__init__(scope, id_)
        stack = cdk.Stack.of(self)
        jobs = (
            f"arn:{stack.partition}:bedrock:{stack.region}:{stack.account}:model-invocation-job/*"
        )
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "bedrock.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": jobs},
                },
            ),
        )
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[storage.bucket.bucket_arn],
                conditions={"StringEquals": {"aws:ResourceAccount": stack.account}},
            )
        )
        storage.grant_objects(self.role, BATCHES, "GetObject", "PutObject")
        grant_batch_models(self.role, [one.model for one in models])
        storage.expire(BATCHES, DAYS)
