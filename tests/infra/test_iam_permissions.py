"""Every permission of the API function, exactly; test_bulk_jobs.py has those of jobs."""

from __future__ import annotations

from pathlib import Path

from .synth import Template, config_file, synthesize

TRACING = {("xray:PutTelemetryRecords", "*", '""'), ("xray:PutTraceSegments", "*", '""')}
"""X-Ray's actions accept no resource; nothing else is allowed on `*`."""


def secret(stack: Template, name: str) -> str:
    (found,) = [
        logical
        for logical, resource in stack.resources("SecretsManager::Secret").items()
        if resource["Properties"]["Name"].endswith(f"/{name}")
    ]
    return f"<{found}>"


def own_log(stack: Template) -> str:
    function = stack.one("Lambda::Function", "Api")
    return stack.render(function["LoggingConfig"]["LogGroup"]).replace(">", ".Arn>")


def minimum(stack: Template, *keys: str) -> set[tuple[str, str, str]]:
    log = own_log(stack)
    logs = {("logs:CreateLogStream", log, '""'), ("logs:PutLogEvents", log, '""')}
    read = {("secretsmanager:GetSecretValue", secret(stack, name), '""') for name in keys}
    return TRACING | logs | read | open_requests(stack) | virtual_keys(stack)


def open_requests(stack: Template) -> set[tuple[str, str, str]]:
    """The permissions on the table through which requests are cancelled."""
    ((table, _),) = stack.resources("DynamoDB::Table", "Requests").items()
    actions = ("BatchGetItem", "DeleteItem", "UpdateItem")
    return {(f"dynamodb:{action}", f"<{table}.Arn>", '""') for action in actions}


def virtual_keys(stack: Template) -> set[tuple[str, str, str]]:
    """The permissions on the table of virtual keys: no scan, and nothing of the table itself."""
    ((table, _),) = stack.resources("DynamoDB::Table", "VirtualKeys").items()
    actions = ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
    return {(f"dynamodb:{action}", f"<{table}.Arn>", '""') for action in actions}


def test_the_function_may_write_its_log_and_traces_and_read_its_keys_and_no_more(
    without_jobs: Template,
) -> None:
    keys = ("ANTHROPIC_API_KEY", "FANOUT_MASTER_KEY", "GROQ_API_KEY", "OPENAI_API_KEY")
    assert set(without_jobs.statements()) == minimum(without_jobs, *keys)


def test_the_only_managed_policies_are_those_that_aws_documents_for_its_services(
    stack: Template, everything: Template
) -> None:
    gateway = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    deploy = "service-role/AWSCodeDeployRoleForLambdaLimited"
    assert managed_policies(stack) == [gateway]
    assert managed_policies(everything) == [deploy, gateway]


def managed_policies(stack: Template) -> list[str]:
    return sorted(
        stack.render(policy).removeprefix("arn:<AWS::Partition>:iam::aws:policy/")
        for role in stack.properties("IAM::Role")
        for policy in role.get("ManagedPolicyArns", [])
    )


def test_each_role_is_assumed_by_one_service(everything: Template) -> None:
    services = []
    for role in everything.properties("IAM::Role"):
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRole"
        services.append(statement["Principal"]["Service"])
        if services[-1] == "states.amazonaws.com":
            account = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
            assert statement["Condition"] == account
        if services[-1] == "bedrock.amazonaws.com":
            found = statement["Condition"]
            assert found["StringEquals"] == account["StringEquals"]
            arn = everything.render(found["ArnLike"]["aws:SourceArn"])
            assert arn.endswith(":<AWS::Region>:<AWS::AccountId>:model-invocation-job/*")
    assert sorted(services) == [
        "apigateway.amazonaws.com",
        "bedrock.amazonaws.com",
        "codedeploy.amazonaws.com",
        "events.amazonaws.com",
        *["lambda.amazonaws.com"] * 6,
        *["states.amazonaws.com"] * 3,
    ]


def test_the_function_may_call_the_bedrock_models_that_the_config_names(
    everything: Template,
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
        # Bedrock asks for the right on the project, too, in each region in which it is called.
        (f"{arn}:<AWS::Region>:<AWS::AccountId>:project/default", '""'),
        (f"{arn}:us-west-2:<AWS::AccountId>:project/default", '""'),
        (f"{arn}:eu-west-1:<AWS::AccountId>:project/default", '""'),
        # Only AWS knows the models behind a profile's ARN: any model, through that profile alone.
        (
            f"{arn}:*::foundation-model/*",
            f'{{"StringEquals": {{"bedrock:InferenceProfileArn": ["{profile}"]}}}}',
        ),
    }
    for action in ("bedrock:CountTokens", "bedrock:InvokeModel"):
        found = {(r, c) for a, r, c in everything.statements() if a == action}
        assert found == allowed


def test_a_bedrock_model_with_a_key_needs_no_permission(tmp_path: Path) -> None:
    model = {"model": "bedrock/openai.gpt-oss-20b-1:0", "api_key": "os.environ/BEDROCK_KEY"}
    keyed = synthesize({"config": config_file(tmp_path, model), "bulk": "false"})
    assert set(keyed.statements()) == minimum(keyed, "BEDROCK_KEY", "MASTER")


def test_without_bedrock_in_the_config_there_is_no_permission_for_it(stack: Template) -> None:
    assert "bedrock" not in stack.text.lower()
