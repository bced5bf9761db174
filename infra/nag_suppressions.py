"""The rules of cdk-nag's AwsSolutions that this stack does not follow, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import IConstruct

from .props import LATEST_PYTHON, GatewayProps

REASONS = {
    "AwsSolutions-APIG2": "Requests are checked by the app, which names the wrong field as OpenAI "
    "does; API Gateway's validator would answer in its own words.",
    "AwsSolutions-APIG3": "A web application firewall costs a fixed sum a month; the stage is "
    "throttled, and every request needs the gateway's key. docs/aws.md says how to add one.",
    "AwsSolutions-APIG4": "The function checks the bearer key in constant time before anything is "
    "paid for; /health is public.",
    "AwsSolutions-COG4": "Callers are programs with an OpenAI SDK: they have a key, not a login.",
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
    "AmazonAPIGatewayPushToCloudWatchLogs]": "API Gateway's account-wide log role: AWS names this "
    "policy for it, and it can only write logs.",
    "AwsSolutions-IAM5[Resource::*]": "X-Ray's PutTraceSegments and PutTelemetryRecords take no "
    "resource; nothing else here is granted on `*` (tests/infra checks it).",
    "AwsSolutions-SMG4": "A provider's key is made by the provider: it is rotated by giving the "
    "secret a second one (`fanout keys set`), without a deploy.",
}

OLDER_PYTHON = {
    "AwsSolutions-L1": "An older Python was asked for (`fanout:python`); AWS still supports it."
}

ROLLBACK = {
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
    "AWSCodeDeployRoleForLambdaLimited]": "CodeDeploy's own role: AWS names this policy for it."
}


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledge rules for a construct and all below it."""
    for rule, reason in reasons.items():
        cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def reasons_for(props: GatewayProps) -> Mapping[str, str]:
    """The reasons that the whole stack has, as it was asked for."""
    older = {} if props.python == LATEST_PYTHON else OLDER_PYTHON
    return REASONS | older | (ROLLBACK if props.rollback else {})
