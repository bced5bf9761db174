"""A thousand workers that ask for slots stay within DynamoDB's limits of a partition key."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.worker_slots import GROUP, SlotRequest, WorkerSlots
from tests.support.virtual_clock import now, run_threads_at_once

from .capacity_table import (
    READS_PER_SECOND,
    WRITES_PER_SECOND,
    CapacityTable,
    Item,
)

SECONDS = 6


class PlacesTable(CapacityTable):
    """The table with the one condition of a slot: it is free, or its worker's time is over."""

    def put_item(self, *, Item: Item, **arguments: Any) -> dict[str, Any]:  # noqa: N803 -- boto3's
        old = self.get_item(Key=Item).get("Item")
        if "ConditionExpression" in arguments and old is not None:
            at = float(arguments["ExpressionAttributeValues"][":now"]["N"])
            if float(old["valid_until"]["N"]) >= at:
                self.writes[Item["kind"]["S"], int(now())] += 1
                raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem")
        return super().put_item(Item=Item, **arguments)


class Stack:
    """Jobs whose workers all start at the same moment, and one after another from then on."""

    def __init__(self, slots: int, shard_seconds: float, end: float = SECONDS) -> None:
        self.table = PlacesTable()
        self._slots = WorkerSlots(DynamoTable(self.table, "records"), lambda: 1e9 + now())
        self._limit = slots
        self._shard_seconds = shard_seconds
        self._end = end
        self._shards = itertools.count()
        self.running = self.most = 0
        self.worked: dict[str, float] = {}

    async def run(self, jobs: dict[str, int]) -> None:
        random.seed(1)
        async with asyncio.TaskGroup() as group:
            for job, workers in jobs.items():
                for _ in range(workers):
                    group.create_task(self._child(job))

    async def _child(self, job: str) -> None:
        request = SlotRequest(job, next(self._shards))
        while now() < self._end:
            async with self._slots.slot(request, self._limit, 890) as wait:
                if not wait:
                    await self._work(job)
            await asyncio.sleep(wait)
            if wait:
                request = replace(request, waits=request.waits + 1)
            else:
                request = SlotRequest(job, next(self._shards))

    async def _work(self, job: str) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        began = now()
        await asyncio.sleep(self._shard_seconds * random.uniform(0.8, 1.2))  # noqa: S311
        self.worked[job] = self.worked.get(job, 0) + min(now(), self._end) - began
        self.running -= 1


@pytest.mark.parametrize(
    ("jobs", "slots", "shard_seconds"),
    [
        ({"a": 1_000}, 1_000, 4),
        ({"a": 500, "b": 500}, 500, 8),
    ],
)
def test_no_partition_key_gets_more_than_two_thirds_of_what_dynamodb_takes(
    jobs: dict[str, int], slots: int, shard_seconds: float
) -> None:
    stack = Stack(slots, shard_seconds)
    run_threads_at_once(stack.run(jobs), 0.004)

    workers = min(slots, sum(jobs.values()))
    assert 0.9 * workers <= stack.most <= slots
    assert sum(stack.worked.values()) > 0.9 * workers * SECONDS
    assert max(stack.table.reads.values()) < 0.6 * READS_PER_SECOND
    assert max(stack.table.writes.values()) < 0.5 * WRITES_PER_SECOND
    kinds = {kind for kind, _ in stack.table.writes}
    assert len(kinds) == slots / GROUP


def test_a_job_that_comes_later_gets_its_share_of_several_groups() -> None:
    """The first job holds all slots when the second one starts, and would take each free one."""

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(stack.run({"a": 3 * GROUP}))
            await asyncio.sleep(1)
            group.create_task(stack.run({"b": 2 * GROUP}))

    stack = Stack(3 * GROUP, 3, end=100)
    run_threads_at_once(main(), 0.004)
    assert stack.most == 3 * GROUP
    assert 0.35 < stack.worked["b"] / sum(stack.worked.values()) < 0.5
