"""The right to call the Bedrock models that the config names, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from .config import BedrockModel
from .nag_suppressions import acknowledge

ROUTES = ("converse/", "converse_like/", "invoke/", "openai/")
"""What the config may write before a model to say how it is asked."""

GEOGRAPHIES = frozenset({"apac", "au", "ca", "eu", "global", "jp", "us", "us-gov"})
"""`us.anthropic.…` is a cross-region profile, `anthropic.…` a model."""

ACTIONS = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]


PROFILE = (
    "A cross-region profile answers from whichever region it chooses; what is behind the ARN of "
    "one, only AWS knows, and the statement asks for that very profile."
)


def grant_bedrock(role: iam.Role, models: Sequence[BedrockModel]) -> None:
    """Let `role` call the models."""
    stack = cdk.Stack.of(role)
    for statement in _statements(stack, models):
        role.add_to_policy(statement)
        wild = [arn.replace(stack.partition, "<AWS::Partition>") for arn in statement.resources]
        rules = [f"AwsSolutions-IAM5[Resource::{arn}]" for arn in wild if "*" in arn]
        acknowledge(role, dict.fromkeys(rules, PROFILE))


def _statements(stack: cdk.Stack, models: Sequence[BedrockModel]) -> Iterator[iam.PolicyStatement]:
    """One statement for the named models; one more for models behind a profile's ARN."""
    names: list[str] = []
    profiles: list[str] = []
    for model in models:
        name = _bare(model.id)
        if name.startswith("arn:"):
            names.append(name)
            if "inference-profile/" in name:
                profiles.append(name)
        else:
            names += _arns(stack, name, model.region)
    if names:
        yield iam.PolicyStatement(actions=ACTIONS, resources=list(dict.fromkeys(names)))
    if profiles:  # which models are behind it, only AWS knows: any, but through the profile alone
        yield iam.PolicyStatement(
            actions=ACTIONS,
            resources=[f"arn:{stack.partition}:bedrock:*::foundation-model/*"],
            conditions={"StringEquals": {"bedrock:InferenceProfileArn": profiles}},
        )


def _bare(name: str) -> str:
    for route in ROUTES:
        name = name.removeprefix(route)
    return name


def _arns(stack: cdk.Stack, name: str, region: str | None) -> list[str]:
    """
    A model's own ARN; of a cross-region profile its own, and the model's in whichever region it
    chooses.

    See https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html.
    """
    here = region or stack.region
    geography, _, model = name.partition(".")
    if geography not in GEOGRAPHIES:
        return [f"arn:{stack.partition}:bedrock:{here}::foundation-model/{name}"]
    return [
        f"arn:{stack.partition}:bedrock:*::foundation-model/{model}",
        f"arn:{stack.partition}:bedrock:{here}:{stack.account}:inference-profile/{name}",
    ]
