"""The API function: its settings, and the features that are off by default."""

from __future__ import annotations

from scripts.aws.check import EVERYTHING

from .synth import Template

ADAPTER = "arn:<AWS::Partition>:lambda:<AWS::Region>:753240598075:layer:LambdaAdapterLayer"


def test_the_function_runs_the_app_under_the_pinned_adapter(
    stack: Template, everything: Template
) -> None:
    for each, runtime in ((stack, "python3.14"), (everything, "python3.13")):
        function = each.one("Lambda::Function", "Api")
        assert function["Runtime"] == runtime
        assert function["Handler"] == "functions/api/run.sh"
        assert function["Timeout"] == 900
        assert function["MemorySize"] == 512
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}
        (layer,) = function["Layers"]
        assert each.render(layer) == f"{ADAPTER}Arm64:27"
        variables = function["Environment"]["Variables"]
        assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/bootstrap"
        assert variables["AWS_LWA_INVOKE_MODE"] == "response_stream"
        assert variables["AWS_LWA_READINESS_CHECK_PATH"] == "/health"
        assert variables["AWS_LWA_PORT"] == variables["PORT"]


def test_the_function_gets_the_variables_of_the_config(everything: Template) -> None:
    variables = everything.one("Lambda::Function", "Api")["Environment"]["Variables"]
    assert variables["PROVIDER_URL"] == "https://llm.example.com/v1"


def test_concurrency_is_reserved_only_by_option(stack: Template, everything: Template) -> None:
    """A new account has a concurrency of ten, none of which can be reserved."""
    reserved = "ReservedConcurrentExecutions"
    assert reserved not in stack.one("Lambda::Function", "Api")
    assert everything.one("Lambda::Function", "Api")[reserved] == EVERYTHING["concurrency"]


def test_every_log_is_kept_for_thirty_days(either: Template) -> None:
    groups = either.properties("Logs::LogGroup")
    assert len(groups) == 7
    assert {group["RetentionInDays"] for group in groups} == {30}


def test_old_versions_are_deleted_once_the_alias_has_moved(either: Template) -> None:
    (version,) = either.resources("Lambda::Version").values()
    assert version["DeletionPolicy"] == "Delete"


def test_a_bad_version_is_rolled_back_only_by_option(stack: Template, everything: Template) -> None:
    assert not stack.resources("CodeDeploy::DeploymentGroup")
    (alias,) = stack.resources("Lambda::Alias").values()
    assert "UpdatePolicy" not in alias

    group = everything.one("CodeDeploy::DeploymentGroup")
    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    events = set(group["AutoRollbackConfiguration"]["Events"])
    assert {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"} <= events
    (alarm,) = group["AlarmConfiguration"]["Alarms"]
    (errors,) = [
        n for n in everything.resources("CloudWatch::Alarm") if n.startswith("WatchErrors")
    ]
    assert everything.render(alarm["Name"]) == f"<{errors}>"
    (alias,) = everything.resources("Lambda::Alias").values()
    assert set(alias["UpdatePolicy"]) == {"CodeDeployLambdaAliasUpdate"}


def test_all_functions_share_one_zip(either: Template) -> None:
    code = {either.render(f["Code"]["S3Key"]) for f in either.properties("Lambda::Function")}
    assert len(code) == 1
