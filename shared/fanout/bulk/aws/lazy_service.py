"""
The way from the API to a stack's files and jobs; boto3 is loaded when the first comes through.

`FANOUT_BUCKET`, `FANOUT_TABLE` and `FANOUT_MACHINE` say where they are, and `FANOUT_FILE_DAYS` for
how many days files are kept.
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
    """The files and jobs of the stack that the environment names."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    @cached_property
    def bulk(self) -> AWSBatchService:
        """The files and jobs."""
        from .batch_service import AWSBatchService
        from .clients import call, make_client

        machine, client = self._env["FANOUT_MACHINE"], make_client("stepfunctions")

        async def execute(job_id: str) -> None:
            said = json.encode({"job": job_id}).decode()
            # Its name makes one execution of a request that is sent twice.
            await call(client.start_execution, stateMachineArn=machine, name=job_id, input=said)

        return AWSBatchService(open_stores(self._env), execute)


@asynccontextmanager
async def open_stack(env: Mapping[str, str]) -> AsyncIterator[LazyAWSBatchService]:
    """The way to a stack's jobs for the block; they run elsewhere, and on."""
    yield LazyAWSBatchService(env)


def open_stores(env: Mapping[str, str]) -> Stores:
    """The stack's bucket and table."""
    from .batch_service import Stores
    from .clients import make_client
    from .dynamodb import DynamoTable
    from .s3 import S3BlobStore

    return Stores(
        S3BlobStore(make_client("s3"), env["FANOUT_BUCKET"]),
        DynamoTable(make_client("dynamodb"), env["FANOUT_TABLE"]),
        lifetime=int(env["FANOUT_FILE_DAYS"]) * DAY,
    )
