"""The function and what it is given; what is there only when asked for."""

from __future__ import annotations

from scripts.aws.check import EVERYTHING

from .synth import Synthesised

ADAPTER = "arn:<AWS::Partition>:lambda:<AWS::Region>:753240598075:layer:LambdaAdapterLayer"


def test_the_function_runs_the_app_under_the_pinned_adapter(
    stack: Synthesised, everything: Synthesised
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
        assert each.said(layer) == f"{ADAPTER}Arm64:27"
        variables = function["Environment"]["Variables"]
        assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/bootstrap"
        assert variables["AWS_LWA_INVOKE_MODE"] == "response_stream"
        assert variables["AWS_LWA_READINESS_CHECK_PATH"] == "/health"
        assert variables["AWS_LWA_PORT"] == variables["PORT"]


def test_the_config_s_variables_are_the_functions(everything: Synthesised) -> None:
    variables = everything.one("Lambda::Function", "Api")["Environment"]["Variables"]
    assert variables["PROVIDER_URL"] == "https://llm.example.com/v1"


def test_places_are_reserved_only_when_asked(stack: Synthesised, everything: Synthesised) -> None:
    """A new account has ten places in all, and none of them can be reserved."""
    reserved = "ReservedConcurrentExecutions"
    assert reserved not in stack.one("Lambda::Function", "Api")
    assert everything.one("Lambda::Function", "Api")[reserved] == EVERYTHING["concurrency"]


def test_every_log_is_kept_for_thirty_days(either: Synthesised) -> None:
    groups = either.properties("Logs::LogGroup")
    assert len(groups) == 7
    assert {group["RetentionInDays"] for group in groups} == {30}


def test_old_versions_go_when_the_alias_has_left_them(either: Synthesised) -> None:
    (version,) = either.of("Lambda::Version").values()
    assert version["DeletionPolicy"] == "Delete"


def test_a_bad_version_is_rolled_back_only_when_asked(
    stack: Synthesised, everything: Synthesised
) -> None:
    assert not stack.of("CodeDeploy::DeploymentGroup")
    (alias,) = stack.of("Lambda::Alias").values()
    assert "UpdatePolicy" not in alias

    group = everything.one("CodeDeploy::DeploymentGroup")
    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    events = set(group["AutoRollbackConfiguration"]["Events"])
    assert {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"} <= events
    (alarm,) = group["AlarmConfiguration"]["Alarms"]
    (errors,) = [n for n in everything.of("CloudWatch::Alarm") if n.startswith("WatchErrors")]
    assert everything.said(alarm["Name"]) == f"<{errors}>"
    (alias,) = everything.of("Lambda::Alias").values()
    assert set(alias["UpdatePolicy"]) == {"CodeDeployLambdaAliasUpdate"}


def test_the_same_zip_is_all_the_code_there_is(either: Synthesised) -> None:
    code = {either.said(f["Code"]["S3Key"]) for f in either.properties("Lambda::Function")}
    assert len(code) == 1
