"""AWS in this process: an empty bucket, an empty table, and a list of the calls made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from moto import mock_aws

from fanout.bulk.aws.clients import make_client
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore

REGION = "us-east-1"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


@pytest.fixture
def s3() -> Any:
    client = make_client("s3", REGION)
    client.create_bucket(Bucket="jobs")
    return client


@pytest.fixture
def calls(s3: Any) -> list[str]:
    """The names of what S3 is asked for, in order."""
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
    return DynamoTable(client, "records")


@pytest.fixture
def staged(s3: Any, table: DynamoTable) -> Any:
    """Opens a stack whose steps are taken by hand."""
    from .stepping import Stage
    from .test_machine import cloud

    @asynccontextmanager
    async def stage() -> AsyncIterator[Stage]:
        async with cloud(S3BlobStore(s3, "jobs"), table, []) as at:
            yield Stage(at)

    return stage
