"""Two stacks in one account, a deployment under load, and what a destroyed stack leaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from .deployed_stack import DeployedStack
from .deployer import CONFIG, ROOT, Deployer

SECOND = "Rehearsal-Two"


@pytest.fixture(scope="module")
def second(deployer: Deployer) -> Iterator[DeployedStack]:
    """Another stack of the same code and config, which `make deploy` deploys."""
    with deployer.deploy_by_make(SECOND) as stack:
        yield stack


def test_two_stacks_do_not_accept_each_others_keys(
    own: DeployedStack, second: DeployedStack
) -> None:
    assert own.key != second.key
    assert own.url != second.url
    assert second.ask("GET", "/models").status == 200
    for stack, other in ((own, second), (second, own)):
        headers = {"authorization": f"Bearer {other.key}"}
        assert stack.ask("GET", "/models", headers=headers).status == 401


def test_make_deploy_keeps_the_role_with_which_api_gateway_writes_logs(
    own: DeployedStack, second: DeployedStack
) -> None:
    assert own.aws("apigateway").get_account()["cloudwatchRoleArn"]
    pages = second.aws("cloudformation").get_paginator("list_stack_resources")
    kinds = {
        resource["ResourceType"]
        for page in pages.paginate(StackName=SECOND)
        for resource in page["StackResourceSummaries"]
    }
    assert "AWS::ApiGateway::RestApi" in kinds
    assert "AWS::ApiGateway::Account" not in kinds


def test_each_stack_has_its_own_provider_keys(own: DeployedStack, second: DeployedStack) -> None:
    assert own.chat("quick").status == 200
    assert second.chat("quick").error["code"] == "missing_provider_key"


def test_a_new_config_needs_one_deployment_and_no_request_fails_during_it(
    deployer: Deployer, second: DeployedStack, tmp_path: Path
) -> None:
    text = (ROOT / CONFIG).read_text()
    config = tmp_path / "config.yaml"
    config.write_text(text.replace("model_name: quick", "model_name: renamed"))
    with Load(second) as load:
        deployer.deploy_by_make(SECOND, config=config)
        load.wait_for_more(3)
    assert set(load.statuses) == {200}
    listed = {model.id for model in second.sdk().models.list()}
    assert "renamed" in listed
    assert "quick" not in listed


def test_old_versions_are_deleted(second: DeployedStack) -> None:
    pages = second.aws("lambda").get_paginator("list_versions_by_function")
    versions = [
        version["Version"]
        for page in pages.paginate(FunctionName=second.function)
        for version in page["Versions"]
    ]
    assert len(versions) == 2  # the one that is live, and the unpublished one
    assert "$LATEST" in versions


def test_a_destroyed_stack_leaves_what_the_docs_say(
    deployer: Deployer, second: DeployedStack
) -> None:
    """It leaves the jobs' bucket, and API Gateway's log role, which the whole account uses."""
    mine = {kind: second.resources(kind) for kind in KINDS}
    assert all(mine.values())
    (bucket,) = second.resources("AWS::S3::Bucket")
    deployer.client("s3").put_object(Bucket=bucket, Key="outbox/output.jsonl", Body=b"paid for")
    deployer.destroy(SECOND)
    kept = deployer.client("s3").get_object(Bucket=bucket, Key="outbox/output.jsonl")
    assert kept["Body"].read() == b"paid for"
    deployer.delete_bucket(bucket)
    assert {kind: found for kind in KINDS if (found := remaining(deployer, kind, mine[kind]))} == {}
    roles = [role["RoleName"] for role in deployer.client("iam").list_roles()["Roles"]]
    own = [name for name in roles if name.startswith(f"{SECOND}-")]
    assert [name for name in own if "CloudWatchRole" not in name] == []


KINDS = (
    "AWS::ApiGateway::RestApi",
    "AWS::CloudWatch::Alarm",
    "AWS::DynamoDB::Table",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::SecretsManager::Secret",
    "AWS::SQS::Queue",
    "AWS::StepFunctions::StateMachine",
)


def remaining(deployer: Deployer, kind: str, names: list[str]) -> set[str]:
    """Return which of the resources AWS still has."""
    operation, rows, name = {
        "AWS::ApiGateway::RestApi": ("apigateway get_rest_apis", "items", "id"),
        "AWS::CloudWatch::Alarm": ("cloudwatch describe_alarms", "MetricAlarms", "AlarmName"),
        "AWS::DynamoDB::Table": ("dynamodb list_tables", "TableNames", ""),
        "AWS::Lambda::Function": ("lambda list_functions", "Functions", "FunctionName"),
        "AWS::Logs::LogGroup": ("logs describe_log_groups", "logGroups", "logGroupName"),
        "AWS::SecretsManager::Secret": ("secretsmanager list_secrets", "SecretList", "ARN"),
        "AWS::SQS::Queue": ("sqs list_queues", "QueueUrls", ""),
        "AWS::StepFunctions::StateMachine": (
            "stepfunctions list_state_machines",
            "stateMachines",
            "stateMachineArn",
        ),
    }[kind]
    service, method = operation.split()
    pages = deployer.client(service).get_paginator(method).paginate()
    found = [row for page in pages for row in page.get(rows, [])]
    return {row if isinstance(row, str) else row[name] for row in found} & set(names)


class Load:
    """Sends one request after another to the stack while the block runs."""

    def __init__(self, stack: DeployedStack) -> None:
        self.statuses: list[int] = []
        self._stack = stack
        self._more = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_for_more(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait for that many more responses."""
        with self._more:
            enough = len(self.statuses) + count
            assert self._more.wait_for(lambda: len(self.statuses) >= enough, timeout=60)

    def _send(self) -> None:
        while not self._stop.is_set():
            status = self._stack.ask("GET", "/models").status
            with self._more:
                self.statuses.append(status)
                self._more.notify_all()
