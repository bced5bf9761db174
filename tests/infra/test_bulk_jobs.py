"""Jobs: what must never change by accident, and exactly who may do what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scripts.aws.state_machines import definitions

from .synth import Synthesised

ANYWHERE = {
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
}
"""X-Ray's rights take no resource."""

DELIVERY = {
    f"logs:{name}"
    for name in (
        "CreateLogDelivery",
        "DeleteLogDelivery",
        "DescribeLogGroups",
        "DescribeResourcePolicies",
        "GetLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "UpdateLogDelivery",
    )
}
"""What Step Functions asks for to write a log; they take none either."""

RECORDS = {
    f"dynamodb:{name}"
    for name in ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
}
WRITES = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject")


def machine(stack: Synthesised) -> Mapping[str, Any]:
    ((_, found),) = definitions(stack.template["Resources"])
    states: Mapping[str, Any] = found["States"]
    return states


def rights(stack: Synthesised, part: str) -> set[tuple[str, str]]:
    """Actions and resources, the usual ones left out."""
    return {
        (action, resource)
        for action, resource, condition in stack.statements(part)
        if action not in ANYWHERE | DELIVERY and not action.startswith("logs:")
        if condition == '""'
    }


def bucket(stack: Synthesised) -> str:
    ((name, _),) = stack.of("S3::Bucket").items()
    return f"<{name}.Arn>"


def files(stack: Synthesised, read: str, write: str) -> set[tuple[str, str]]:
    place = bucket(stack)
    return {
        ("s3:ListBucket", place),
        *(("s3:GetObject", f"{place}/{folder}*") for folder in read.split(",")),
        *((action, f"{place}/{folder}*") for folder in write.split(",") for action in WRITES),
    }


def records(stack: Synthesised) -> set[tuple[str, str]]:
    ((name, _),) = stack.of("DynamoDB::Table").items()
    return {(action, f"<{name}.Arn>") for action in RECORDS}


def keys(stack: Synthesised) -> set[tuple[str, str]]:
    return {
        ("secretsmanager:GetSecretValue", f"<{name}>")
        for name in stack.of("SecretsManager::Secret")
    }


def the_machine(stack: Synthesised) -> str:
    ((name, _),) = stack.of("StepFunctions::StateMachine").items()
    return name


# ---- the store ----


def test_the_bucket_is_private_encrypted_and_outlives_its_stack(either: Synthesised) -> None:
    (found,) = either.of("S3::Bucket").values()
    assert (found["DeletionPolicy"], found["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = found["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    (ownership,) = properties["OwnershipControls"]["Rules"]
    assert ownership == {"ObjectOwnership": "BucketOwnerEnforced"}
    assert "VersioningConfiguration" not in properties
    events = properties["NotificationConfiguration"]["EventBridgeConfiguration"]
    assert events == {"EventBridgeEnabled": True}


def test_nobody_reaches_the_bucket_without_tls(stack: Synthesised) -> None:
    statements = stack.one("S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert {(s["Effect"], s["Action"]) for s in statements} == {("Deny", "s3:*")}
    conditions = [s["Condition"] for s in statements]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions


def test_what_is_in_the_bucket_goes_by_itself(stack: Synthesised) -> None:
    rules = {r["Id"]: r for r in stack.one("S3::Bucket")["LifecycleConfiguration"]["Rules"]}
    unfinished = rules.pop("unfinished")
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules.values()}
    assert days == {"files/": 31, "inbox/": 31, "jobs/": 30, "outbox/": 31, "uploads/": 2}


def test_the_table_can_be_restored_and_goes_or_stays_as_asked(
    stack: Synthesised, everything: Synthesised
) -> None:
    for each, policy in ((stack, "Delete"), (everything, "Retain")):
        (table,) = each.of("DynamoDB::Table").values()
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == (policy, policy)
        properties = table["Properties"]
        recovery = properties["PointInTimeRecoverySpecification"]
        assert recovery == {"PointInTimeRecoveryEnabled": True}
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert [key["AttributeName"] for key in properties["KeySchema"]] == ["kind", "id"]


# ---- the functions ----


def test_the_three_functions_are_the_same_zip_with_an_entry_each(stack: Synthesised) -> None:
    functions = stack.properties("Lambda::Function", "Bulk")
    assert {(f["Handler"], f["MemorySize"], f["Timeout"]) for f in functions} == {
        ("functions.bulk.plan.handler", 1_769, 900),
        ("functions.bulk.work.handler", 1_024, 900),
        ("functions.bulk.finish.handler", 1_769, 900),
    }
    for function in functions:
        assert function["TracingConfig"] == {"Mode": "Active"}
        variables = function["Environment"]["Variables"]
        assert {"FANOUT_BUCKET", "FANOUT_TABLE", "FANOUT_SECRET_PREFIX"} <= set(variables)
        assert variables["FANOUT_FILE_DAYS"] == "30"
        assert "FANOUT_MACHINE" not in variables


def test_each_function_may_do_its_own_part_and_no_more(stack: Synthesised) -> None:
    plan, work, finish = (rights(stack, f"BulkFunctions{name}") for name in STEPS)
    assert plan == records(stack) | files(stack, "", "files/,jobs/")
    assert work == records(stack) | files(stack, "files/,jobs/", "jobs/") | keys(stack)
    assert finish == records(stack) | files(stack, "files/,jobs/", "files/,jobs/,outbox/")


STEPS = ("Plan", "Work", "Finish")


def test_the_api_keeps_files_and_starts_jobs_and_no_more(stack: Synthesised) -> None:
    start = {("states:StartExecution", f"<{the_machine(stack)}>")}
    own = records(stack) | files(stack, "files/,uploads/", "files/,uploads/")
    assert rights(stack, "ApiRole") == own | start | keys(stack)


def test_the_state_machine_never_calls_the_api(stack: Synthesised) -> None:
    """Which may start it: each would have to be there before the other."""
    (api,) = stack.of("Lambda::Function", "Api")
    assert api not in json.dumps(stack.of("StepFunctions::StateMachine"))
    assert api not in json.dumps(stack.of("IAM::Policy", "Bulk"))


# ---- the state machine ----


def test_the_machine_may_do_what_a_distributed_map_needs(stack: Synthesised) -> None:
    name = the_machine(stack)
    runs = f"arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:<{name}.Name>"
    functions = stack.of("Lambda::Function", "Bulk")
    written = ("AbortMultipartUpload", "GetObject", "ListMultipartUploadParts", "PutObject")
    assert rights(stack, "BulkJobs") == {
        *(("lambda:InvokeFunction", f"<{function}.Arn>") for function in functions),
        *((f"s3:{action}", f"{bucket(stack)}/jobs/*") for action in written),
        ("states:StartExecution", f"<{name}>"),
        ("states:DescribeExecution", f"{runs}:*"),
        ("states:StopExecution", f"{runs}:*"),
        ("states:RedriveExecution", f"{runs}/Shards:*"),
    }


def test_a_shard_is_a_standard_child_that_is_asked_again_and_fails_alone(
    stack: Synthesised,
) -> None:
    shards = machine(stack)["Work"]
    processor = shards["ItemProcessor"]
    assert processor["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert shards["Label"] == "Shards"
    assert shards["ToleratedFailurePercentage"] == 100
    assert shards["MaxConcurrency"] == 20
    assert shards["ItemReader"]["ReaderConfig"] == {"InputType": "JSONL"}
    assert shards["ResultWriter"]["Resource"].endswith(":s3:putObject")
    task = processor["States"]["Shard"]
    assert [max(r["ErrorEquals"]) for r in task["Retry"]] == [
        "Lambda.TooManyRequestsException",
        "States.ALL",
    ]


def test_no_step_fails_without_an_end_for_its_job(stack: Synthesised) -> None:
    states = machine(stack)
    caught = {name: state["Catch"][0]["Next"] for name, state in states.items() if "Catch" in state}
    assert caught == {
        "Plan": "GiveUp",
        "Work": "GiveUp",
        "Finish": "GiveUp",
        "GiveUp": "Abandon",
        "Abandon": "Lost",
    }
    for state in states.values():
        if state["Type"] == "Task":
            assert state["Retry"]
            assert state["TimeoutSeconds"] == 960


def test_the_machine_ends_at_last_is_logged_and_traced(stack: Synthesised) -> None:
    properties = stack.one("StepFunctions::StateMachine")
    ((_, whole),) = definitions(stack.template["Resources"])
    assert whole["TimeoutSeconds"] == 15 * 24 * 3600
    assert properties["TracingConfiguration"] == {"Enabled": True}
    assert properties["LoggingConfiguration"]["Level"] == "ALL"
    assert properties.get("StateMachineType", "STANDARD") == "STANDARD"


def test_the_outputs_name_what_the_command_line_looks_for(stack: Synthesised) -> None:
    told = {name: stack.said(output["Value"]) for name, output in stack.outputs.items()}
    ((table, _),) = stack.of("DynamoDB::Table").items()
    assert told["JobsTable"] == f"<{table}>"
    assert told["JobsMachine"] == f"<{the_machine(stack)}>"
    assert told["JobsBucket"] == bucket(stack).replace(".Arn", "")
    assert told["JobsFileDays"] == "30"


def test_an_output_says_where_the_config_is_and_no_key_is_in_it(everything: Synthesised) -> None:
    bucket, _, name = everything.said(everything.outputs["JobsConfig"]["Value"]).rpartition("/")
    assert bucket == "s3://cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
    said = json.loads((everything.folder / f"asset.{name}").read_text())
    assert said.keys() == {"config", "environment"}
    assert said["config"]["general_settings"]["master_key"].startswith("os.environ/")
    assert said["config"]["model_list"]
    assert said["environment"] == {"PROVIDER_URL": "https://llm.example.com/v1"}


# ---- the inbox ----


def test_a_file_in_the_inbox_starts_the_machine_and_is_kept_where_it_cannot(
    stack: Synthesised,
) -> None:
    rule = stack.one("Events::Rule", "BulkInbox")
    pattern = rule["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
    assert pattern["detail"]["object"] == {"key": [{"prefix": "inbox/"}]}
    (name,) = pattern["detail"]["bucket"]["name"]
    assert f"{stack.said(name)[:-1]}.Arn>" == bucket(stack)
    (target,) = rule["Targets"]
    assert stack.said(target["Arn"]) == f"<{the_machine(stack)}>"
    (queue,) = stack.of("SQS::Queue")
    assert stack.said(target["DeadLetterConfig"]["Arn"]) == f"<{queue}.Arn>"
    assert stack.one("SQS::Queue")["SqsManagedSseEnabled"] is True
    start = {("states:StartExecution", f"<{the_machine(stack)}>")}
    assert rights(stack, "BulkInbox") == start


def test_somebody_looks_every_hour_for_jobs_that_hang(stack: Synthesised) -> None:
    rule = stack.one("Events::Rule", "JobWatch")
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    (target,) = rule["Targets"]
    assert json.loads(target["Input"]) == {"look": "stuck"}


# ---- all or nothing ----


def test_no_right_is_to_everything_but_those_that_take_no_resource(either: Synthesised) -> None:
    wild = {action for action, resource, _ in either.statements() if resource == "*"}
    assert wild == ANYWHERE | DELIVERY


def test_without_jobs_nothing_of_them_is_there(without_jobs: Synthesised) -> None:
    for kind in ("S3::Bucket", "DynamoDB::Table", "StepFunctions::StateMachine", "Events::Rule"):
        assert not without_jobs.of(kind)
    assert len(without_jobs.of("Lambda::Function")) == 1
    variables = without_jobs.one("Lambda::Function")["Environment"]["Variables"]
    assert not {"FANOUT_BUCKET", "FANOUT_MACHINE", "FANOUT_TABLE"} & set(variables)
