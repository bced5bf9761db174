"""The inbox: a file that is put into the bucket below `inbox/` starts a job."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from ..nag_suppressions import acknowledge
from .state_machine import JobMachine
from .storage import JobStore

INBOX = "inbox/"


class Inbox(Construct):
    """EventBridge from the bucket to the state machine; what it cannot deliver waits in `lost`."""

    def __init__(self, scope: Construct, id_: str, *, store: JobStore, machine: JobMachine) -> None:
        super().__init__(scope, id_)
        self.lost = sqs.Queue(
            self,
            "Lost",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        acknowledge(self.lost, {"AwsSolutions-SQS3": "It is itself where what is lost waits."})
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("events.amazonaws.com"))
        machine.grant_start(role)
        self.rule = events.Rule(
            self,
            "Rule",
            description=f"Fanout: a file below {INBOX} is a job",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [store.bucket.bucket_name]},
                    "object": {"key": [{"prefix": INBOX}]},
                },
            ),
            targets=[
                targets.SfnStateMachine(machine.machine, role=role, dead_letter_queue=self.lost)
            ],
        )
