"""
`make deploy`: runs `cdk deploy` with what the account already has, and prints what limits it.

`cdk deploy` alone works, too: it creates a role for API Gateway's logs, which is kept when the
stack is destroyed, although an account needs only one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).parents[2]
CDK = ROOT / "node_modules/.bin/cdk"
SETTINGS = ROOT / "cdk.json"
USUAL = 1_000
"""Lambda's concurrency of an account that has been used for a while."""

SMALL = 100
OPTION = "fanout:api_log_role"
MISSING = "ValidationError"
"""CloudFormation's code if there is no stack of a name; other errors have others."""

NO_ROLE = "NoSuchEntity"
"""IAM's code if there is no role of a name."""

GONE = {"DELETE_COMPLETE", "DELETE_SKIPPED"}
Connect: TypeAlias = Callable[[str], Any]


@dataclass(frozen=True)
class Target:
    """Where CDK deploys to, by its own words and `cdk.json`."""

    context: Mapping[str, Any]
    profile: str | None = None
    region: str | None = None

    @property
    def stack(self) -> str:
        return str(self.context.get("fanout:stack") or "Fanout")

    def connect(self) -> Connect:
        """Return what makes clients; raises `BotoCoreError`, for example without the profile."""
        session = boto3.Session(profile_name=self.profile, region_name=self.region)

        def client(service: str) -> Any:
            return session.client(service)

        return client


@dataclass
class _Words:
    context: dict[str, str] = field(default_factory=dict)
    profile: str | None = None


def main() -> int:
    """Deploy; return the exit code of `cdk deploy`."""
    words = sys.argv[1:]
    target = read_target(words)
    try:
        connect = target.connect()
        added = log_role(target, connect)
    except (BotoCoreError, ClientError):  # CDK says what is wrong with the credentials
        connect, added = None, []
    code = run([str(CDK), "deploy", *words, *added])
    if code == 0 and connect is not None:
        print_limit(target, connect)
    return code


def run(command: Sequence[str]) -> int:
    """
    Run a command; return its exit code, or 128 and the number of the signal that ended it.

    Ctrl-C ends the command, which has received it from the terminal, too, and not this process.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run(command, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def read_target(words: Sequence[str], settings: Path = SETTINGS) -> Target:
    """Return where `cdk deploy` with these words deploys to; `settings` is CDK's own file."""
    given = _parse(words)
    project: dict[str, Any] = json.loads(settings.read_text())
    context: dict[str, Any] = project["context"] | given.context
    # The CDK's order; boto3 does not read AWS_REGION.
    regions = (
        context.get("fanout:region"),
        os.environ.get("AWS_REGION"),
        os.environ.get("AWS_DEFAULT_REGION"),
    )
    profile = given.profile or project.get("profile")
    return Target(context, profile, next(filter(None, regions), None))


def _parse(words: Sequence[str]) -> _Words:
    """Read `-c k=v`, `-ck=v`, `--context k=v`, `--context=k=v`, and `--profile` likewise."""
    found, rest = _Words(), list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word.startswith("-c") and not word.startswith("--") and len(word) > len("-c"):
            name, equals, value = "-c", "=", word.removeprefix("-c").removeprefix("=")
        if name not in {"-c", "--context", "--profile"}:
            continue
        if not equals:
            value = rest.pop(0) if rest else ""
        if name == "--profile":
            found.profile = value
        else:
            key, _, text = value.partition("=")
            found.context[key] = text
    return found


def log_role(target: Target, connect: Connect) -> list[str]:
    """
    Return the option that keeps the account's role for API Gateway's logs, if it has one.

    A role that the stack itself has created stays part of it. One of a stack that was destroyed
    belongs to the account. A role that was deleted since is none, although API Gateway still names
    it. Raises `ClientError` and `BotoCoreError`.
    """
    if target.context.get(OPTION) not in {None, ""} or not _is_own_account(target, connect):
        return []
    account = connect("apigateway").get_account()
    role = str(account.get("cloudwatchRoleArn") or "").rpartition("/")[2]
    if not role or _has_role(connect("cloudformation"), target.stack, role):
        return []
    if not _exists(connect("iam"), role):
        return []
    return ["-c", f"{OPTION}=false"]


def _is_own_account(target: Target, connect: Connect) -> bool:
    """Whether the credentials are of the account that CDK deploys to."""
    wanted = target.context.get("fanout:account")
    return not wanted or wanted == connect("sts").get_caller_identity()["Account"]


def _has_role(client: Any, stack: str, role: str) -> bool:
    """Whether there is such a stack, and the role is one of its resources."""
    try:
        pages = list(client.get_paginator("list_stack_resources").paginate(StackName=stack))
    except ClientError as error:
        if error.response["Error"]["Code"] != MISSING:
            raise
        return False
    return any(
        resource.get("PhysicalResourceId") == role and resource["ResourceStatus"] not in GONE
        for page in pages
        for resource in page["StackResourceSummaries"]
    )


def _exists(client: Any, role: str) -> bool:
    """Whether there is such a role; one that may not be read counts as one."""
    try:
        client.get_role(RoleName=role)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] != NO_ROLE)
    return True


def print_limit(target: Target, connect: Connect) -> None:
    """Print the account's concurrency if it is that of a new account."""
    try:
        if not _is_own_account(target, connect):
            return
        settings = connect("lambda").get_account_settings()
    except (BotoCoreError, ClientError):
        return
    limit: int = settings["AccountLimit"]["ConcurrentExecutions"]
    if limit < SMALL:
        print(
            f"\nThis account runs at most {limit} Lambda functions at the same time: {limit} "
            f"requests, of which jobs leave half. Ask AWS for {USUAL:,} (Service Quotas, Lambda, "
            "`Concurrent executions`); it is free."
        )


if __name__ == "__main__":
    sys.exit(main())
