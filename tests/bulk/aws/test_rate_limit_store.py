"""Rate limits shared through DynamoDB: they are kept, and each worker writes rarely."""

from __future__ import annotations

import asyncio
import math
import random
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.rate_limit_store import (
    CACHE_SECONDS,
    ITEM_TTL,
    KIND,
    MAX_WAIT,
    THROTTLED,
    RateLimitStoreBusy,
)
from fanout.bulk.pacing.estimated_limit import CALLS, CALLS_MADE, Estimate, read_estimate
from fanout.bulk.pacing.limits import Limits
from fanout.bulk.pacing.rate_limit_state import RateLimitUnavailable, Reservation
from fanout.bulk.pacing.rate_limiter import RateLimiter
from tests.bulk.pacing.rate_limited_provider import MINUTES, RateLimitedProvider, run_workers
from tests.support.virtual_clock import now, run, run_threads_at_once

from .memory_table import MemoryTable, make_store

RATE = 10.0


def requests(amount: float = 1.0, rate: float = RATE, burst: float = 0.0) -> list[Reservation]:
    return [Reservation("requests", amount, rate, burst)]


class Workers:
    """Makes the rate limiters of workers over one table, with clocks up to `skew` seconds apart."""

    def __init__(self, table: Any, limits: Limits, share: float = 1.0, skew: float = 0.0) -> None:
        self._table, self._limits, self._share, self._skew = table, limits, share, skew
        self._count = 0

    def __call__(self) -> RateLimiter:
        self._count += 1
        ahead = (self._count % 5 - 2) / 2 * self._skew
        made = make_store(self._table, self._count)
        return RateLimiter(made, lambda _: self._limits, lambda: now() + ahead, self._share)


def check_use(
    provider: RateLimitedProvider, requests: float, tokens: float, minutes: float
) -> None:
    used = max(provider.allowed / (requests * minutes), provider.tokens / (tokens * minutes))
    assert used > 0.9
    assert provider.refused / (provider.allowed + provider.refused) < 0.01


@pytest.mark.parametrize(
    ("tokens", "estimate"), [(1_000_000, 150), (45_000, 150), (45_000, 300), (45_000, 75)]
)
@pytest.mark.parametrize("skew", [0.0, 0.5])
def test_twenty_workers_use_over_90_percent_of_the_limit_and_under_1_percent_of_calls_are_rejected(
    tokens: int, estimate: int, skew: float
) -> None:
    provider, chance, table = RateLimitedProvider(600, tokens), random.Random(2), MemoryTable()  # noqa: S311
    workers = Workers(table, Limits(600, tokens), skew=skew)
    run(run_workers(provider, workers, lambda: chance.randint(50, 250), estimate))
    check_use(provider, 600, tokens, MINUTES)
    assert table.writes < 60 * 60 * MINUTES


def test_the_same_holds_on_dynamodb(table: DynamoTable) -> None:
    provider, chance = RateLimitedProvider(600, 45_000), random.Random(2)  # noqa: S311
    workers = Workers(table, Limits(600, 45_000))
    run_threads_at_once(
        run_workers(provider, workers, lambda: chance.randint(50, 250), 150, minutes=0.25, each=3),
        0.004,
    )
    check_use(provider, 600, 45_000, 0.25)


def test_a_share_of_the_limit_is_left_for_requests() -> None:
    provider = RateLimitedProvider(600, 1_000_000)
    run(run_workers(provider, Workers(MemoryTable(), Limits(600), 0.5), lambda: 1, 1))
    assert 0.9 * 300 * MINUTES < provider.allowed <= 300 * (MINUTES + 1)
    assert provider.refused == 0


@pytest.mark.parametrize(("requests", "each"), [(60_000, 60), (6_000, 20)])
def test_workers_write_a_fast_models_item_about_a_hundred_times_a_second(
    requests: int, each: int
) -> None:
    minutes, provider, table = 0.25, RateLimitedProvider(requests, 10**9), MemoryTable()
    workers = Workers(table, Limits(requests))
    run(run_workers(provider, workers, lambda: 1, 1, minutes=minutes, each=each))
    assert provider.allowed > 0.9 * requests * minutes
    assert provider.refused == 0
    assert table.writes < 150 * 60 * minutes


def test_a_refund_extends_the_lease_and_is_shared_after_a_flush(
    table: DynamoTable,
) -> None:
    async def main() -> None:
        one, other = make_store(table), make_store(table)
        for place in range(5):
            assert await one.reserve("m", requests(), 100.0) == pytest.approx(100 + place / RATE)
        await one.refund("m", requests(3.0)[0])
        await one.flush()
        assert await other.reserve("m", requests(), 100.0) == pytest.approx(100.2)
        await other.refund("m", requests(-10.0)[0])
        await other.flush()
        await other.flush()
        assert await one.reserve("m", requests(), 100.0) == pytest.approx(101.3)

    asyncio.run(main())


def test_a_killed_worker_delays_the_others_by_about_a_second(table: DynamoTable) -> None:
    async def main() -> None:
        dead, alive = make_store(table), make_store(table)
        clock = 100.0
        while clock < 103:
            clock = await dead.reserve("m", requests(), clock)
        assert await alive.reserve("m", requests(), clock) < clock + 2

    asyncio.run(main())


def test_a_new_estimate_is_written_before_the_next_lease_of_its_calls(table: DynamoTable) -> None:
    """DynamoDB rejects an update that writes an attribute twice."""
    calls = [Reservation(CALLS, 1.0, RATE, 0.0)]

    async def main() -> None:
        store = make_store(table)
        await store.reserve("m", calls, now())
        found = Estimate(60 * RATE, now() + 100.0, calls=5.0)
        store.note("m", found.restart, now())
        start = await store.reserve("m", calls, now())
        state = await make_store(table).state("m", now())
        assert read_estimate(state, now()) == found
        assert (start, state[CALLS_MADE]) == (found.at, 6.0)
        assert state[CALLS] == pytest.approx(found.at + 1 / RATE)

    run_threads_at_once(main(), 0.0)


def test_an_idle_lease_expires(table: DynamoTable) -> None:
    async def main() -> None:
        idle, other = make_store(table), make_store(table)
        clock = 100.0
        for _ in range(18):  # so that the lease has many permits
            clock = await idle.reserve("m", requests(), clock)
        starts = [await who.reserve("m", requests(), 200.0) for who in [idle, other] * 5]
        starts.sort()
        assert starts[0] == 200
        assert all(later - one > 0.999 / RATE for one, later in pairwise(starts))

    asyncio.run(main())


def test_a_pause_stops_workers_with_leases_and_workers_without_limits(table: DynamoTable) -> None:
    async def main() -> None:
        one, other, free = make_store(table), make_store(table), make_store(table)
        await one.reserve("m", requests(), 100.0)
        assert await free.reserve("m", [], 100.0) == 100.0
        await one.pause("m", 107.5)
        await one.pause("m", 103.0)
        assert await one.reserve("m", requests(), 100.0) == 107.5
        assert await other.reserve("m", requests(), 100.0) >= 107.5
        assert await free.reserve("m", [], 100.0 + CACHE_SECONDS) == 107.5
        assert await free.reserve("m", [], 120.0) == 120.0

    asyncio.run(main())


def test_a_change_of_limits_ends_the_lease(table: DynamoTable) -> None:
    async def main() -> None:
        mine = make_store(table)
        await mine.reserve("m", requests(), 100.0)
        start = await mine.reserve(
            "m", [*requests(rate=5.0), Reservation("tokens", 10, 1.0, 0)], 100.0
        )
        assert start == pytest.approx(100.1)
        assert await mine.reserve("m", requests(rate=5.0), 100.0) >= 100.3

    asyncio.run(main())


def test_the_item_of_an_unused_model_expires_after_a_day(table: DynamoTable) -> None:
    async def main() -> None:
        await make_store(table).reserve("m", requests(), 100.0)
        item = await table.item(KIND, "m")
        assert item is not None
        assert int(item["ttl"]["N"]) == 100 + ITEM_TTL

    asyncio.run(main())


class BrokenTable(MemoryTable):
    """A table whose writes fail with a code."""

    def __init__(self, code: str, times: float = math.inf) -> None:
        super().__init__()
        self._code, self._times = code, times

    async def update_numbers(self, *args: Any, **more: Any) -> tuple[bool, dict[str, float]]:
        if self.writes < self._times:
            self.writes += 1
            raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "UpdateItem")
        return await super().update_numbers(*args, **more)


@pytest.mark.parametrize("code", sorted(THROTTLED))
def test_a_throttled_item_is_tried_again_and_delays_a_line(code: str) -> None:
    limiter = RateLimiter(make_store(BrokenTable(code, times=8)), lambda _: Limits(600), now)

    async def main() -> None:
        async with limiter.permit("m", 1):
            assert 0.1 < now() < 5

    run(main())


def test_an_item_that_is_throttled_for_a_minute_is_given_up_and_fails_no_line() -> None:
    limiter = RateLimiter(
        make_store(BrokenTable("ThrottlingException")), lambda _: Limits(600), now
    )

    async def main() -> None:
        with pytest.raises(RateLimitUnavailable) as raised:
            async with limiter.permit("m", 1):
                raise AssertionError("there is no permit")
        assert isinstance(raised.value.__cause__, RateLimitStoreBusy)
        assert MAX_WAIT < now() < MAX_WAIT + 5

    run(main())


def test_the_item_is_read_if_a_failed_write_does_not_return_it(table: DynamoTable) -> None:
    def hide(error: Any = None, parsed: Any = None, **_: Any) -> None:
        parsed.pop("Item", None)

    table.client.meta.events.register("after-call.dynamodb.UpdateItem", hide, unique_id="hide")

    async def main() -> None:
        await make_store(table).reserve("m", requests(), 100.0)
        assert await make_store(table).reserve("m", requests(), 100.0) == pytest.approx(100.1)

    asyncio.run(main())


def test_an_error_of_dynamodb_makes_the_store_unavailable(table: DynamoTable) -> None:
    missing = DynamoTable(table.client, "no-such-table")
    limiter = RateLimiter(make_store(missing), lambda _: Limits(600), now)

    async def main() -> None:
        with pytest.raises(RateLimitUnavailable) as raised:
            async with limiter.permit("m", 1):
                raise AssertionError("there is no permit")
        assert isinstance(raised.value.__cause__, ClientError)
        with pytest.raises(RateLimitUnavailable):
            await limiter.pause("m", 1.0)

    asyncio.run(main())
