"""Finds a deployed stack by its name and opens its files and jobs, with the user's own rights."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from ...aws.errors import from_boto3
from ...errors import ConfigError
from ...wire import json
from ..service.new_job import HOUR
from .batch_service import AWSBatchService, Stores
from .clients import BotoCoreError, ClientError, call, error_code, make_client
from .deployed_config import DeployedConfig
from .dynamodb import DynamoTable
from .s3 import S3BlobStore

OUTPUTS = ("JobsBucket", "JobsTable", "JobsMachine")
CONFIG_OUTPUT, FILE_DAYS_OUTPUT = "JobsConfig", "JobsFileDays"
BATCHES_OUTPUT = "BatchesMachine"
DEFAULT_FILE_DAYS = 30
"""Days for which a stack without the output keeps files; OpenAI keeps batch files as long."""


class CloudFormationClient(Protocol):
    """The methods of boto3's CloudFormation client that are used here."""

    def describe_stacks(self, **what: Any) -> Mapping[str, Any]: ...


class StepFunctionsClient(Protocol):
    """The methods of boto3's Step Functions client that are used here."""

    def start_execution(self, **what: Any) -> Mapping[str, Any]: ...

    def list_executions(self, **what: Any) -> Mapping[str, Any]: ...


class StackResources(Struct, frozen=True):
    """
    A stack's bucket and table, the ARN of its state machine, and the address of its config.

    A stack of an older version has no `config` output: it is `None`; nor has it native batches.
    Files are deleted after `file_days`.
    """

    bucket: str
    table: str
    machine: str
    config: str | None = None
    file_days: int = DEFAULT_FILE_DAYS
    has_batches: bool = False


def find_stack(client: CloudFormationClient, name: str) -> StackResources:
    """The resources in the stack's outputs; `ConfigError` if it has no jobs."""
    try:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error_code(error) != "ValidationError":
            raise
        raise ConfigError(f"there is no stack `{name}` here: is it another region?") from None
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}
    try:
        bucket, table, machine = (outputs[name] for name in OUTPUTS)
    except KeyError:
        raise ConfigError(
            f"the stack `{name}` has no jobs: it was deployed without them, or by an older version"
        ) from None
    days = int(outputs.get(FILE_DAYS_OUTPUT, DEFAULT_FILE_DAYS))
    has_batches = BATCHES_OUTPUT in outputs
    return StackResources(bucket, table, machine, outputs.get(CONFIG_OUTPUT), days, has_batches)


class StateMachine(Struct, frozen=True):
    """The state machine, whose executions run jobs."""

    client: StepFunctionsClient
    arn: str

    async def run(self, job_id: str) -> None:
        """Start an execution for a job, unless one is running; the job continues where it was."""
        if await self._start(job_id, job_id) or await self._is_running(job_id):
            return
        await self._start(job_id, f"{job_id}-{int(time.time()):x}")

    async def _start(self, job_id: str, name: str) -> bool:
        """Whether the execution was started: AWS keeps a name reserved for ninety days."""
        start, text = self.client.start_execution, json.encode({"job": job_id}).decode()
        try:
            await call(start, stateMachineArn=self.arn, name=name, input=text)
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise
            return False
        return True

    async def _is_running(self, job_id: str) -> bool:
        more: dict[str, str] = {}
        while True:
            page = await call(
                self.client.list_executions,
                stateMachineArn=self.arn,
                statusFilter="RUNNING",
                **more,
            )
            if any(one["name"].startswith(job_id) for one in page["executions"]):
                return True
            if not page.get("nextToken"):
                return False
            more = {"nextToken": page["nextToken"]}


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn boto3's errors inside the block into `FanoutError`s."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise from_boto3(error) from None


class StackConnection(NamedTuple):
    """A stack's files and jobs, its stores, its state machine and its config."""

    service: AWSBatchService
    stores: Stores
    state_machine: StateMachine
    config: DeployedConfig


def connect(
    name: str, region: str | None, cloud_formation: CloudFormationClient | None = None
) -> StackConnection:
    """Open a stack by its name."""
    found = find_stack(cloud_formation or make_client("cloudformation", region), name)
    s3 = make_client("s3", region)
    stores = Stores(
        S3BlobStore(s3, found.bucket),
        DynamoTable(make_client("dynamodb", region), found.table),
        lifetime=found.file_days * 24 * HOUR,
    )
    machine = StateMachine(make_client("stepfunctions", region), found.machine)
    service = AWSBatchService(stores, machine.run, has_batches=found.has_batches)
    return StackConnection(service, stores, machine, DeployedConfig(s3, name, found.config))
