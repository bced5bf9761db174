"""A deployed stack's files and jobs, from outside: found by its name, with the user's rights."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from ...errors import ConfigError, FanoutError
from ...wire import json
from ..service.batches import HOUR
from .batch_service import AWSBatchService, Stores
from .clients import BotoCoreError, ClientError, call, code_of, make_client
from .deployed_config import DeployedConfig
from .dynamodb import DynamoTable
from .s3 import S3BlobStore

OUTPUTS = ("JobsBucket", "JobsTable", "JobsMachine")
CONFIG, FILE_DAYS = "JobsConfig", "JobsFileDays"
USUAL_DAYS = 30
"""For which a stack keeps files that does not say so: OpenAI's own for batches, too."""


class Formation(Protocol):
    """What is used of CloudFormation's client."""

    def describe_stacks(self, **what: Any) -> Mapping[str, Any]: ...


class States(Protocol):
    """What is used of Step Functions' client."""

    def start_execution(self, **what: Any) -> Mapping[str, Any]: ...

    def list_executions(self, **what: Any) -> Mapping[str, Any]: ...


class Deployed(Struct, frozen=True):
    """
    Where a stack's jobs are: a bucket, a table, and the state machine's ARN.

    `config` is the address of its config, `None` where it was deployed before it told that;
    files are kept for `file_days`.
    """

    bucket: str
    table: str
    machine: str
    config: str | None = None
    file_days: int = USUAL_DAYS


def find_stack(client: Formation, name: str) -> Deployed:
    """What the stack's outputs say; `ConfigError` where it has no jobs."""
    try:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if code_of(error) != "ValidationError":
            raise
        raise ConfigError(f"there is no stack `{name}` here: is it another region?") from None
    told = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}
    try:
        bucket, table, machine = (told[output] for output in OUTPUTS)
    except KeyError:
        raise ConfigError(
            f"the stack `{name}` has no jobs: it was deployed without them, or before they were"
        ) from None
    return Deployed(bucket, table, machine, told.get(CONFIG), int(told.get(FILE_DAYS, USUAL_DAYS)))


class Machines(Struct, frozen=True):
    """The state machine, and whether it runs a job."""

    client: States
    arn: str

    async def run(self, job_id: str) -> None:
        """Have the job run, unless it does; one whose execution is over is taken up by another."""
        if await self._start(job_id, job_id) or await self._is_running(job_id):
            return
        await self._start(job_id, f"{job_id}-{int(time.time()):x}")

    async def _start(self, job_id: str, name: str) -> bool:
        """Whether it could be started under this name, which is taken for ninety days."""
        said = json.encode({"job": job_id}).decode()
        try:
            await call(self.client.start_execution, stateMachineArn=self.arn, name=name, input=said)
        except ClientError as error:
            if code_of(error) != "ExecutionAlreadyExists":
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
def aws_said() -> Iterator[None]:
    """AWS's own complaints inside the block become ours."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise FanoutError(f"AWS: {error}") from None


class Opened(NamedTuple):
    """A stack's files and jobs, its stores, what runs them, and where its config is."""

    bulk: AWSBatchService
    stores: Stores
    machines: Machines
    published: DeployedConfig


def open_deployed(name: str, region: str | None, formation: Formation | None = None) -> Opened:
    """A stack by its name, with the user's rights."""
    found = find_stack(formation or make_client("cloudformation", region), name)
    s3 = make_client("s3", region)
    stores = Stores(
        S3BlobStore(s3, found.bucket),
        DynamoTable(make_client("dynamodb", region), found.table),
        lifetime=found.file_days * 24 * HOUR,
    )
    machines = Machines(make_client("stepfunctions", region), found.machine)
    published = DeployedConfig(s3, name, found.config)
    return Opened(AWSBatchService(stores, machines.run), stores, machines, published)
