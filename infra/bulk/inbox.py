"""The inbox: uploading a file below `inbox/` in the bucket starts a job."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from ..nag_suppressions import acknowledge
from .state_machine import JobStateMachine
from .storage import JobStorage

INBOX = "inbox/"


class Inbox(Construct):
    """An EventBridge rule from the bucket to the state machine, with a dead-letter queue."""

    def __init__(
        self, scope: Construct, id_: str, *, storage: JobStorage, machine: JobStateMachine
    ) -> None:
        super().__init__(scope, id_)
        self.dead_letters = sqs.Queue(
            self,
            "Lost",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        acknowledge(self.dead_letters, {"AwsSolutions-SQS3": "It is itself a dead-letter queue."})
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("events.amazonaws.com"))
        machine.grant_start(role)
        self.rule = events.Rule(
            self,
            "Rule",
            description=f"Fanout: a file below {INBOX} starts a job",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [storage.bucket.bucket_name]},
                    "object": {"key": [{"prefix": INBOX}]},
                },
            ),
            targets=[
                targets.SfnStateMachine(
                    machine.machine, role=role, dead_letter_queue=self.dead_letters
                )
            ],
        )
