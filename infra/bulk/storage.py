"""The storage of jobs: a bucket for files and results, a table for records and counts."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ..nag_suppressions import acknowledge
from ..props import GatewayProps

UPLOAD_DAYS = 2
RESPONSE_DAYS = 2
"""Days for which responses to requests with an `Idempotency-Key` are kept; they count for one."""

JOB_DAYS = 30
"""Days for which a job's working files are kept: it may run for 14, and they show what happened."""

FOLDER_REASON = "A job generates its object names; the statement allows one folder of the bucket."
BUCKET_REASON = "A job that is started by hand may read any object in the stack's own bucket."
ACCESS_LOG_REASON = (
    "S3's access log needs a second bucket. The API's log shows who requested which file, and you "
    "can enable CloudTrail's data events for the bucket."
)


class JobStorage(Construct):
    """
    The bucket and the table of a stack's jobs.

    `cdk destroy` keeps the bucket: it may hold responses that you paid for, and CloudFormation does
    not delete a bucket with objects. The bucket has no versioning: no result overwrites another,
    and a file that a client deletes must be gone.
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
            lifecycle_rules=_lifecycle_rules(props),
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        self._send_events()
        acknowledge(self.bucket, {"AwsSolutions-S1": ACCESS_LOG_REASON})
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="kind", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.DEFAULT,  # with a key that AWS owns: free
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="ttl",
            removal_policy=cdk.RemovalPolicy(props.removal.upper()),
        )

    def expire(self, prefix: str, days: int) -> None:
        """Delete the objects below the prefix after so many days."""
        self.bucket.add_lifecycle_rule(
            id=prefix.rstrip("/"), prefix=prefix, expiration=cdk.Duration.days(days)
        )

    @property
    def _resource(self) -> s3.CfnBucket:
        return cast(s3.CfnBucket, self.bucket.node.default_child)

    def _send_events(self) -> None:
        """Send S3's events to EventBridge, without the extra Lambda of CDK's own method."""
        self._resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name the storage for functions."""
        return {
            "FANOUT_BUCKET": self.bucket.bucket_name,
            "FANOUT_FILE_DAYS": str(self._days),
            "FANOUT_TABLE": self.table.table_name,
        }

    def grant_records(self, role: iam.Role) -> None:
        """Allow `role` to read and write the table."""
        actions = "BatchWriteItem DeleteItem GetItem PutItem Query UpdateItem"
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{action}" for action in actions.split()],
                resources=[self.table.table_arn],
            )
        )

    def grant_job_records(self, role: iam.Role) -> None:
        """Allow `role` to read and change the records of jobs, and nothing else in the table."""
        kinds = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["batch", "open-batch"]}}
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{name}" for name in ("DeleteItem", "GetItem", "PutItem")],
                resources=[self.table.table_arn],
                conditions=kinds,
            )
        )

    def grant_batches(self, role: iam.Role) -> None:
        """
        Allow `role` to read jobs, their counts and models' rate limits, and to write batches.

        Rows of batches are added by the planner, and deleted by the finisher or by the last turn.
        """
        for actions, kinds in (
            (("GetItem", "Query"), ["batch", "counts#*", "native", "open-batch", "rate-limit"]),
            (("DeleteItem", "PutItem"), ["native"]),
        ):
            role.add_to_policy(
                iam.PolicyStatement(
                    actions=[f"dynamodb:{name}" for name in actions],
                    resources=[self.table.table_arn],
                    conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": kinds}},
                )
            )

    def grant_files(self, role: iam.Role, *, read: str, write: str = "") -> None:
        """
        Allow `role` to read below the prefixes in `read` (`/` is the whole bucket), and to write
        and delete below those in `write`. Spaces separate prefixes.

        The role may also list the bucket: otherwise S3 returns 403, not 404, for a missing object.
        """
        role.add_to_policy(
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.bucket.bucket_arn])
        )
        self.grant_objects(role, read, "GetObject")
        if write:
            self.grant_objects(role, write, "AbortMultipartUpload", "DeleteObject", "PutObject")

    def grant_objects(self, role: iam.Role, prefixes: str, *actions: str) -> None:
        """Allow `role` these S3 actions on objects below the prefixes, separated by spaces."""
        folders = [f"{prefix}*".lstrip("/") for prefix in prefixes.split()]
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"s3:{action}" for action in actions],
                resources=[self.bucket.arn_for_objects(folder) for folder in folders],
            )
        )
        name = cdk.Stack.of(self).get_logical_id(self._resource)
        for folder in folders:
            reason = FOLDER_REASON if folder != "*" else BUCKET_REASON
            acknowledge(role, {f"AwsSolutions-IAM5[Resource::<{name}.Arn>/{folder}]": reason})


def _lifecycle_rules(props: GatewayProps) -> list[s3.LifecycleRule]:
    # A day more than the records, so that every file with a record exists.
    file_days = props.file_days + 1
    days = {
        "files/": file_days,
        "idempotency/": RESPONSE_DAYS,
        "inbox/": file_days,
        "jobs/": JOB_DAYS,
        "outbox/": file_days,
        "uploads/": UPLOAD_DAYS,
    }
    unfinished = s3.LifecycleRule(
        id="unfinished", abort_incomplete_multipart_upload_after=cdk.Duration.days(1)
    )
    return [
        unfinished,
        *(
            s3.LifecycleRule(
                id=prefix.rstrip("/"), prefix=prefix, expiration=cdk.Duration.days(age)
            )
            for prefix, age in days.items()
        ),
    ]
