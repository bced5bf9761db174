"""
The files and jobs of the API function's own stack; boto3 is imported with the first request.

The environment names the stack's resources: `FANOUT_BUCKET`, `FANOUT_TABLE` and `FANOUT_MACHINE`.
`FANOUT_FILE_DAYS` is the number of days after which the bucket deletes files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from ...wire import json

DAY = 24 * 3600

if TYPE_CHECKING:
    from .batch_service import AWSBatchService, Stores


class LazyAWSBatchService:
    """Opens an `AWSBatchService` when it is first needed."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    @cached_property
    def service(self) -> AWSBatchService:
        """The service, opened once."""
        from .batch_service import AWSBatchService
        from .clients import call, make_client

        machine, client = self._env["FANOUT_MACHINE"], make_client("stepfunctions")

        async def execute(job_id: str) -> None:
            text = json.encode({"job": job_id}).decode()
            # The name makes a request that is sent twice one execution.
            await call(client.start_execution, stateMachineArn=machine, name=job_id, input=text)

        has_accounts = "FANOUT_KEYS_TABLE" in self._env
        return AWSBatchService(open_stores(self._env), execute, has_accounts=has_accounts)


@asynccontextmanager
async def open_stack(env: Mapping[str, str]) -> AsyncIterator[LazyAWSBatchService]:
    """The stack's files and jobs; jobs go on after the block, in the state machine."""
    yield LazyAWSBatchService(env)


def open_stores(env: Mapping[str, str]) -> Stores:
    """Open the stack's bucket and table."""
    from .batch_service import Stores
    from .clients import make_client
    from .dynamodb import DynamoTable
    from .s3 import S3BlobStore

    lifetime = int(env["FANOUT_FILE_DAYS"]) * DAY  # at least 30 days: that of a job's results
    return Stores(
        S3BlobStore(make_client("s3"), env["FANOUT_BUCKET"]),
        DynamoTable(make_client("dynamodb"), env["FANOUT_TABLE"], retention=lifetime),
        lifetime=lifetime,
    )
