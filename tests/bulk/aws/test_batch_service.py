"""The API over a stack's files and jobs, called by OpenAI's SDK."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import openai
import pytest
import uvloop
from msgspec.structs import replace
from openai._models import FinalRequestOptions
from openai.types import Batch

from fanout.bulk.activity import ActivityTracker
from fanout.bulk.aws import batch_service
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_progress import DynamoJobProgress
from fanout.bulk.aws.lazy_service import open_stack
from fanout.bulk.aws.result_store import S3ResultStore
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.input.planner import Shard
from fanout.bulk.service.batches import job_registry
from fanout.bulk.work.manifest import write_manifest
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.http.app import App
from fanout.settings import Settings
from tests.bulk.local_jobs import CONFIG, line
from tests.support.background_loop import background
from tests.support.gateway_server import RecordingObserver, RunningGateway, _serving
from tests.support.patience import PATIENCE

from .conftest import REGION

DEFINITION = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
DAY = 24 * 3600


@pytest.fixture
def machine() -> str:
    """The ARN of a state machine that does nothing."""
    client = boto3.client("stepfunctions", REGION)
    role = "arn:aws:iam::123456789012:role/x"
    made = client.create_state_machine(name="Jobs", definition=DEFINITION, roleArn=role)
    return str(made["stateMachineArn"])


@pytest.fixture
def env(s3: Any, table: DynamoTable, machine: str) -> dict[str, str]:
    return {
        "FANOUT_BUCKET": "jobs",
        "FANOUT_FILE_DAYS": "30",
        "FANOUT_MACHINE": machine,
        "FANOUT_TABLE": "records",
    }


@pytest.fixture
def server(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningGateway]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    observer = RecordingObserver()
    catalog = resolve(check(CONFIG, {}), {})
    app = App(
        lambda: open_gateway(Settings(), catalog=catalog, observer=observer),
        observer=observer,
        jobs=lambda _: open_stack(env),
    )
    with background(lambda: _serving(app, observer), uvloop.new_event_loop) as served:
        yield served


@pytest.fixture
def client(server: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0) as made:
        yield made


def executions(machine: str) -> list[dict[str, Any]]:
    client = boto3.client("stepfunctions", REGION)
    found = client.list_executions(stateMachineArn=machine)["executions"]
    return [client.describe_execution(executionArn=one["executionArn"]) for one in found]


def create(client: openai.OpenAI, data: bytes) -> Batch:
    file = client.files.create(file=("in.jsonl", data), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )


def test_a_batch_starts_an_execution_with_its_id_as_name(
    client: openai.OpenAI, machine: str
) -> None:
    job = create(client, line("a"))
    (execution,) = executions(machine)
    assert execution["name"] == job.id
    assert json.loads(execution["input"]) == {"job": job.id}
    assert client.batches.retrieve(job.id).status == "validating"
    assert [one.id for one in client.batches.list()] == [job.id]


def test_a_deleted_batch_leaves_nothing(client: openai.OpenAI, table: DynamoTable, s3: Any) -> None:
    job = create(client, line("a"))
    blobs = S3BlobStore(s3, "jobs")

    async def work() -> None:
        async with write_manifest(blobs, f"jobs/{job.id}/manifest.jsonl") as write:
            write(Shard(0, 0, 9, 1, 2))
        await job_registry(table).change(job.id, lambda found: replace(found, status="cancelled"))

    with pytest.raises(openai.BadRequestError, match="cancel it first"):
        client.delete(f"/batches/{job.id}", cast_to=object)
    asyncio.run(work())
    client.delete(f"/batches/{job.id}", cast_to=object)
    assert client.batches.list().data == []
    assert "Contents" not in s3.list_objects_v2(Bucket="jobs", Prefix="jobs/")


def test_the_output_can_be_read_while_workers_write_it(
    client: openai.OpenAI, table: DynamoTable, s3: Any
) -> None:
    job = create(client, b"\n".join([line("a"), line("b")]))
    output_id = str(job.output_file_id)
    assert client.files.content(output_id).content == b""
    blobs = S3BlobStore(s3, "jobs")
    stored = [_result(name) for name in ("a", "b")]

    async def work() -> None:
        key = f"jobs/{job.id}/manifest.jsonl"
        async with write_manifest(blobs, key) as write:
            write(Shard(0, 0, 9, 1, 2))
        results = await S3ResultStore(blobs, f"jobs/{job.id}").open(0)
        for one in stored:
            await results.put(one, failed=False)
            await results.flush()

    asyncio.run(work())
    assert client.files.content(output_id).content == b"".join(stored)
    assert client.files.retrieve(output_id).bytes == 0


def _result(name: str) -> bytes:
    response = {"status_code": 200, "request_id": "r", "body": {"id": "c", "choices": []}}
    one = {"id": f"batch_req_{name}", "custom_id": name, "response": response, "error": None}
    return json.dumps(one).encode() + b"\n"


def test_a_batch_shows_the_calls_of_its_workers(client: openai.OpenAI, table: DynamoTable) -> None:
    job = create(client, line("a"))
    later = time.time() + DAY
    for in_flight, refused in ((3, 1), (4, 0)):
        progress = DynamoJobProgress(
            table,
            job.id,
            expires_at=later,
            now=time.time,
            activity=ActivityTracker(time.time, in_flight, refused),
        )
        asyncio.run(progress.sync())

    def shown() -> tuple[int, int]:
        field: Any = client.batches.retrieve(job.id).to_dict()["fanout"]
        return field["in_flight"], field["refused"]

    until = time.monotonic() + PATIENCE
    while shown() != (7, 1):  # a poll may get the totals of the one before
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_batch_fails_if_its_execution_cannot_be_started(
    client: openai.OpenAI, machine: str, server: RunningGateway
) -> None:
    boto3.client("stepfunctions", REGION).delete_state_machine(stateMachineArn=machine)
    with pytest.raises(openai.InternalServerError):
        create(client, line("a"))
    (job,) = client.batches.list()
    assert job.status == "failed"
    assert job.errors is not None
    assert [error.code for error in job.errors.data or []] == ["job_failed"]
    assert [type(bug).__name__ for bug in server.observer.unexpected_errors] == [
        "StateMachineDoesNotExist"
    ]


def test_a_file_expires_when_the_bucket_deletes_it(client: openai.OpenAI) -> None:
    file = client.files.create(file=("in.jsonl", line("a")), purpose="batch")
    assert file.expires_at == file.created_at + 30 * DAY
    sooner = client.files.create(
        file=("in.jsonl", line("a")),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert sooner.expires_at == sooner.created_at + 3600


def test_the_api_sends_a_small_file_and_redirects_to_s3_for_a_large_one(
    client: openai.OpenAI, server: RunningGateway
) -> None:
    small = client.files.create(file=("in.jsonl", line("a")), purpose="batch")
    assert client.files.content(small.id).content == line("a")

    data = b"x" * (batch_service.MAX_DIRECT + 1)
    upload = client.uploads.create(
        bytes=len(data), filename="in.jsonl", mime_type="application/jsonl", purpose="batch"
    )
    half = len(data) // 2
    halves = (data[:half], data[half:])
    parts = [client.uploads.parts.create(upload.id, data=one).id for one in halves]
    file = client.uploads.complete(upload.id, part_ids=parts).file
    assert file is not None
    options = FinalRequestOptions(
        method="get", url=f"/files/{file.id}/content", follow_redirects=False
    )
    with pytest.raises(openai.APIStatusError) as raised:
        client.request(bytes, options)
    assert raised.value.status_code == 302
    link = urlsplit(raised.value.response.headers["location"])
    assert link.path.endswith(f"/files/{file.id}")
    query = parse_qs(link.query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["900"]
    assert server.observer.unexpected_errors == []


def test_boto3_is_not_loaded_before_the_first_request_for_a_file_or_job() -> None:
    code = """
import asyncio, sys
from fanout.bulk.aws.lazy_service import open_stack
async def main():
    async with open_stack({}):
        print("boto3" in sys.modules, "botocore" in sys.modules)
asyncio.run(main())
"""
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"
