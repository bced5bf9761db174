"""What may be chosen at deploy time, and how a wrong choice is refused: by its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.props import BadContext, GatewayProps, read_props
from scripts.aws.state_machines import definitions

from .synth import CONTEXT, ROOT, config_file, synthesise


def read(**choices: Any) -> GatewayProps:
    return read_props({f"fanout:{name}": value for name, value in choices.items()})


def test_without_a_choice_every_one_has_its_default() -> None:
    assert read() == GatewayProps()


def test_what_the_command_line_gives_as_text_is_read_as_it_is_meant() -> None:
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


def test_nothing_takes_a_choice_back() -> None:
    assert read(memory="", domain=None) == GatewayProps()


def test_what_is_not_ours_in_the_context_is_passed_over() -> None:
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
def test_an_unknown_choice_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(BadContext) as refused:
        read(**{name: "1"})
    assert str(refused.value) == f"`fanout:{name}` is unknown; did you mean `fanout:{near}`?"


def test_an_unknown_choice_like_no_other_is_refused_alone() -> None:
    with pytest.raises(BadContext) as refused:
        read(zzz="1")
    assert str(refused.value) == "`fanout:zzz` is unknown"


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
        ("adapter_layer", "LambdaAdapterLayerArm64"),
        ("certificate", "arn:aws:iam::1:server-certificate/x"),
        ("domain", "https://llm.example.com"),
        ("cors", "*"),
        ("cors", "https://app.example.com/"),
        ("rollback", "perhaps"),
        ("environment", "PROVIDER_URL=x"),
        ("stack", "1st"),
        ("stack", "with_line"),
        ("port", "80"),
        ("region", "Frankfurt"),
        ("account", "1234"),
        ("api_log_role", "maybe"),
        ("bulk", "perhaps"),
        ("bulk_memory", "256"),
        ("bulk_timeout", "901"),
        ("bulk_workers", "0"),
        ("file_days", "29"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_choice(name: str, value: str) -> None:
    with pytest.raises(BadContext) as refused:
        read(**{name: value})
    assert str(refused.value).startswith(f"`fanout:{name}`: ")


def test_a_domain_needs_a_certificate() -> None:
    with pytest.raises(BadContext, match="`domain` and `certificate` go together"):
        read(domain="llm.example.com")


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(BadContext) as refused:
        read(alarm_email="secret-address")
    assert "secret-address" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["PORT", "FANOUT_CONFIG", "AWS_LWA_PORT", "FANOUT_TABLE", "FANOUT_MACHINE"]
)
def test_what_the_stack_sets_itself_cannot_be_set_beside_it(name: str, tmp_path: Path) -> None:
    config = config_file(tmp_path)
    with pytest.raises(BadContext) as refused:
        synthesise({"config": config, "environment": {name: "1"}})
    assert str(refused.value) == f"`fanout:environment`: `{name}` is set by the stack"


def test_the_command_says_what_is_wrong_and_nothing_else() -> None:
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
    said = "fanout: `fanout:memroy` is unknown; did you mean `fanout:memory`?\n"
    assert done.stderr == said


def test_each_choice_reaches_the_template(tmp_path: Path) -> None:
    chosen = synthesise(
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
    ((_, machine),) = definitions(chosen.template["Resources"])
    assert machine["States"]["Work"]["MaxConcurrency"] == 7
    rules = {r["Id"]: r for r in chosen.one("S3::Bucket")["LifecycleConfiguration"]["Rules"]}
    assert rules["files"]["ExpirationInDays"] == 91
    (settings,) = chosen.one("ApiGateway::Stage")["MethodSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (7, 9)
    assert {g["RetentionInDays"] for g in chosen.properties("Logs::LogGroup")} == {1}
    (spend,) = [a for a in chosen.properties("CloudWatch::Alarm") if a["MetricName"] == "CostUSD"]
    assert (spend["Threshold"], spend["Period"]) == (2.5, 3600)
