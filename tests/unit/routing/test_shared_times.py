"""Processes count the times and the budget of adaptive hedges together, in virtual time."""

from __future__ import annotations

import asyncio
import math
import random
import statistics
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from fanout.aws.credentials import AWSSigner
from fanout.aws.dynamodb import DynamoDB
from fanout.aws.hedge_counts import HedgeCounts
from fanout.bulk.local.hedge_counts import SQLiteHedgeCounts
from fanout.routing.first_token_times import COLD, FREE_HEDGES, SLOT, FirstTokenTimes
from fanout.routing.shared_times import INTERVAL, CountStore, SharedTimes
from fanout.transport.engine import EngineError
from tests.support.dynamodb_engine import ENV, DynamoDBEngine, requests_table
from tests.support.virtual_clock import now, run_threads_at_once

EPOCH = 1_795_953_600.0
TRUE_P95 = 0.45 * math.exp(0.6 * statistics.NormalDist().inv_cdf(0.95))


def clock() -> float:
    return EPOCH + now()


class Shared:
    """A process with its own connection to a store."""

    def __init__(self, store: CountStore, share: float = 0.1) -> None:
        self.reported: list[str] = []
        self.times = FirstTokenTimes(share, clock)
        self.sharing = SharedTimes(
            self.times, store, clock, lambda _, error: self.reported.append(str(error))
        )

    async def request(self, seconds: float) -> bool:
        """A request whose first content takes so long; whether it was hedged."""
        self.times.count_call()
        is_hedged = seconds > self.times.delay("m", 0)
        if is_hedged:
            await self.sharing.before_first_hedge()
            is_hedged = self.times.take()
        self.times.record("m", 0, seconds)
        await self.sharing.share_if_due()
        return is_hedged


Make = Callable[[], CountStore]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[dict[str, Make]]:
    """What makes another process's store, for both hosts; each is empty."""
    opened: list[SQLiteHedgeCounts] = []
    with requests_table() as client:

        def dynamodb() -> HedgeCounts:
            engine = DynamoDBEngine(client, lambda: 0.0)
            return HedgeCounts("requests", DynamoDB(ENV, engine, AWSSigner(ENV)))

        def sqlite() -> SQLiteHedgeCounts:
            opened.append(SQLiteHedgeCounts(tmp_path))
            return opened[-1]

        yield {"dynamodb": dynamodb, "sqlite": sqlite}
        for one in opened:
            one.close()


def each(stores: dict[str, Make], test: Callable[[Make], Coroutine[Any, Any, None]]) -> None:
    """Run the test with both hosts' stores."""
    for make in stores.values():
        run_threads_at_once(test(make), 0.0)


def test_a_process_knows_the_times_of_the_others(stores: dict[str, Make]) -> None:
    async def test(make: Make) -> None:
        rng = random.Random(1)  # noqa: S311 -- the same in each run
        workers = [Shared(make()) for _ in range(3)]
        for number in range(300):
            workers[number % 3].times.record("m", 0, 0.45 * math.exp(0.6 * rng.gauss(0, 1)))
        for worker in workers:
            await worker.sharing.share()
        new = Shared(make())
        assert new.times.delay("m", 0) == COLD
        await new.sharing.share_if_due()
        assert abs(new.times.delay("m", 0) / TRUE_P95 - 1) < 0.1
        assert new.times.delay("other", 0) == COLD
        assert new.reported == []

    each(stores, test)


def test_all_processes_together_keep_the_budget(stores: dict[str, Make]) -> None:
    async def test(make: Make) -> None:
        workers = [Shared(make(), 0.05) for _ in range(20)]
        extra = 0
        for _ in range(20):  # each call is slow, as in a brown-out: each would be hedged
            for worker in workers:
                extra += await worker.request(COLD + 1)
        assert FREE_HEDGES <= extra <= 0.05 * 400 + len(workers)
        late = Shared(make(), 0.05)
        assert not await late.request(COLD + 1)

    each(stores, test)


def test_times_leave_after_two_slots_and_the_budget_begins_again(stores: dict[str, Make]) -> None:

    async def test(make: Make) -> None:
        one, two = Shared(make(), 1e-12), Shared(make(), 1e-12)
        for _ in range(200):
            await one.request(0.1)
        started = [await one.request(COLD) for _ in range(FREE_HEDGES + 1)]
        assert started == [True] * FREE_HEDGES + [False]
        slow = one.times.delay("m", 0)
        await asyncio.sleep(SLOT + 1)
        for _ in range(200):
            await two.request(1.0)
        assert not await two.request(50.0)  # the hedges of the slot before count, too
        await asyncio.sleep(SLOT + 1)
        for _ in range(200):
            await one.request(1.0)
            await two.request(1.0)
        assert await two.request(50.0)
        for process in (one, two):
            await process.sharing.share()
            assert process.times.delay("m", 0) == pytest.approx(1.2, rel=0.1)
        assert slow == pytest.approx(0.12, rel=0.1)

    each(stores, test)


def test_writes_are_few(stores: dict[str, Make]) -> None:

    async def test() -> None:
        store = stores["dynamodb"]()
        assert isinstance(store, HedgeCounts)
        worker = Shared(store)
        for _ in range(1_000):  # in 100 seconds, of one model and size
            await worker.request(0.2)
            await asyncio.sleep(0.1)
        engine: Any = store._database._engine
        before = len(engine.operations)
        engine.seconds = lambda: 0.2
        await asyncio.sleep(INTERVAL)
        async with asyncio.TaskGroup() as group:
            for _ in range(64):  # they end at once
                group.create_task(worker.request(0.2))
        assert len(engine.operations) - before == 3
        # The budget, the model, and the model at this size; all are read and written at once.
        assert len(engine.operations) <= 3 * (100 / INTERVAL + 2)
        assert {name for _, name in engine.operations} == {"UpdateItem"}

    run_threads_at_once(test(), 0.0)


def test_without_the_table_a_process_goes_by_its_own_counts_and_adds_them_later(
    stores: dict[str, Make],
) -> None:

    async def test() -> None:
        store = stores["dynamodb"]()
        assert isinstance(store, HedgeCounts)
        engine: Any = store._database._engine
        engine.fault = EngineError("down")
        worker = Shared(store)
        for _ in range(60):
            await worker.request(0.5)
            await asyncio.sleep(1)
        assert len(worker.reported) == 1
        own = worker.times.delay("m", 0)
        assert own == pytest.approx(0.6, rel=0.15)
        engine.fault, engine.seconds = None, lambda: 60.0
        started = now()
        await worker.sharing.share()
        assert now() - started <= 1.0
        engine.seconds = lambda: 0.0
        await worker.sharing.share()
        new = Shared(store)
        assert new.times.delay("m", 0) == COLD
        await new.sharing.share()
        assert new.times.delay("m", 0) == own

    run_threads_at_once(test(), 0.0)
