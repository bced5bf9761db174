"""A job's account stays exact: what is spent is what the shards cost, and no lease is lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fanout.bulk.aws.budget_account import LEASE_TTL, Entry
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_progress import DynamoJobProgress
from fanout.bulk.aws.shard_items import is_shard, read_shard, shard_number
from fanout.bulk.totals import Totals
from fanout.wire import json

CAP = 1_000
WORKERS = 3
JOBS = itertools.count()


class FaultyClient:
    """A client of DynamoDB whose next call fails, `before` it is done or `after`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.fault: str | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        if name != "update_item":
            return method  # type: ignore[no-any-return]

        def call(**arguments: Any) -> Any:
            fault, self.fault = self.fault, None
            if fault == "before":
                raise ConnectionError(fault)
            done = method(**arguments)
            if fault == "after":
                raise ConnectionError(fault)
            return done

        return call


class Worker:
    """A worker of one shard; `results` are the costs of stored lines, by all its predecessors."""

    def __init__(self, progress: DynamoJobProgress, shard: int, results: list[int]) -> None:
        self.progress = progress
        self.shard = shard
        self.results = results
        self.reserved: list[int] = []

    async def begin(self) -> None:
        await self.progress.completed_totals(self.shard)
        stored = Totals(done=len(self.results), cost=sum(self.results))
        self.progress.begin_shard(self.shard, stored)

    def end_line(self, action: str, cost: int) -> None:
        """End a line in flight, with a result or without."""
        estimate = self.reserved.pop(0)
        if action == "release":
            self.progress.release(estimate)
            return
        self.results.append(cost)
        self.progress.settle(self.shard, estimate, Totals(done=1, cost=cost))


class Job:
    """A job with a cap, its workers, and what DynamoDB has of it."""

    def __init__(self, table: DynamoTable) -> None:
        self.client = FaultyClient(table.client)
        self.table = DynamoTable(self.client, table.name)
        self.name = f"j{next(JOBS)}"
        self.time = 1_000.0
        self.workers: list[Worker] = []
        self.entries: list[Entry] = []

    def progress(self) -> DynamoJobProgress:
        return DynamoJobProgress(
            self.table, self.name, expires_at=1e9, now=lambda: self.time, max_cost=CAP
        )

    async def start(self) -> None:
        await self.table.put("batch", self.name, b'{"status": "in_progress"}', None)
        self.workers = [Worker(self.progress(), shard, []) for shard in range(WORKERS)]
        for worker in self.workers:
            await worker.begin()

    async def do(self, index: int, action: str, amount: int) -> None:
        worker = self.workers[index]
        match action:
            case "reserve":
                if worker.progress.reserve(amount) is None:
                    worker.reserved.append(amount)
            case "settle" | "release" if worker.reserved:
                worker.end_line(action, amount)
            case "sync":
                await worker.progress.sync()
            case "sync all":
                async with asyncio.TaskGroup() as group:
                    for one in self.workers:
                        group.create_task(one.progress.sync())
            case "before" | "after":
                self.client.fault = action
                with contextlib.suppress(ConnectionError):
                    await worker.progress.sync()
                self.client.fault = None
            case "late":
                self.time += LEASE_TTL + 1
            case "kill" | "kill and lose":
                await self.replace(index, lost=action == "kill and lose")
            case _:
                pass  # nothing is in flight

    async def replace(self, index: int, *, lost: bool) -> None:
        """Kill a worker, whose last result may be `lost`; another one takes its shard."""
        killed = self.workers[index]
        if lost:
            del killed.results[-1:]
        worker = self.workers[index] = Worker(self.progress(), killed.shard, killed.results)
        await worker.begin()

    async def check(self) -> tuple[int, int]:
        """Compare the account with the shards and leases; what is spent and committed."""
        items = [item async for item in self.table.items(f"counts#{self.name}")]
        account = next((item for item in items if item["id"]["S"] == "budget"), None)
        if account is None:
            return 0, 0
        costs = {
            shard_number(item): read_shard(item).totals.cost for item in items if is_shard(item)
        }
        workers = [json.decode(one["B"], type=Entry) for one in account["workers"]["M"].values()]
        for worker in workers:
            costs |= worker.shards
        spent, committed = int(account["spent"]["N"]), int(account["committed"]["N"])
        assert spent == sum(costs.values())
        assert committed == spent + sum(worker.amount for worker in workers)
        self.entries = workers
        return spent, committed

    async def end(self) -> None:
        """Kill all workers; the last ones end the job after the leases' lifetime."""
        for index in range(WORKERS):
            await self.do(index, "kill", 0)
        self.time += LEASE_TTL + 1
        for worker in self.workers:
            worker.progress.complete_shard(worker.shard)
            await worker.progress.close()
        results = [cost for worker in self.workers for cost in worker.results]
        assert await self.check() == (sum(results), sum(results))
        assert self.entries == []
        assert (await self.progress().total()).cost == sum(results)


ACTIONS = (
    *("reserve", "reserve", "reserve", "settle", "settle", "release", "sync", "sync", "sync all"),
    *("before", "after", "late", "kill", "kill and lose"),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, WORKERS - 1),
        st.sampled_from(ACTIONS),
        st.integers(0, 30) | st.integers(0, CAP * 2),
    ),
    max_size=30,
)


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_the_account_is_exact_after_any_order_of_events_and_ends_without_a_lease(
    table: DynamoTable, steps: list[tuple[int, str, int]]
) -> None:
    async def main() -> None:
        job = Job(table)
        await job.start()
        for step in steps:
            await job.do(*step)
            await job.check()
        await job.end()

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_cost_counts_once_although_dynamodbs_response_is_lost(
    table: DynamoTable, fault: str
) -> None:
    async def main() -> None:
        job = Job(table)
        await job.start()
        await job.do(0, "reserve", 0)
        await job.do(0, "settle", 300)
        await job.do(0, fault, 0)
        await job.do(0, "sync", 0)
        assert await job.check() == (300, 300)

    asyncio.run(main())


def test_a_worker_that_was_only_slow_charges_what_it_spent_after_its_lease_was_returned(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        job = Job(table)
        await job.start()
        assert job.workers[0].progress.reserve(900) == "wait"
        await job.do(0, "sync", 0)
        await job.do(0, "reserve", 900)
        assert await job.check() == (0, 900)
        await job.do(0, "late", 0)
        await job.workers[1].progress.close()
        assert await job.check() == (0, 0)
        await job.do(0, "settle", 800)
        await job.do(0, "sync", 0)
        assert await job.check() == (800, 800)

    asyncio.run(main())


def test_a_cap_set_later_counts_what_was_spent_without_one(table: DynamoTable) -> None:
    async def main() -> None:
        job = Job(table)
        await job.table.put("batch", job.name, b'{"status": "in_progress"}', None)
        free = DynamoJobProgress(job.table, job.name, expires_at=1e9, now=lambda: job.time)
        free.begin_shard(0, Totals(done=2, cost=CAP))
        free.complete_shard(0)
        await free.close()
        capped = job.progress()
        await capped.sync()
        assert capped.reserve(1) == "capped"

    asyncio.run(main())
