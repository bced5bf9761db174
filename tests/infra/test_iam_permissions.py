"""What the function may do: a list, complete and exact; what jobs add is in test_bulk_jobs.py."""

from __future__ import annotations

from pathlib import Path

from .synth import Synthesised, config_file, synthesise

ANYWHERE = {("xray:PutTelemetryRecords", "*", '""'), ("xray:PutTraceSegments", "*", '""')}
"""X-Ray's rights take no resource: the only wildcard there is."""


def secret(stack: Synthesised, name: str) -> str:
    (found,) = [
        logical
        for logical, resource in stack.of("SecretsManager::Secret").items()
        if resource["Properties"]["Name"].endswith(f"/{name}")
    ]
    return f"<{found}>"


def own_log(stack: Synthesised) -> str:
    function = stack.one("Lambda::Function", "Api")
    return stack.said(function["LoggingConfig"]["LogGroup"]).replace(">", ".Arn>")


def usual(stack: Synthesised, *keys: str) -> set[tuple[str, str, str]]:
    log = own_log(stack)
    logs = {("logs:CreateLogStream", log, '""'), ("logs:PutLogEvents", log, '""')}
    read = {("secretsmanager:GetSecretValue", secret(stack, name), '""') for name in keys}
    return ANYWHERE | logs | read


def test_the_function_writes_its_log_and_traces_and_reads_its_keys_and_no_more(
    without_jobs: Synthesised,
) -> None:
    keys = ("ANTHROPIC_API_KEY", "FANOUT_MASTER_KEY", "GROQ_API_KEY", "OPENAI_API_KEY")
    assert set(without_jobs.statements()) == usual(without_jobs, *keys)


def test_no_role_has_anothers_policy_but_those_that_aws_names_for_its_services(
    stack: Synthesised, everything: Synthesised
) -> None:
    gateway = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    deploy = "service-role/AWSCodeDeployRoleForLambdaLimited"
    assert managed(stack) == [gateway]
    assert managed(everything) == [deploy, gateway]


def managed(stack: Synthesised) -> list[str]:
    return sorted(
        stack.said(policy).removeprefix("arn:<AWS::Partition>:iam::aws:policy/")
        for role in stack.properties("IAM::Role")
        for policy in role.get("ManagedPolicyArns", [])
    )


def test_each_role_is_assumed_by_one_service(everything: Synthesised) -> None:
    services = []
    for role in everything.properties("IAM::Role"):
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRole"
        services.append(statement["Principal"]["Service"])
    assert sorted(services) == [
        "apigateway.amazonaws.com",
        "codedeploy.amazonaws.com",
        "events.amazonaws.com",
        *["lambda.amazonaws.com"] * 4,
        "states.amazonaws.com",
    ]


def test_bedrock_may_be_called_for_the_models_that_the_config_names(
    everything: Synthesised,
) -> None:
    arn = "arn:<AWS::Partition>:bedrock"
    profile = "arn:aws:bedrock:eu-west-1:111111111111:application-inference-profile/x"
    claude = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    allowed = {
        (f"{arn}:<AWS::Region>::foundation-model/openai.gpt-oss-20b-1:0", '""'),
        (f"{arn}:us-west-2::foundation-model/amazon.nova-pro-v1:0", '""'),
        (f"{arn}:*::foundation-model/{claude}", '""'),
        (f"{arn}:<AWS::Region>:<AWS::AccountId>:inference-profile/eu.{claude}", '""'),
        (profile, '""'),
        # What is behind a profile of one's own is not known: any, through that profile alone.
        (
            f"{arn}:*::foundation-model/*",
            f'{{"StringEquals": {{"bedrock:InferenceProfileArn": ["{profile}"]}}}}',
        ),
    }
    for action in ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"):
        given = {(r, c) for a, r, c in everything.statements() if a == action}
        assert given == allowed


def test_a_bedrock_model_with_a_key_needs_no_right(tmp_path: Path) -> None:
    model = {"model": "bedrock/openai.gpt-oss-20b-1:0", "api_key": "os.environ/BEDROCK_KEY"}
    keyed = synthesise({"config": config_file(tmp_path, model), "bulk": "false"})
    assert set(keyed.statements()) == usual(keyed, "BEDROCK_KEY", "MASTER")


def test_without_bedrock_in_the_config_there_is_no_right_to_it(stack: Synthesised) -> None:
    assert "bedrock" not in stack.text.lower()
