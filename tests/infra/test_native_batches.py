"""Native batches: a function that may do little, and a state machine that repeats it."""

from __future__ import annotations

from scripts.aws.state_machines import definitions

from .synth import Template
from .test_bulk_jobs import bucket, keys, permissions

PREFIX = "BulkBatches"


def test_the_function_reads_jobs_and_keys_and_writes_only_batches_and_their_files(
    stack: Template,
) -> None:
    (table,) = stack.resources("DynamoDB::Table", "Bulk")
    place = bucket(stack)
    assert permissions(stack, f"{PREFIX}Native") == keys(stack, clients=False) | {
        ("s3:ListBucket", place),
        ("s3:GetObject", f"{place}/files/*"),
        ("s3:GetObject", f"{place}/jobs/*"),
        ("s3:AbortMultipartUpload", f"{place}/jobs/*"),
        ("s3:PutObject", f"{place}/jobs/*"),
    }

    def only(*kinds: str) -> str:
        quoted = ", ".join(f'"{kind}"' for kind in kinds)
        return f'{{"ForAllValues:StringLike": {{"dynamodb:LeadingKeys": [{quoted}]}}}}'

    own = {one for one in stack.statements(f"{PREFIX}Native") if one[2] != '""'}
    assert own == {
        ("dynamodb:GetItem", f"<{table}.Arn>", only("batch", "counts#*", "native")),
        ("dynamodb:Query", f"<{table}.Arn>", only("batch", "counts#*", "native")),
        ("dynamodb:PutItem", f"<{table}.Arn>", only("native")),
    }
    function = stack.one("Lambda::Function", PREFIX)
    assert (function["Handler"], function["Timeout"]) == ("functions.bulk.native.handler", 900)


def test_a_turn_that_fails_is_made_again_until_after_the_longest_job(stack: Template) -> None:
    (name,) = stack.resources("StepFunctions::StateMachine", PREFIX)
    found = dict(definitions(stack.template["Resources"]))[name]
    states = found["States"]
    assert found["TimeoutSeconds"] > 14 * 24 * 3600
    assert states["Turn"]["Catch"][0]["Next"] == "Wait"
    assert states["Wait"]["Next"] == "Turn"
    payload = states["Turn"]["Arguments"]["Payload"]
    assert payload == {"job": "{% $states.context.Execution.Input.job %}"}
    (function,) = stack.resources("Lambda::Function", PREFIX)
    assert permissions(stack, f"{PREFIX}Role") == {("lambda:InvokeFunction", f"<{function}.Arn>")}
