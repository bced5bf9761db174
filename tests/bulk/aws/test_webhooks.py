"""On AWS, the end of a job starts the state machine that delivers its webhook."""

from __future__ import annotations

import json
from typing import Any

import boto3

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.repeated_steps import make_notifier
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.service.batches import job_registry
from fanout.bulk.service.webhook_sender import WebhookSender
from fanout.bulk.service.webhooks import Webhook
from fanout.transport.engine import Outgoing
from tests.bulk.local_jobs import jsonl, line, run

from .conftest import REGION
from .job_stack import JobStack, open_job_stack

HOOK = Webhook(url="https://hooks.example.com/", secret="S")
DEFINITION = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})


async def end(stack: JobStack, data: bytes) -> str:
    """A job from its creation to its end; its id."""
    job = await stack.create(data, HOOK)
    planned = await stack.handlers.plan(job.id)
    for shard in await stack.shards(planned.manifest) if planned.next == "work" else []:
        await stack.work(job, shard)
    assert (await stack.handlers.finish(job.id)).next == "done"
    return job.id


def test_every_end_of_a_job_starts_its_delivery_until_it_is_delivered(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    started: list[str] = []

    async def notify(job_id: str) -> None:
        started.append(job_id)

    async def main() -> None:
        async with open_job_stack(blobs, table, notify=notify) as stack:
            done = await end(stack, jsonl([line("x")]))
            wrong = await end(stack, b"{oops")
            stopped = (await stack.create(line("y"), HOOK)).id
            await stack.handlers.fail(stopped, "a fault")
            lost = (await stack.create(line("z"), HOOK)).id
            await stack.handlers.abandon(lost, "a fault")
            assert started == [done, wrong, stopped, lost]
            running = await stack.create(line("r"), HOOK)

            sent: list[Outgoing] = []

            async def post(request: Outgoing) -> int:
                sent.append(request)
                return 200

            async def secrets(_: str) -> list[str]:
                return ["secret"]

            sender = WebhookSender(job_registry(table), secrets, post, stack.stores.now)
            assert await sender.attempt(done) is None
            assert await sender.attempt(running.id) is None
            assert [json.loads(one.body)["data"] for one in sent] == [{"id": done}]
            started.clear()
            await stack.handlers.webhooks.start_all()  # every hour
            assert sorted(started) == sorted([wrong, stopped, lost])

    run(main())


def test_a_delivery_that_cannot_be_started_ends_no_job(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    async def notify(_: str) -> None:
        raise ConnectionError("Step Functions is not reachable")

    async def main() -> None:
        async with open_job_stack(blobs, table, notify=notify) as stack:
            job_id = await end(stack, jsonl([line("x")]))
            assert (await stack.service.jobs.find(job_id, None)).status == "completed"
            assert [str(bug) for bug in stack.observer.unexpected_errors] == [
                "Step Functions is not reachable"
            ]
            stack.observer.unexpected_errors.clear()

    run(main())


def test_a_delivery_is_started_once(s3: Any) -> None:
    client = boto3.client("stepfunctions", REGION)
    role = "arn:aws:iam::123456789012:role/x"
    made = client.create_state_machine(name="Hooks", definition=DEFINITION, roleArn=role)
    notify = make_notifier(client, made["stateMachineArn"])

    async def main() -> None:
        for _ in range(2):
            await notify("batch_1")

    run(main())
    (found,) = client.list_executions(stateMachineArn=made["stateMachineArn"])["executions"]
    assert found["name"] == "batch_1"
