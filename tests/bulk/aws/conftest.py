"""AWS in this process, by moto: an empty bucket, an empty table, and a list of the S3 calls."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.models import MockAWS

from fanout.bulk.aws.clients import make_client
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from tests.support.aws_session import shared_session

from .job_stack import open_job_stack
from .stack_steps import StackSteps

REGION = "us-east-1"


@pytest.fixture(scope="module")
def mocked_aws() -> Iterator[MockAWS]:
    """Moto, which registers a thousand addresses at its start; it starts once for each file."""
    with mock_aws() as mock:
        yield mock


@pytest.fixture(autouse=True)
def aws(mocked_aws: MockAWS, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    mocked_aws.reset()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", shared_session())


@pytest.fixture
def s3() -> Any:
    client = make_client("s3", REGION)
    client.create_bucket(Bucket="jobs")
    return client


@pytest.fixture
def calls(s3: Any) -> list[str]:
    """The names of the S3 operations that are called, in order."""
    names: list[str] = []
    s3.meta.events.register(
        "before-call.s3", lambda model, **_: names.append(model.name), unique_id="calls"
    )
    return names


@pytest.fixture
def blobs(s3: Any) -> S3BlobStore:
    return S3BlobStore(s3, "jobs", "p/")


@pytest.fixture
def table() -> DynamoTable:
    client = make_client("dynamodb", REGION)
    client.create_table(
        TableName="records",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("kind", "id")
        ],
        KeySchema=[
            {"AttributeName": "kind", "KeyType": "HASH"},
            {"AttributeName": "id", "KeyType": "RANGE"},
        ],
    )
    return DynamoTable(OneCallAtATime(client), "records")


class OneCallAtATime:
    """
    A DynamoDB client whose calls, from whatever thread, follow each other.

    DynamoDB checks a condition and writes in one step. Moto does not: two threads at once can both
    find that a condition holds.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in {"meta", "exceptions", "get_paginator"}:
            return found

        def call(**arguments: Any) -> Any:
            with self._lock:
                return found(**arguments)

        return call


@pytest.fixture
def started() -> list[str]:
    """The jobs for which the state machine was started."""
    return []


@pytest.fixture
def open_steps(s3: Any, table: DynamoTable) -> Any:
    """Opens a stack whose states a test runs one by one."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[StackSteps]:
        async with open_job_stack(S3BlobStore(s3, "jobs"), table) as stack:
            yield StackSteps(stack)

    return opened
