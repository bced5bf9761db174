"""Jobs of virtual keys on AWS: their workers share the key's budget, and charge it exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.model_totals import ModelTotals
from fanout.bulk.service.records import Job
from fanout.errors import StorageError
from fanout.keys.account import account_key
from fanout.keys.groups import TEAMS, GroupManager
from fanout.keys.ledger import KeyLedger
from fanout.keys.management import KeyManager
from fanout.keys.spend import Sums, add_up, collect, period_of
from tests.bulk.local_jobs import COST, jsonl, line
from tests.support.memory_store import MemoryStore

from .job_stack import NAMES, JobStack, open_job_stack

LINES = jsonl(line(name, max_tokens=20) for name in NAMES)
NANO = 10**9
LINE = round(COST * NANO)


async def rounds(stack: JobStack, job: Job) -> Job:
    """Run the job as the state machine does, with all workers of a round at the same time."""
    planned = await stack.handlers.plan(job.id)
    manifest, next_ = planned.manifest, str(planned.next)
    while next_ == "work":
        async with asyncio.TaskGroup() as group:
            for shard in await stack.shards(manifest):
                group.create_task(stack.work(job, shard))
        finished = await stack.handlers.finish(job.id)
        manifest, next_ = finished.manifest, str(finished.next)
    await stack.handlers.finish(job.id)  # charges nothing twice
    return await stack.job(job)


async def account_of(ledger: KeyLedger, name: str) -> Mapping[str, Any]:
    item = await ledger.store.get(account_key(name))
    assert item is not None
    return item


def test_a_spent_budget_ends_a_job_on_aws_and_a_retry_goes_on(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    async def main() -> None:
        ledger = KeyLedger(MemoryStore(), lease=660.0)
        team = await GroupManager(ledger, "master", TEAMS).create(
            "t", {"max_budget": 9 * NANO // 10}
        )
        manager = KeyManager(ledger, "master")
        _, key = await manager.create({"team_id": "t", "max_budget": 50 * NANO})
        async with open_job_stack(blobs, table, ledger=ledger) as stack:
            job = await rounds(stack, await stack.create(LINES, account=key["id"]))
            assert job.status == "cancelled"
            assert [error.code for error in job.errors] == ["budget_exceeded"]
            done = job.totals.done if job.totals else 0
            assert 20 < done < 60
            for name in (key["id"], team["id"]):
                now = await account_of(ledger, name)
                assert (now["spent"], now["reserved"]) == (done * LINE, 0)
            await manager.update(await account_of(ledger, team["id"]), {"max_budget": 9 * NANO})
            job = await rounds(stack, await stack.service.jobs.retry(job.id, "master"))
            assert (job.status, job.errors) == ("completed", [])
            for name in (key["id"], team["id"]):
                now = await account_of(ledger, name)
                assert (now["spent"], now["reserved"]) == (60 * LINE, 0)
            assert sorted(await stack.content(job.output_file_id)) == NAMES
            assert set(stack.provider.calls.values()) == {1}

    asyncio.run(main())


def test_a_job_of_a_blocked_key_ends_on_aws_before_its_first_call(
    blobs: S3BlobStore, table: DynamoTable
) -> None:
    async def main() -> None:
        ledger = KeyLedger(MemoryStore(), lease=660.0)
        manager = KeyManager(ledger, "master")
        _, key = await manager.create({})
        async with open_job_stack(blobs, table, ledger=ledger) as stack:
            job = await stack.create(LINES, account=key["id"])
            planned = await stack.handlers.plan(job.id)
            await manager.update(key, {"blocked": 1})
            job = await rounds(stack, job)
            assert (planned.next, job.status) == ("work", "cancelled")
            assert [error.code for error in job.errors] == ["invalid_api_key"]
            assert not stack.provider.calls
        async with open_job_stack(blobs, table) as stack:  # whose functions have no table of keys
            job = await stack.create(LINES, account=key["id"])
            with pytest.raises(StorageError):
                await stack.handlers.plan(job.id)

    asyncio.run(main())


MIXED = jsonl(line(name, "ab"[at % 3 == 0], max_tokens=20) for at, name in enumerate(NAMES))


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_each_model_of_a_job_on_aws_counts_under_its_own_name(
    blobs: S3BlobStore, table: DynamoTable, *, is_cancelled: bool
) -> None:
    async def main() -> None:
        ledger = KeyLedger(MemoryStore(), lease=660.0)
        _, key = await KeyManager(ledger, "master").create({})
        async with open_job_stack(blobs, table, ledger=ledger) as stack:
            job = await stack.create(MIXED, account=key["id"])
            if is_cancelled:
                await cancel_a_worker(stack, job)
            job = await rounds(stack, job)
            assert (job.status, job.totals and job.totals.named) == ("completed", 60)
        rows = await collect(ledger, period_of(None, None, ledger.now()))
        assert job.totals is not None
        used = job.totals.models
        assert {name: one.lines for name, one in used.items()} == {"a": 40, "b": 20}
        if not is_cancelled:  # a cancelled call costs its prompt
            assert used["b"] == ModelTotals(20, 20 * LINE, 20 * 5, 20 * 7)
        assert add_up(rows, "model") == {
            name: Sums(one.cost, one.lines, one.sent, one.received) for name, one in used.items()
        }
        for row in rows:
            assert sum(part[0] for part in row["by_model"].values()) == row["cost"]
        assert (await account_of(ledger, key["id"]))["spent"] == job.totals.cost

    asyncio.run(main())


async def cancel_a_worker(stack: JobStack, job: Job) -> None:
    """Start one worker, and cancel it when it has made ten calls."""
    planned = await stack.handlers.plan(job.id)
    reached = asyncio.Event()

    async def count(_model: str, _text: str) -> None:
        if sum(stack.provider.calls.values()) >= 10:
            reached.set()
            await asyncio.Event().wait()

    stack.provider.before = count
    [shard, *_] = await stack.shards(planned.manifest)
    async with asyncio.TaskGroup() as group:
        worker = group.create_task(stack.work(job, shard))
        await reached.wait()
        stack.provider.before = None
        worker.cancel()
