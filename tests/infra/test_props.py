"""The deploy-time options, and the errors for wrong ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.context import example_of, read_props
from infra.props import MANAGED_OPTIONS, ContextError, GatewayProps
from scripts.aws.check import EVERYTHING
from scripts.aws.state_machines import definitions

from .synth import CONTEXT, ROOT, config_file, synthesize

CERTIFICATE = "arn:aws:acm:eu-west-1:111111111111:certificate/0"


def read(**options: Any) -> GatewayProps:
    return read_props({f"fanout:{name}": value for name, value in options.items()})


def test_every_option_has_a_default() -> None:
    assert read() == GatewayProps()


def test_texts_of_the_command_line_become_numbers_booleans_and_json() -> None:
    given = read(
        memory="1024",
        log_days="7",
        rollback="true",
        spend_alarm="2.5",
        environment='{"PROVIDER_URL": "http://x/v1"}',
    )
    assert given.memory == 1024
    assert given.log_days == 7
    assert given.rollback is True
    assert given.spend_alarm == 2.5
    assert given.environment == {"PROVIDER_URL": "http://x/v1"}


def test_an_empty_value_restores_the_default() -> None:
    assert read(memory="", domain=None) == GatewayProps()


def test_context_keys_without_our_prefix_are_ignored() -> None:
    assert read_props(CONTEXT | {"memory": "no number"}) == GatewayProps()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("memroy", "memory"),
        ("log-days", "log_days"),
        ("alarm_mail", "alarm_email"),
        ("Config", "config"),
    ],
)
def test_an_unknown_key_is_rejected_with_the_nearest_one(name: str, near: str) -> None:
    with pytest.raises(ContextError) as raised:
        read(**{name: "1"})
    assert str(raised.value) == f"`fanout:{name}` is unknown; did you mean `fanout:{near}`?"


def test_an_unknown_key_like_no_other_is_rejected_with_the_page_of_keys() -> None:
    with pytest.raises(ContextError) as raised:
        read(zzz="1")
    assert str(raised.value) == "`fanout:zzz` is unknown; docs/aws.md lists every key"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory", "128"),
        ("memory", "much"),
        ("architecture", "arm"),
        ("python", "3.12"),
        ("timeout", "901"),
        ("concurrency", "0"),
        ("rate", "0"),
        ("burst", "5001"),
        ("log_days", "31"),
        ("removal", "snapshot"),
        ("alarm_email", "somebody"),
        ("spend_alarm", "0"),
        ("spend_alarm", "inf"),
        ("spend_alarm", "nan"),
        ("adapter_layer", "LambdaAdapterLayerArm64"),
        ("certificate", "arn:aws:iam::1:server-certificate/x"),
        ("domain", "https://llm.example.com"),
        ("cors", "*"),
        ("cors", "https://app.example.com/"),
        ("rollback", "perhaps"),
        ("environment", "PROVIDER_URL=x"),
        ("environment", '{"A-B": "x"}'),
        ("environment", '{"A": "x"}'),
        ("environment", '{"1ST": "x"}'),
        ("environment", '{"AWS_REGION": "x"}'),
        ("stack", "1st"),
        ("stack", "with_line"),
        ("port", "80"),
        ("region", "Frankfurt"),
        ("account", "1234"),
        ("api_log_role", "maybe"),
        ("bulk", "perhaps"),
        ("bulk_memory", "256"),
        ("bulk_timeout", "1801"),
        ("bulk_workers", "0"),
        ("file_days", "29"),
    ],
)
def test_a_wrong_value_is_rejected_with_its_key_and_the_page_of_keys(name: str, value: str) -> None:
    with pytest.raises(ContextError) as raised:
        read(**{name: value})
    assert str(raised.value).startswith(f"`fanout:{name}`: ")
    assert str(raised.value).endswith("; docs/aws.md lists every key")


def test_a_domain_needs_a_certificate_and_the_other_way_round() -> None:
    for option in ({"domain": "llm.example.com"}, {"certificate": CERTIFICATE}):
        with pytest.raises(ContextError) as raised:
            read(**option)
        assert str(raised.value) == (
            "set both `fanout:domain` and `fanout:certificate`, or neither; "
            "docs/aws.md lists every key"
        )


@pytest.mark.parametrize(
    "option", [{"adapter_layer": "arn:aws:lambda:x:1:layer:Mine:1"}, {"port": "9000"}]
)
def test_an_option_of_the_adapter_needs_the_adapter(option: dict[str, str]) -> None:
    (name,) = option
    with pytest.raises(ContextError) as raised:
        read(**option)
    assert str(raised.value) == (
        f"`fanout:{name}` needs `fanout:runtime=web-adapter`; docs/aws.md lists every key"
    )
    assert read(**option, runtime="web-adapter").runtime == "web-adapter"


def test_a_snapshot_needs_the_loop() -> None:
    """The adapter, and not the app, would be restored."""
    with pytest.raises(ContextError, match=r"^`fanout:snapstart` needs `fanout:runtime=loop`; "):
        read(snapstart="true", runtime="web-adapter")


def test_a_wrong_text_is_rejected_with_a_right_one() -> None:
    with pytest.raises(ContextError, match=r"^`fanout:region`: .*, such as `eu-west-1`; "):
        read(region="Frankfurt")


def test_every_example_is_valid() -> None:
    examples = {name: text for name in GatewayProps.model_fields if (text := example_of(name))}
    special = {"adapter_layer", *MANAGED_OPTIONS}
    for choice, names in (
        ({"runtime": "web-adapter"}, {"adapter_layer"}),
        ({"compute": "managed-instances"}, MANAGED_OPTIONS),
    ):
        given = {name: text for name, text in examples.items() if name not in special - names}
        given |= choice
        assert read(**given).model_dump(include=set(given)) == given


def test_an_error_does_not_repeat_the_value() -> None:
    with pytest.raises(ContextError) as raised:
        read(alarm_email="secret-address")
    assert "secret-address" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("AWS_LAMBDA_EXEC_WRAPPER", "loop"),
        ("FANOUT_CONFIG", "loop"),
        ("FANOUT_TABLE", "loop"),
        ("FANOUT_MACHINE", "loop"),
        ("PORT", "web-adapter"),
        ("AWS_LWA_PORT", "web-adapter"),
    ],
)
def test_a_variable_that_the_stack_sets_cannot_be_overridden(
    name: str, runtime: str, tmp_path: Path
) -> None:
    options = {"config": config_file(tmp_path), "runtime": runtime}
    with pytest.raises(ContextError) as raised:
        synthesize(options | {"environment": {name: "1"}})
    assert str(raised.value) == (f"`fanout:environment`: the stack sets `{name}` itself; remove it")


def test_the_command_prints_the_error_and_nothing_else() -> None:
    context = json.dumps({"fanout:memroy": "1024"})
    done = subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=ROOT,
        env={**os.environ, "CDK_CONTEXT_JSON": context},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    message = "fanout: `fanout:memroy` is unknown; did you mean `fanout:memory`?\n"
    assert done.stderr == message


def test_each_option_reaches_the_template(tmp_path: Path) -> None:
    chosen = synthesize(
        {
            "config": config_file(tmp_path),
            "memory": "1024",
            "architecture": "x86_64",
            "timeout": "60",
            "bulk_memory": "2048",
            "bulk_timeout": "300",
            "bulk_workers": "7",
            "file_days": "90",
            "rate": "7",
            "burst": "9",
            "port": "9000",
            "log_days": "1",
            "spend_alarm": "2.5",
            "runtime": "web-adapter",
            "adapter_layer": "arn:aws:lambda:eu-west-1:111111111111:layer:Mine:3",
        }
    )
    function = chosen.one("Lambda::Function", "Api")
    assert function["MemorySize"] == 1024
    assert function["Architectures"] == ["x86_64"]
    assert function["Timeout"] == 60
    variables = function["Environment"]["Variables"]
    assert (variables["PORT"], variables["AWS_LWA_PORT"]) == ("9000", "9000")
    assert function["Layers"] == ["arn:aws:lambda:eu-west-1:111111111111:layer:Mine:3"]
    worker = chosen.one("Lambda::Function", "BulkFunctionsWork")
    assert (worker["MemorySize"], worker["Timeout"]) == (2048, 300)
    machines = [machine for _, machine in definitions(chosen.template["Resources"])]
    (most,) = [m["States"]["Work"]["MaxConcurrency"] for m in machines if "Work" in m["States"]]
    assert most == "{% $states.input.workers > 0 ? $states.input.workers : 7 %}"
    rules = {r["Id"]: r for r in chosen.one("S3::Bucket")["LifecycleConfiguration"]["Rules"]}
    assert rules["files"]["ExpirationInDays"] == 91
    (settings,) = chosen.one("ApiGateway::Stage")["MethodSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (7, 9)
    assert {g["RetentionInDays"] for g in chosen.properties("Logs::LogGroup")} == {1}
    (spend,) = [a for a in chosen.properties("CloudWatch::Alarm") if a["MetricName"] == "CostUSD"]
    assert (spend["Threshold"], spend["Period"]) == (2.5, 3600)


@pytest.mark.parametrize(
    "where", [{"region": "eu-west-1"}, {"region": "eu-west-1", "account": "111111111111"}]
)
def test_a_stack_with_every_feature_can_have_a_region_and_an_account(
    where: dict[str, str],
) -> None:
    """The names of cdk-nag's rules have them, too."""
    assert synthesize(EVERYTHING | where).one("Lambda::Function", "Api")
