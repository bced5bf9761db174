"""IAM permissions for the Bedrock models that the config names, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from .config import BatchModel, BedrockModel
from .nag_suppressions import acknowledge, shown

API_PREFIXES = ("converse/", "converse_like/", "invoke/", "openai/")
"""Prefixes of a model in the config that select the Bedrock API."""

GEOGRAPHIES = frozenset({"apac", "au", "ca", "eu", "global", "jp", "us", "us-gov"})
"""First parts of cross-region profiles: `us.anthropic.…` is a profile, `anthropic.…` a model."""

ACTIONS = [
    "bedrock:CountTokens",
    "bedrock:InvokeModel",
    "bedrock:InvokeModelWithResponseStream",
]

BATCHES = "fanout-batches/"
"""The folder of native batches in a bucket."""

JOB_REASON = "Bedrock generates the names of its jobs; the statement allows the jobs of one region."
OBJECT_REASON = "Each batch has objects of its own; the statement allows one folder of the bucket."

WILDCARD_REASON = (
    "A cross-region profile runs the model in any of its regions. Only AWS knows the models behind "
    "a profile's ARN; the statement allows them through that profile alone."
)


def grant_bedrock(role: iam.Role, models: Sequence[BedrockModel]) -> None:
    """Allow `role` to call the models."""
    stack = cdk.Stack.of(role)
    for statement in _statements(stack, models):
        role.add_to_policy(statement)
        arns = [shown(stack, arn) for arn in statement.resources]
        rules = [f"AwsSolutions-IAM5[Resource::{arn}]" for arn in arns if "*" in arn]
        acknowledge(role, dict.fromkeys(rules, WILDCARD_REASON))


def grant_roles(role: iam.Role, arns: Sequence[str]) -> None:
    """Allow `role` to assume the roles that deployments are called with."""
    if arns:
        statement = iam.PolicyStatement(actions=["sts:AssumeRole"], resources=[*arns])
        role.add_to_policy(statement)


def grant_batches(role: iam.Role, models: Sequence[BatchModel], own_role: str) -> None:
    """
    Allow `role` to create, poll and stop native batches of the models.

    `own_role` is the ARN of the stack's role for batches. What others store in buckets of their
    own is allowed, too. See https://docs.aws.amazon.com/bedrock/latest/userguide/
    batch-inference-permissions.html and the service authorization reference, 2026-11: only the list
    of jobs accepts no resource.
    """
    stack = cdk.Stack.of(role)
    regions = dict.fromkeys(one.model.region or stack.region for one in models)
    jobs = [
        f"arn:{stack.partition}:bedrock:{region}:{stack.account}:model-invocation-job/*"
        for region in regions
    ]
    names = [arn for one in models for arn in _model_arns(stack, one.model)]
    passed = dict.fromkeys(one.role or own_role for one in models)
    _allow(role, ["bedrock:CreateModelInvocationJob"], names, WILDCARD_REASON)
    actions = [f"bedrock:{verb}ModelInvocationJob" for verb in ("Create", "Get", "Stop")]
    _allow(role, actions, jobs, JOB_REASON)
    _allow(role, ["bedrock:ListModelInvocationJobs"], ["*"])
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=[*passed],
            conditions={"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}},
        )
    )
    for bucket in dict.fromkeys(one.bucket for one in models if one.bucket):
        arn = f"arn:{stack.partition}:s3:::{bucket}"
        _allow(role, ["s3:ListBucket"], [arn])
        _allow(role, ["s3:GetObject", "s3:PutObject"], [f"{arn}/{BATCHES}*"], OBJECT_REASON)


def grant_batch_models(role: iam.Role, models: Sequence[BedrockModel]) -> None:
    """
    Allow the role that Bedrock assumes to invoke the models of cross-region profiles.

    https://docs.aws.amazon.com/bedrock/latest/userguide/batch-iam-sr.html: other models need no
    permission.
    """
    stack = cdk.Stack.of(role)
    names = [_model_arns(stack, model) for model in models]
    profiles = [arns for arns in names if any("inference-profile/" in arn for arn in arns)]
    if profiles:
        arns = list(dict.fromkeys(arn for arns in profiles for arn in arns))
        _allow(role, ["bedrock:InvokeModel"], arns, WILDCARD_REASON)


def _model_arns(stack: cdk.Stack, model: BedrockModel) -> list[str]:
    name = _without_prefix(model.id)
    if not name.startswith("arn:"):
        return _arns(stack, name, model.region)
    # only AWS knows the models of a profile
    models = [f"arn:{stack.partition}:bedrock:*::foundation-model/*"]
    return [name, *(models if "inference-profile/" in name else ())]


def _allow(role: iam.Role, actions: list[str], arns: Sequence[str], reason: str = "") -> None:
    """Allow the actions on the resources; the reason is for those that end with a star."""
    stack = cdk.Stack.of(role)
    arns = list(dict.fromkeys(arns))
    role.add_to_policy(iam.PolicyStatement(actions=actions, resources=arns))
    rules = [f"AwsSolutions-IAM5[Resource::{shown(stack, arn)}]" for arn in arns if "*" in arn]
    if reason:
        acknowledge(role, dict.fromkeys(rules, reason))


def _statements(stack: cdk.Stack, models: Sequence[BedrockModel]) -> Iterator[iam.PolicyStatement]:
    """Yield a statement for the named models, and one for the models behind profiles' ARNs."""
    names: list[str] = []
    profiles: list[str] = []
    for model in models:
        name = _without_prefix(model.id)
        if name.startswith("arn:"):
            names.append(name)
            if "inference-profile/" in name:
                profiles.append(name)
        else:
            names += _arns(stack, name, model.region)
    names += [_project(stack, model) for model in models]
    if names:
        yield iam.PolicyStatement(actions=ACTIONS, resources=list(dict.fromkeys(names)))
    if profiles:  # only AWS knows their models: allow any, but through these profiles alone
        yield iam.PolicyStatement(
            actions=ACTIONS,
            resources=[f"arn:{stack.partition}:bedrock:*::foundation-model/*"],
            conditions={"StringEquals": {"bedrock:InferenceProfileArn": profiles}},
        )


def _project(stack: cdk.Stack, model: BedrockModel) -> str:
    """
    Return the ARN of the account's default project in the region in which the model is called.

    Bedrock requires its actions on the project, too, if a request names none: see `InvokeModel` in
    https://docs.aws.amazon.com/bedrock/latest/APIReference (botocore 1.44.8, 2026-11).
    """
    name = _without_prefix(model.id)
    of_arn = name.split(":")[3] if name.startswith("arn:") else None
    region = of_arn or model.region or stack.region
    return f"arn:{stack.partition}:bedrock:{region}:{stack.account}:project/default"


def _without_prefix(name: str) -> str:
    for prefix in API_PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _arns(stack: cdk.Stack, name: str, region: str | None) -> list[str]:
    """
    Return the model's ARN, or for a cross-region profile its own ARN and the model's in any region.

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
