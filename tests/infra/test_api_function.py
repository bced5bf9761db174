"""The API function: its settings, and the features that are off by default."""

from __future__ import annotations

import aws_cdk as cdk
import pytest

from infra.api.web_adapter import layer_arn
from infra.props import ContextError, GatewayProps
from scripts.aws.check import EVERYTHING

from .synth import ROOT, Template

ADAPTER = "arn:<AWS::Partition>:lambda:<AWS::Region>:753240598075:layer:LambdaAdapterLayer"


def test_the_functions_settings(stack: Template, everything: Template) -> None:
    for each, runtime in ((stack, "python3.13"), (everything, "python3.14")):
        function = each.one("Lambda::Function", "Api")
        assert function["Runtime"] == runtime
        assert function["Timeout"] == 900
        assert function["MemorySize"] == 512
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}


def test_a_script_of_the_bundle_starts_the_loop_and_no_layer_or_port_is_needed(
    either: Template,
) -> None:
    function = either.one("Lambda::Function", "Api")
    wrapper = function["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"]
    assert (ROOT / wrapper.removeprefix("/var/task/")).is_file()
    assert function["Handler"] == "functions.api.app.app"
    assert "Layers" not in function
    assert not [name for name in function["Environment"]["Variables"] if "PORT" in name]


def test_the_web_adapter_can_be_selected_with_its_pinned_layer(behind_adapter: Template) -> None:
    function = behind_adapter.one("Lambda::Function", "Api")
    assert function["Handler"] == "functions/api/run.sh"
    (layer,) = function["Layers"]
    assert behind_adapter.render(layer) == f"{ADAPTER}Arm64:30"
    variables = function["Environment"]["Variables"]
    assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/bootstrap"
    assert variables["AWS_LWA_INVOKE_MODE"] == "response_stream"
    assert variables["AWS_LWA_READINESS_CHECK_PATH"] == "/health"
    assert variables["AWS_LWA_PORT"] == variables["PORT"]


def test_the_runtime_changes_only_the_function(stack: Template, behind_adapter: Template) -> None:
    """Its version's logical id has a hash of its settings."""
    kinds = [
        sorted(resource["Type"] for resource in each.template["Resources"].values())
        for each in (stack, behind_adapter)
    ]
    assert kinds[0] == kinds[1]
    policies = [sorted(each.statements()) for each in (stack, behind_adapter)]
    assert policies[0] == policies[1]


def test_the_function_gets_the_variables_of_the_config(everything: Template) -> None:
    variables = everything.one("Lambda::Function", "Api")["Environment"]["Variables"]
    assert variables["PROVIDER_URL"] == "https://llm.example.com/v1"


def test_the_table_of_open_requests_is_never_kept_and_forgets_its_items(
    stack: Template, everything: Template, without_jobs: Template
) -> None:
    for each in (stack, everything, without_jobs):
        ((name, table),) = each.resources("DynamoDB::Table", "Requests").items()
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Delete", "Delete")
        properties = table["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert [key["AttributeName"] for key in properties["KeySchema"]] == ["id"]
        variables = each.one("Lambda::Function", "Api")["Environment"]["Variables"]
        assert each.render(variables["FANOUT_REQUESTS_TABLE"]) == f"<{name}>"


def test_concurrency_is_reserved_only_by_option(stack: Template, everything: Template) -> None:
    """A new account has a concurrency of ten, none of which can be reserved."""
    reserved = "ReservedConcurrentExecutions"
    assert reserved not in stack.one("Lambda::Function", "Api")
    assert everything.one("Lambda::Function", "Api")[reserved] == EVERYTHING["concurrency"]


def test_a_snapshot_is_taken_of_each_version_only_by_option(
    stack: Template, everything: Template
) -> None:
    assert "SnapStart" not in stack.one("Lambda::Function", "Api")
    assert everything.one("Lambda::Function", "Api")["SnapStart"] == {
        "ApplyOn": "PublishedVersions"
    }
    for name in everything.resources("Lambda::Function"):
        assert name.startswith("Api") or "SnapStart" not in everything.one("Lambda::Function", name)


def test_every_log_is_kept_for_thirty_days(stack: Template, everything: Template) -> None:
    for template, count in ((stack, 9), (everything, 11)):  # those of webhooks, too
        groups = template.properties("Logs::LogGroup")
        assert len(groups) == count
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


def test_the_default_python_is_the_one_on_which_the_rehearsal_runs_the_functions() -> None:
    start = (ROOT / ".ci/run").read_text()
    assert f"for python in python{GatewayProps().python} " in start


NEWEST_REGIONS = (
    "ap-east-2",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "il-central-1",
    "mx-central-1",
)


@pytest.mark.parametrize(
    ("region", "account"),
    [
        (None, "753240598075"),
        ("eu-west-1", "753240598075"),
        *((region, "753240598075") for region in NEWEST_REGIONS),
        ("cn-north-1", "041581134020"),
        ("cn-northwest-1", "069767869989"),
    ],
)
def test_the_adapter_is_that_of_the_regions_publisher(region: str | None, account: str) -> None:
    arn = layer_arn(cdk.Stack(), GatewayProps(architecture="x86_64"), region)
    assert arn.split(":")[4:] == [account, "layer", "LambdaAdapterLayerX86", "30"]


@pytest.mark.parametrize("region", ["me-south-1", "us-gov-west-1", "eu-central-9"])
def test_a_region_without_the_adapter_is_rejected_by_name_unless_there_is_a_copy(
    region: str,
) -> None:
    with pytest.raises(ContextError, match=f"`{region}`.*`fanout:adapter_layer`.*eu-west-1"):
        layer_arn(cdk.Stack(), GatewayProps(), region)
    own = f"arn:aws:lambda:{region}:111111111111:layer:Mine:1"
    props = GatewayProps(runtime="web-adapter", adapter_layer=own)
    assert layer_arn(cdk.Stack(), props, region) == own
