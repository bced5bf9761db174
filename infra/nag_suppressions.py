"""The suppressed rules of cdk-nag's AwsSolutions pack, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import IConstruct

from .props import LATEST_PYTHON, GatewayProps

REASONS = {
    "AwsSolutions-APIG2": "The app validates requests and names the wrong field as OpenAI does; "
    "API Gateway's validator would return errors in its own format.",
    "AwsSolutions-APIG3": "A web application firewall has a fixed monthly price. The stage is "
    "throttled and every request needs the gateway's key. docs/aws.md shows how to add a firewall.",
    "AwsSolutions-APIG4": "The function checks the bearer key, in constant time, before it calls a "
    "provider; /health is public.",
    "AwsSolutions-COG4": "Clients are programs with an OpenAI SDK: they have a key, not a login.",
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
    "AmazonAPIGatewayPushToCloudWatchLogs]": "AWS documents this policy for API Gateway's "
    "account-wide log role; it allows only writing logs.",
    "AwsSolutions-IAM5[Resource::*]": "X-Ray's PutTraceSegments and PutTelemetryRecords accept no "
    "resource, and neither do Lambda's GetAccountSettings and Bedrock's ListModelInvocationJobs. "
    "Nothing else is granted on `*`; tests/infra checks that.",
    "AwsSolutions-SMG4": "Only the provider can issue its key. `fanout keys set` rotates it "
    "without a deployment, and the secret may hold two keys at a time.",
}

OLDER_PYTHON = {
    "AwsSolutions-L1": "`fanout:python` selects an older Python, which AWS still supports."
}

ROLLBACK = {
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
    "AWSCodeDeployRoleForLambdaLimited]": "AWS documents this policy for CodeDeploy's role."
}


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Suppress rules for a construct and everything below it."""
    for rule, reason in reasons.items():
        cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def shown(stack: cdk.Stack, arn: str) -> str:
    """
    Return an ARN as cdk-nag shows it in the names of rules.

    Partition, region and account have CloudFormation's names, unless `fanout:region` and
    `fanout:account` set them.
    """
    names = {
        stack.partition: "<AWS::Partition>",
        stack.region: "<AWS::Region>",
        stack.account: "<AWS::AccountId>",
    }
    for value, name in names.items():
        if cdk.Token.is_unresolved(value):
            arn = arn.replace(value, name)
    return arn


def reasons_for(props: GatewayProps) -> Mapping[str, str]:
    """Return the rules that are suppressed for the whole stack, with these options."""
    older = {} if props.python == LATEST_PYTHON else OLDER_PYTHON
    return REASONS | older | (ROLLBACK if props.rollback else {})
