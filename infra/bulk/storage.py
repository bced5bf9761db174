"""Where jobs are kept: a bucket for what is asked and answered, a table for records and counts."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ..nag_suppressions import acknowledge
from ..props import GatewayProps

# By what keys begin with. A job may take 14 days, and what it has left behind helps to see why.
UPLOAD_DAYS = 2
JOB_DAYS = 30

BELOW = "A job's files have names that it makes up: the right is to one of the bucket's folders."
ANY = "By hand or through the inbox a job may be given any object of the stack's own bucket."
ACCESS_LOG = (
    "S3's access log would need a second bucket and name every object read; the API's own log has "
    "who asked for which file, and CloudTrail's data events can be switched on for the bucket."
)


class JobStore(Construct):
    """
    The bucket and the table of a stack's jobs.

    The bucket outlives its stack: it may hold answers that were paid for, and CloudFormation does
    not delete one that is not empty. It has no versions: every result has a key of its own, and a
    file that a caller deletes is meant to be gone.
    """

    def __init__(self, scope: Construct, id_: str, *, props: GatewayProps) -> None:
        super().__init__(scope, id_)
        self._days = props.file_days
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=_rules(props),
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        self._tell_eventbridge()
        acknowledge(self.bucket, {"AwsSolutions-S1": ACCESS_LOG})
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="kind", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.DEFAULT,  # a key of AWS's own, by the request free
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="ttl",
            removal_policy=cdk.RemovalPolicy(props.removal.upper()),
        )

    @property
    def _resource(self) -> s3.CfnBucket:
        return cast(s3.CfnBucket, self.bucket.node.default_child)

    def _tell_eventbridge(self) -> None:
        """As the template says it; the CDK's own way is a Lambda that calls S3."""
        self._resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )

    @property
    def environment(self) -> dict[str, str]:
        """How the functions find it."""
        return {
            "FANOUT_BUCKET": self.bucket.bucket_name,
            "FANOUT_FILE_DAYS": str(self._days),
            "FANOUT_TABLE": self.table.table_name,
        }

    def grant_records(self, role: iam.Role) -> None:
        """Let `role` read and write the table."""
        actions = "BatchWriteItem DeleteItem GetItem PutItem Query UpdateItem"
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{action}" for action in actions.split()],
                resources=[self.table.table_arn],
            )
        )

    def grant_files(self, role: iam.Role, *, read: str, write: str = "") -> None:
        """
        Let `role` read what is below some prefixes (`/` is all), and write and delete below others.

        Without the right to list the bucket S3 would call 403 what is not there.
        """
        role.add_to_policy(
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.bucket.bucket_arn])
        )
        self.grant_objects(role, read, "GetObject")
        if write:
            self.grant_objects(role, write, "AbortMultipartUpload", "DeleteObject", "PutObject")

    def grant_objects(self, role: iam.Role, prefixes: str, *actions: str) -> None:
        """Let `role` do this to objects below some prefixes, and no more."""
        folders = [f"{prefix}*".lstrip("/") for prefix in prefixes.split()]
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"s3:{action}" for action in actions],
                resources=[self.bucket.arn_for_objects(folder) for folder in folders],
            )
        )
        name = cdk.Stack.of(self).get_logical_id(self._resource)
        acknowledge(
            role,
            {
                f"AwsSolutions-IAM5[Resource::<{name}.Arn>/{folder}]": BELOW if folder[1:] else ANY
                for folder in folders
            },
        )


def _rules(props: GatewayProps) -> list[s3.LifecycleRule]:
    # A day more than the records say, so that a file that has a record is there.
    kept = props.file_days + 1
    days = {
        "files/": kept,
        "inbox/": kept,
        "jobs/": JOB_DAYS,
        "outbox/": kept,
        "uploads/": UPLOAD_DAYS,
    }
    unfinished = s3.LifecycleRule(
        id="unfinished", abort_incomplete_multipart_upload_after=cdk.Duration.days(1)
    )
    return [
        unfinished,
        *(
            s3.LifecycleRule(
                id=prefix.rstrip("/"), prefix=prefix, expiration=cdk.Duration.days(number)
            )
            for prefix, number in days.items()
        ),
    ]
