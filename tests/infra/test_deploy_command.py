"""`make deploy`: what it adds to `cdk deploy`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.aws.deploy import Target, log_role, print_limit, read_target, run

ROLE = "arn:aws:iam::111111111111:role/{}"
OWN = "Fanout-DoorApiCloudWatchRole1-x"
KEEP = ["-c", "fanout:api_log_role=false"]


class Account:
    """
    An account with a role for API Gateway's logs, and its stacks with their resources.

    `role_error` is what IAM responds with to a question for that role.
    """

    def __init__(
        self,
        role: str = "",
        stacks: Mapping[str, Mapping[str, str]] | None = None,
        limit: int = 1_000,
        role_error: str | None = None,
    ) -> None:
        self._role = role
        self._role_error = role_error
        self._stacks = stacks or {}
        self._limit = limit

    def __call__(self, service: str) -> Account:
        return self

    def get_account(self) -> dict[str, Any]:
        return {"cloudwatchRoleArn": ROLE.format(self._role)} if self._role else {}

    def get_role(self, *, RoleName: str) -> dict[str, Any]:  # noqa: N803 -- boto3's
        if self._role_error:
            raise ClientError({"Error": {"Code": self._role_error}}, "GetRole")
        return {"Role": {"RoleName": RoleName}}

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": self._limit}}

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Account": "111111111111"}

    def get_paginator(self, name: str) -> Account:
        assert name == "list_stack_resources"
        return self

    def paginate(self, *, StackName: str) -> Iterator[dict[str, Any]]:  # noqa: N803 -- boto3's
        if StackName not in self._stacks:
            error = {"Code": "ValidationError", "Message": f"Stack {StackName} does not exist"}
            raise ClientError({"Error": error}, "ListStackResources")
        for name, status in self._stacks[StackName].items():
            one = {"PhysicalResourceId": name, "ResourceStatus": status}
            yield {"StackResourceSummaries": [one]}


@pytest.mark.parametrize(
    ("account", "words", "added"),
    [
        (Account(), [], []),
        (Account("somebody-elses"), [], KEEP),
        (Account(OWN, {"Fanout": {"key": "CREATE_COMPLETE", OWN: "CREATE_COMPLETE"}}), [], []),
        # The stack was destroyed, or it has been deployed with another stack's role.
        (Account(OWN), [], KEEP),
        (Account(OWN, {"Fanout": {"key": "CREATE_COMPLETE"}}), [], KEEP),
        (Account(OWN, {"Fanout": {OWN: "DELETE_SKIPPED"}}), [], KEEP),
        (Account("Fanout-Two-Role", {"Fanout": {}, "Fanout-Two": {}}), [], KEEP),
        (Account(OWN, {"Fanout": {OWN: "CREATE_COMPLETE"}}), ["-cfanout:stack=Second"], KEEP),
        (Account("somebody-elses"), ["-c", "fanout:api_log_role=true"], []),
        (Account("somebody-elses"), ["-c", "fanout:api_log_role="], KEEP),
        # The role was deleted by hand; API Gateway still names it.
        (Account(OWN, role_error="NoSuchEntity"), [], []),
        (Account(OWN, role_error="AccessDenied"), [], KEEP),
        (Account("somebody-elses"), ["--context=fanout:account=222222222222"], []),
    ],
)
def test_the_accounts_log_role_is_kept_unless_the_stack_or_the_user_has_its_own(
    account: Account, words: list[str], added: list[str]
) -> None:
    assert log_role(read_target(words), account) == added


def test_nothing_is_added_if_the_stacks_may_not_be_read() -> None:
    class Denied(Account):
        def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListStackResources")

    with pytest.raises(ClientError):
        log_role(Target({}), Denied("somebody-elses"))


@pytest.mark.parametrize(
    "words",
    [
        ["-c", "fanout:stack=Two", "-c", "fanout:region=eu-west-1", "--profile", "prod"],
        ["-cfanout:stack=Two", "-c=fanout:region=eu-west-1", "--profile=prod", "--verbose"],
        ["--context", "fanout:stack=Two", "--context=fanout:region=eu-west-1", "--profile", "prod"],
    ],
)
def test_the_account_that_is_looked_at_is_the_one_that_cdk_deploys_to(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    target = read_target(words)
    assert (target.stack, target.region, target.profile) == ("Two", "eu-west-1", "prod")
    target = read_target([])
    assert (target.stack, target.region, target.profile) == ("Fanout", "us-east-2", None)
    monkeypatch.delenv("AWS_REGION")
    assert read_target([]).region == "us-west-2"


def test_the_profile_of_cdk_json_counts_unless_the_command_line_names_another(
    tmp_path: Path,
) -> None:
    path = tmp_path / "cdk.json"
    path.write_text(json.dumps({"profile": "team", "context": {"fanout:stack": "Gateway"}}))
    target = read_target([], path)
    assert (target.profile, target.stack) == ("team", "Gateway")
    assert read_target(["--profile", "prod"], path).profile == "prod"


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 7", 7), ("kill -INT $PPID; exit 7", 7), ("kill -TERM $$", 143)],
)
def test_ctrl_c_ends_the_command_whose_exit_code_is_returned(script: str, code: int) -> None:
    assert run(["sh", "-c", script]) == code


@pytest.mark.parametrize(("limit", "is_printed"), [(10, True), (99, True), (1_000, False)])
def test_a_small_limit_of_the_account_is_printed(
    limit: int, *, is_printed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    print_limit(Target({}), Account(limit=limit))
    assert (f"at most {limit} " in capsys.readouterr().out) is is_printed
