"""Native batches: a function that may do little, and a state machine that repeats it."""

from __future__ import annotations

from pathlib import Path

from scripts.aws.state_machines import definitions

from .synth import Template, config_file, synthesize
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

    read = only("batch", "counts#*", "native", "open-batch", "rate-limit")
    own = {one for one in stack.statements(f"{PREFIX}Native") if one[2] != '""'}
    assert own == {
        ("dynamodb:GetItem", f"<{table}.Arn>", read),
        ("dynamodb:Query", f"<{table}.Arn>", read),
        ("dynamodb:PutItem", f"<{table}.Arn>", only("native")),
        ("dynamodb:DeleteItem", f"<{table}.Arn>", only("native")),
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


CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:<AWS::Partition>:bedrock"
MODELS = {
    f"{ARN}:*::foundation-model/{CLAUDE}",
    f"{ARN}:<AWS::Region>:<AWS::AccountId>:inference-profile/eu.{CLAUDE}",
}
JOBS = f"{ARN}:<AWS::Region>:<AWS::AccountId>:model-invocation-job/*"


def test_batches_of_bedrock_are_in_the_stacks_bucket_with_a_role_for_it(
    everything: Template,
) -> None:
    place = bucket(everything)
    own_account = '{"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}}'
    objects = {(f"s3:{verb}Object", f"{place}/fanout-batches/*", '""') for verb in ("Get", "Put")}
    assert set(everything.statements("BulkBatchRole")) == {
        ("s3:ListBucket", place, own_account),
        *objects,
        *(("bedrock:InvokeModel", model, '""') for model in MODELS),
    }
    (role,) = everything.resources("IAM::Role", "BulkBatchRole")
    passed = '{"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}'
    step = set(everything.statements(f"{PREFIX}Native"))
    create = "bedrock:CreateModelInvocationJob"
    assert {one for one in step if one[0].startswith(("bedrock:", "iam:"))} == {
        *((create, model, '""') for model in MODELS),
        *((f"bedrock:{v}ModelInvocationJob", JOBS, '""') for v in ("Create", "Get", "Stop")),
        ("bedrock:ListModelInvocationJobs", "*", '""'),
        ("iam:PassRole", f"<{role}.Arn>", passed),
    }
    assert objects <= step
    functions = everything.properties("Lambda::Function", "Bulk")
    readers = [one for one in functions if not one["Handler"].startswith("functions.bulk.webhook")]
    readers.append(everything.one("Lambda::Function", "Api"))
    for function in readers:
        variables = function["Environment"]["Variables"]
        assert everything.render(variables["FANOUT_BATCH_ROLE"]) == f"<{role}.Arn>"
        assert "FANOUT_BUCKET" in variables
    rules = everything.one("S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert [one["ExpirationInDays"] for one in rules if one["Id"] == "fanout-batches"] == [15]


def test_batches_in_a_bucket_of_ones_own_need_no_role_of_the_stacks(tmp_path: Path) -> None:
    given = {
        "model": "bedrock/amazon.nova-pro-v1:0",
        "aws_region_name": "us-west-2",
        "s3_bucket_name": "ours",
        "aws_batch_role_arn": "arn:aws:iam::111122223333:role/batches",
    }
    found = synthesize({"config": config_file(tmp_path, given)})
    assert found.resources("IAM::Role", "BulkBatchRole") == {}
    step = set(found.statements(f"{PREFIX}Native"))
    jobs = JOBS.replace("<AWS::Region>", "us-west-2")
    assert {r for a, r, _ in step if a == "bedrock:StopModelInvocationJob"} == {jobs}
    assert {r for a, r, _ in step if a == "iam:PassRole"} == {given["aws_batch_role_arn"]}
    there = "arn:<AWS::Partition>:s3:::ours"
    assert ("s3:PutObject", f"{there}/fanout-batches/*", '""') in step
    assert ("s3:ListBucket", there, '""') in step
