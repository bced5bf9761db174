"""Webhooks: a function that may do little, and a state machine that repeats it for a day."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.props import ContextError
from scripts.aws.state_machines import definitions

from .synth import Template, config_file, synthesize
from .test_bulk_jobs import permissions
from .test_iam_permissions import secret

PREFIX = "BulkWebhooks"


def test_without_secrets_for_webhooks_there_is_nothing_for_them(stack: Template) -> None:
    assert "Webhook" not in stack.text


def test_the_function_reads_its_secrets_and_the_records_of_jobs_and_no_more(
    everything: Template,
) -> None:
    (table,) = everything.resources("DynamoDB::Table", "Bulk")
    own = everything.statements(f"{PREFIX}Webhook")
    assert permissions(everything, f"{PREFIX}Webhook") == {
        ("secretsmanager:GetSecretValue", secret(everything, "WEBHOOK_SECRET"))
    }
    kinds = '{"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["batch", "open-batch"]}}'
    assert {one for one in own if one[2] != '""'} == {
        (f"dynamodb:{name}", f"<{table}.Arn>", kinds)
        for name in ("DeleteItem", "GetItem", "PutItem")
    }
    function = everything.one("Lambda::Function", PREFIX)
    assert (function["Handler"], function["Timeout"]) == ("functions.bulk.webhook.handler", 60)
    variables = function["Environment"]["Variables"]
    assert {"FANOUT_TABLE", "FANOUT_FILE_DAYS", "FANOUT_SECRET_PREFIX"} <= set(variables)
    assert not {"FANOUT_BUCKET", "FANOUT_MACHINE"} & set(variables)


def test_only_the_function_reads_the_secret_and_only_the_finisher_starts_a_delivery(
    everything: Template,
) -> None:
    statements = list(everything.statements())
    own = secret(everything, "WEBHOOK_SECRET")
    assert sum(resource == own for _, resource, _ in statements) == 1
    (machine,) = everything.resources("StepFunctions::StateMachine", PREFIX)
    starts = ("states:StartExecution", f"<{machine}>")
    assert starts in permissions(everything, "BulkFunctionsFinish")
    assert sum((action, resource) == starts for action, resource, _ in statements) == 1
    (function,) = everything.resources("Lambda::Function", PREFIX)
    assert permissions(everything, f"{PREFIX}Role") == {
        ("lambda:InvokeFunction", f"<{function}.Arn>")
    }


def test_an_attempt_that_fails_is_made_again_and_no_address_is_in_the_machines_data(
    everything: Template,
) -> None:
    (name,) = everything.resources("StepFunctions::StateMachine", PREFIX)
    found = dict(definitions(everything.template["Resources"]))[name]
    states = found["States"]
    assert found["TimeoutSeconds"] > 24 * 3600
    assert states["Attempt"]["Catch"][0]["Next"] == "Wait"
    assert states["Wait"]["Next"] == "Attempt"
    payload = states["Attempt"]["Arguments"]["Payload"]
    assert payload == {"job": "{% $states.context.Execution.Input.job %}"}


def test_a_key_is_no_secret_for_webhooks(tmp_path: Path) -> None:
    config = config_file(tmp_path, webhook_secrets=["A_KEY"])
    with pytest.raises(ContextError, match="`A_KEY`, which is a key"):
        synthesize({"config": config})
