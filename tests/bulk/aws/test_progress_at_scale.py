"""A job of a thousand workers and five thousand shards stays within DynamoDB's limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from math import ceil
from typing import Any, cast

from msgspec.structs import replace

from fanout.bulk.activity import ActivityTracker
from fanout.bulk.aws.batch_service import AWSBatchService, Stores
from fanout.bulk.aws.budget_account import LEASE_TTL
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.sync_schedule import MAX_CAPPED_WORKERS, sync_times
from fanout.bulk.service.records import Job
from fanout.bulk.totals import Totals, count_failure
from tests.support.virtual_clock import now, run_threads_at_once

from .capacity_table import (
    READS_PER_SECOND,
    WRITE_UNIT,
    WRITES_PER_SECOND,
    CapacityTable,
    size,
)

WORKERS, SHARDS, LINES = 1_000, 5_000, 200
ENVIRONMENTS = 5
"""Environments of the API function that clients may poll through; the test has one."""

JOB = Job(
    id="batch_1",
    host="aws",
    owner="master",
    input_file_id="file-1",
    input_key="files/file-1",
    completion_window="24h",
    created_at=0,
    expires_at=90_000,
)


RUNNING = json.dumps({"status": "in_progress"}).encode()


CAUSES = ("context_length_exceeded", "content_filter", "invalid_prompt", "rate_limit_exceeded")


def totals(lines: int, causes: Sequence[str] = ()) -> Totals:
    """Counts with as many digits as those of real lines, and a failure of each cause."""
    found = Totals(
        done=lines - len(causes),
        tokens_in=lines * 1_234,
        tokens_out=lines * 456,
        cost=lines * 1_234_567,
    )
    for number, cause in enumerate(causes):
        found.add(count_failure(cause, f"request-{number:07d}", 1_000_000 + number, "x" * 300))
    return found


def test_the_account_of_a_capped_job_takes_the_writes_of_its_most_workers(
    table: DynamoTable,
) -> None:
    """Each write costs the units of the whole item, and each worker has an entry in it."""

    async def main() -> None:
        capped = replace(JOB, max_cost=10**15)
        stores = Stores(cast("Any", None), table, now)
        await table.put("batch", JOB.id, RUNNING, None)
        for shard in range(MAX_CAPPED_WORKERS):
            progress = stores.progress(capped)
            await progress.completed_totals(SHARDS + shard)
            progress.begin_shard(SHARDS + shard, Totals())
            progress.reserve(10**9)
            progress.settle(SHARDS + shard, 10**9, totals(200))
            progress.reserve(10**9)
            await progress.sync()
        account = await table.item(f"counts#{JOB.id}", "budget")
        assert account is not None
        assert len(account["workers"]["M"]) == MAX_CAPPED_WORKERS
        _, interval = sync_times(0, MAX_CAPPED_WORKERS, capped=True)
        units = ceil(size(account) / WRITE_UNIT) * MAX_CAPPED_WORKERS / interval
        assert 100 < units < 0.5 * WRITES_PER_SECOND
        assert interval < LEASE_TTL / 4

    run_threads_at_once(main(), 0.004)


def test_progress_and_polls_stay_within_the_limits_of_a_partition_key() -> None:
    """Also if all workers start at the same moment, and lines of each shard fail."""
    client = CapacityTable()
    run_threads_at_once(run_job(client), 0.004)

    kind = f"counts#{JOB.id}"
    assert 0.1 * WRITES_PER_SECOND < client.most(client.writes, kind) < 0.7 * WRITES_PER_SECOND
    most = client.most(client.reads, kind)
    assert 0.1 * READS_PER_SECOND < most < READS_PER_SECOND / ENVIRONMENTS
    assert client.most(client.reads, "batch") < 0.5 * READS_PER_SECOND


async def run_job(client: CapacityTable) -> None:
    stores = Stores(cast("Any", None), DynamoTable(client, "records"), now)
    await stores.table.put("batch", JOB.id, RUNNING, None)
    shards = iter(range(SHARDS))
    async with asyncio.TaskGroup() as group:
        polling = group.create_task(poll(stores))
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(work(stores, shards))
        polling.cancel()
    total = await stores.progress(JOB).total()
    assert total.lines == SHARDS * LINES
    assert total.causes == dict.fromkeys(CAUSES, SHARDS)


async def work(stores: Stores, shards: Any) -> None:
    """A place of the state machine's map: one worker after another, each with a shard."""
    for shard in shards:
        progress = stores.progress(JOB, activity=ActivityTracker(now, 100, 1))
        progress.begin_shard(shard, totals(len(CAUSES), CAUSES))
        first, interval = sync_times(shard, WORKERS, capped=False)
        seconds = 15 + shard % 11
        end, pause, left = now() + seconds, first, LINES - len(CAUSES)
        while (pause := min(pause, end - now())) > 0:
            await asyncio.sleep(pause)
            lines = min(left, round(LINES * pause / seconds))
            progress.settle(shard, 0, totals(lines))
            left, pause = left - lines, interval
            await progress.sync()
        progress.settle(shard, 0, totals(left))
        progress.complete_shard(shard)
        await progress.close()


async def poll(stores: Stores) -> None:
    """A client that asks for the batch twice a second."""
    service = AWSBatchService(stores, cast("Any", None))
    while True:
        await service.totals(JOB)
        await asyncio.sleep(0.5)
