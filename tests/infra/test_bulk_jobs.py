"""Jobs: their storage, functions and inbox, and every permission that they have."""

from __future__ import annotations

import json

from infra.config import BATCH_STORAGE

from .synth import Template
from .test_iam_permissions import open_requests, virtual_keys

TRACING = {
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
}
"""X-Ray's actions, which accept no resource."""

LOG_DELIVERY = {
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
"""What Step Functions needs to write a log; these accept no resource either."""

RECORDS = {
    f"dynamodb:{name}"
    for name in ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
}
WRITES = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject")


def permissions(stack: Template, part: str) -> set[tuple[str, str]]:
    """Return actions and resources without those that every role has."""
    return {
        (action, resource)
        for action, resource, condition in stack.statements(part)
        if action not in TRACING | LOG_DELIVERY and not action.startswith("logs:")
        if condition == '""'
    }


def bucket(stack: Template) -> str:
    ((name, _),) = stack.resources("S3::Bucket").items()
    return f"<{name}.Arn>"


def files(stack: Template, read: str, write: str) -> set[tuple[str, str]]:
    place = bucket(stack)
    return {
        ("s3:ListBucket", place),
        *(("s3:GetObject", f"{place}/{folder}*") for folder in read.split(",")),
        *((action, f"{place}/{folder}*") for folder in write.split(",") for action in WRITES),
    }


def records(stack: Template) -> set[tuple[str, str]]:
    ((name, _),) = stack.resources("DynamoDB::Table", "Bulk").items()
    return {(action, f"<{name}.Arn>") for action in RECORDS}


def keys(stack: Template, *, clients: bool = True) -> set[tuple[str, str]]:
    """Return the permissions to read every key, or those of providers only."""
    return {
        ("secretsmanager:GetSecretValue", f"<{name}>")
        for name, secret in stack.resources("SecretsManager::Secret").items()
        if clients or not secret["Properties"]["Name"].endswith("/FANOUT_MASTER_KEY")
    }


def machine_id(stack: Template) -> str:
    ((name, _),) = stack.resources("StepFunctions::StateMachine", "BulkJobs").items()
    return name


# ---- the storage ----


def test_the_bucket_is_private_encrypted_and_outlives_its_stack(either: Template) -> None:
    (found,) = either.resources("S3::Bucket").values()
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


def test_the_bucket_requires_tls(stack: Template) -> None:
    statements = stack.one("S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert {(s["Effect"], s["Action"]) for s in statements} == {("Deny", "s3:*")}
    conditions = [s["Condition"] for s in statements]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions


def test_objects_expire_by_prefix(stack: Template) -> None:
    rules = {r["Id"]: r for r in stack.one("S3::Bucket")["LifecycleConfiguration"]["Rules"]}
    unfinished = rules.pop("unfinished")
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules.values()}
    assert days == {
        "files/": 31,
        "inbox/": 31,
        "jobs/": 30,
        "outbox/": 31,
        "uploads/": 2,
        "idempotency/": 2,
    }


def test_the_table_can_be_restored_and_is_removed_or_kept_by_option(
    stack: Template, everything: Template
) -> None:
    for each, policy in ((stack, "Delete"), (everything, "Retain")):
        (table,) = each.resources("DynamoDB::Table", "Bulk").values()
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == (policy, policy)
        properties = table["Properties"]
        recovery = properties["PointInTimeRecoverySpecification"]
        assert recovery == {"PointInTimeRecoveryEnabled": True}
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert [key["AttributeName"] for key in properties["KeySchema"]] == ["kind", "id"]


# ---- the functions ----


def test_the_three_functions_share_a_zip_and_have_a_handler_each(stack: Template) -> None:
    functions = stack.properties("Lambda::Function", "BulkFunctions")
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


def test_each_function_has_the_permissions_of_its_step_and_no_more(stack: Template) -> None:
    plan, work, finish = (permissions(stack, f"BulkFunctions{name}") for name in STEPS)
    ((batches, _),) = stack.resources("StepFunctions::StateMachine", "BulkBatches").items()
    # The settings accept no resource; both start the native batches of jobs.
    settings = {("lambda:GetAccountSettings", "*"), ("states:StartExecution", f"<{batches}>")}
    spend = {(a, table) for a, table, _ in virtual_keys(stack) if a != "dynamodb:DeleteItem"}
    look = {(a, table) for a, table in spend if a == "dynamodb:GetItem"}
    assert plan == records(stack) | files(stack, "", "files/,jobs/,outbox/") | settings | look
    own = records(stack) | files(stack, "files/,jobs/", "jobs/") | keys(stack, clients=False)
    counts = {(a, table) for a, table, _ in open_requests(stack) if a == "dynamodb:UpdateItem"}
    assert work == own | counts | spend
    written = files(stack, "files/,jobs/", "files/,jobs/,outbox/")
    assert finish == records(stack) | written | settings | spend


STEPS = ("Plan", "Work", "Finish")


def test_the_api_may_store_files_and_start_jobs_and_no_more(stack: Template) -> None:
    start = {("states:StartExecution", f"<{machine_id(stack)}>")}
    written = "files/,idempotency/,uploads/"
    own = records(stack) | files(stack, f"{written},jobs/", written)
    own |= {("s3:DeleteObject", f"{bucket(stack)}/jobs/*")}  # of a job that is deleted
    tables = open_requests(stack) | virtual_keys(stack)
    items = {(action, resource) for action, resource, _ in tables}
    assert permissions(stack, "ApiRole") == own | start | keys(stack) | items


def test_the_state_machine_never_calls_the_api(stack: Template) -> None:
    """The API may start the state states_of: each would need the other to exist first."""
    (api,) = stack.resources("Lambda::Function", "Api")
    assert api not in json.dumps(stack.resources("StepFunctions::StateMachine"))
    assert api not in json.dumps(stack.resources("IAM::Policy", "Bulk"))


# ---- the state machine ----


def test_the_state_machine_has_the_permissions_of_a_distributed_map(stack: Template) -> None:
    name = machine_id(stack)
    runs = f"arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:<{name}.Name>"
    functions = stack.resources("Lambda::Function", "BulkFunctions")
    written = ("AbortMultipartUpload", "GetObject", "ListMultipartUploadParts", "PutObject")
    assert permissions(stack, "BulkJobs") == {
        *(("lambda:InvokeFunction", f"<{function}.Arn>") for function in functions),
        *((f"s3:{action}", f"{bucket(stack)}/jobs/*") for action in written),
        ("states:StartExecution", f"<{name}>"),
        ("states:DescribeExecution", f"{runs}:*"),
        ("states:StopExecution", f"{runs}:*"),
        ("states:RedriveExecution", f"{runs}/Shards:*"),
    }


def test_the_outputs_are_those_that_the_command_line_reads(stack: Template) -> None:
    outputs = {name: stack.render(output["Value"]) for name, output in stack.outputs.items()}
    ((table, _),) = stack.resources("DynamoDB::Table", "Bulk").items()
    assert outputs["JobsTable"] == f"<{table}>"
    assert outputs["JobsMachine"] == f"<{machine_id(stack)}>"
    assert outputs["JobsBucket"] == bucket(stack).replace(".Arn", "")
    assert outputs["JobsFileDays"] == "30"


def test_an_output_has_the_address_of_the_config_which_contains_no_key(
    everything: Template,
) -> None:
    bucket, _, name = everything.render(everything.outputs["JobsConfig"]["Value"]).rpartition("/")
    assert bucket == "s3://cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
    content = json.loads((everything.folder / f"asset.{name}").read_text())
    assert content.keys() == {"config", "environment"}
    assert content["config"]["general_settings"]["master_key"].startswith("os.environ/")
    assert content["config"]["model_list"]
    assert content["environment"] == {**BATCH_STORAGE, "PROVIDER_URL": "https://llm.example.com/v1"}


# ---- the inbox ----


def test_a_file_in_the_inbox_starts_a_job_or_its_event_goes_to_the_dead_letters(
    stack: Template,
) -> None:
    rule = stack.one("Events::Rule", "BulkInbox")
    pattern = rule["EventPattern"]
    assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
    assert pattern["detail"]["object"] == {"key": [{"prefix": "inbox/"}]}
    (name,) = pattern["detail"]["bucket"]["name"]
    assert f"{stack.render(name)[:-1]}.Arn>" == bucket(stack)
    (target,) = rule["Targets"]
    assert stack.render(target["Arn"]) == f"<{machine_id(stack)}>"
    (queue,) = stack.resources("SQS::Queue")
    assert stack.render(target["DeadLetterConfig"]["Arn"]) == f"<{queue}.Arn>"
    assert stack.one("SQS::Queue")["SqsManagedSseEnabled"] is True
    start = {("states:StartExecution", f"<{machine_id(stack)}>")}
    assert permissions(stack, "BulkInbox") == start


def test_the_finisher_looks_for_overdue_jobs_every_hour(stack: Template) -> None:
    rule = stack.one("Events::Rule", "JobWatch")
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    (target,) = rule["Targets"]
    assert json.loads(target["Input"]) == {"check": "overdue_jobs"}


# ---- the whole stack ----


def test_only_actions_that_accept_no_resource_are_allowed_on_every_resource(
    either: Template,
) -> None:
    wild = {action for action, resource, _ in either.statements() if resource == "*"}
    has_batches = either.resources("IAM::Role", "BulkBatchRole")
    listing = {"bedrock:ListModelInvocationJobs"} if has_batches else set()
    assert wild == TRACING | LOG_DELIVERY | {"lambda:GetAccountSettings"} | listing


def test_without_jobs_the_stack_has_none_of_their_resources(without_jobs: Template) -> None:
    for kind in ("S3::Bucket", "StepFunctions::StateMachine", "Events::Rule"):
        assert not without_jobs.resources(kind)
    assert not without_jobs.resources("DynamoDB::Table", "Bulk")
    assert len(without_jobs.resources("Lambda::Function")) == 1
    variables = without_jobs.one("Lambda::Function")["Environment"]["Variables"]
    assert not {"FANOUT_BUCKET", "FANOUT_MACHINE", "FANOUT_TABLE"} & set(variables)
