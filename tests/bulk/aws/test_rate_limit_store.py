"""The pace that workers share through DynamoDB: rates kept, few writes, nothing lost for good."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.rate_limit_store import (
    CACHE_SECONDS,
    ITEM_TTL,
    MAX_WRITES,
    RateLimitStoreBusy,
)
from fanout.bulk.pacing.limits import Limits
from fanout.bulk.pacing.rate_limiter import RateLimiter, RateLimitUnavailable, Reservation
from tests.bulk.pacing.rate_limited_provider import MINUTES, RateLimitedProvider, run_workers
from tests.support.virtual_clock import now, run, run_threads_at_once

from .memory_table import MemoryTable, make_store

RATE = 10.0


def requests(amount: float = 1.0, rate: float = RATE, burst: float = 0.0) -> list[Reservation]:
    return [Reservation("requests", amount, rate, burst)]


class Crew:
    """Twenty workers' pacers over one table; their clocks differ by up to `skew` seconds."""

    def __init__(self, table: Any, limits: Limits, share: float = 1.0, skew: float = 0.0) -> None:
        self._table, self._limits, self._share, self._skew = table, limits, share, skew
        self._count = 0

    def __call__(self) -> RateLimiter:
        self._count += 1
        ahead = (self._count % 5 - 2) / 2 * self._skew
        made = make_store(self._table, self._count)
        return RateLimiter(made, lambda _: self._limits, lambda: now() + ahead, self._share)


def judge(provider: RateLimitedProvider, requests: float, tokens: float, minutes: float) -> None:
    used = max(provider.allowed / (requests * minutes), provider.tokens / (tokens * minutes))
    assert used > 0.9
    assert provider.refused / (provider.allowed + provider.refused) < 0.01


@pytest.mark.parametrize(
    ("tokens", "estimate"), [(1_000_000, 150), (45_000, 150), (45_000, 300), (45_000, 75)]
)
@pytest.mark.parametrize("skew", [0.0, 0.5])
def test_twenty_workers_use_over_nine_tenths_and_are_refused_under_a_hundredth(
    tokens: int, estimate: int, skew: float
) -> None:
    provider, chance, table = RateLimitedProvider(600, tokens), random.Random(2), MemoryTable()  # noqa: S311
    crew = Crew(table, Limits(600, tokens), skew=skew)
    run(run_workers(provider, crew, lambda: chance.randint(50, 250), estimate))
    judge(provider, 600, tokens, MINUTES)
    assert table.writes < 60 * 60 * MINUTES


def test_so_they_do_on_dynamodb(table: DynamoTable) -> None:
    provider, chance = RateLimitedProvider(600, 45_000), random.Random(2)  # noqa: S311
    crew = Crew(table, Limits(600, 45_000))
    run_threads_at_once(
        run_workers(provider, crew, lambda: chance.randint(50, 250), 150, minutes=0.5), 0.004
    )
    judge(provider, 600, 45_000, 0.5)


def test_a_share_is_left_to_callers_who_wait() -> None:
    provider = RateLimitedProvider(600, 1_000_000)
    run(run_workers(provider, Crew(MemoryTable(), Limits(600), 0.5), lambda: 1, 1))
    assert 0.9 * 300 * MINUTES < provider.allowed <= 300 * (MINUTES + 1)
    assert provider.refused == 0


@pytest.mark.parametrize(("requests", "each"), [(60_000, 60), (6_000, 20)])
def test_a_fast_model_is_written_about_once_a_second_by_each_worker(
    requests: int, each: int
) -> None:
    minutes, provider, table = 0.5, RateLimitedProvider(requests, 10**9), MemoryTable()
    crew = Crew(table, Limits(requests))
    run(run_workers(provider, crew, lambda: 1, 1, minutes=minutes, each=each))
    assert provider.allowed > 0.9 * requests * minutes
    assert provider.refused == 0
    assert table.writes < 100 * 60 * minutes


def test_a_turn_that_is_given_back_lengthens_the_lease_and_is_everybodys_after_a_flush(
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


def test_a_worker_that_dies_takes_a_second_of_its_own_with_it(table: DynamoTable) -> None:
    async def main() -> None:
        dead, alive = make_store(table), make_store(table)
        clock = 100.0
        while clock < 103:
            clock = await dead.reserve("m", requests(), clock)
        assert await alive.reserve("m", requests(), clock) < clock + 2

    asyncio.run(main())


def test_a_lease_that_lies_idle_lapses(table: DynamoTable) -> None:
    async def main() -> None:
        idle, other = make_store(table), make_store(table)
        clock = 100.0
        for _ in range(18):  # more is leased by then
            clock = await idle.reserve("m", requests(), clock)
        starts = [await who.reserve("m", requests(), 200.0) for who in [idle, other] * 5]
        starts.sort()
        assert starts[0] == 200
        assert all(later - one > 0.999 / RATE for one, later in pairwise(starts))

    asyncio.run(main())


def test_a_pause_holds_everybody_who_leases_and_who_has_no_limits(table: DynamoTable) -> None:
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


def test_other_limits_make_another_lease(table: DynamoTable) -> None:
    async def main() -> None:
        mine = make_store(table)
        await mine.reserve("m", requests(), 100.0)
        start = await mine.reserve(
            "m", [*requests(rate=5.0), Reservation("tokens", 10, 1.0, 0)], 100.0
        )
        assert start == pytest.approx(100.1)
        assert await mine.reserve("m", requests(rate=5.0), 100.0) >= 100.3

    asyncio.run(main())


def test_the_record_of_a_model_that_nobody_asks_goes_after_a_day(table: DynamoTable) -> None:
    async def main() -> None:
        await make_store(table).reserve("m", requests(), 100.0)
        item = await table.item("pace", "m")
        assert item is not None
        assert int(item["ttl"]["N"]) == 100 + ITEM_TTL

    asyncio.run(main())


class Crowd(DynamoTable):
    """A table where somebody else is always faster."""

    tries = 0

    async def compare_and_swap(self, *args: Any, **more: Any) -> tuple[bool, bytes | None]:
        self.tries += 1
        return False, b'{"requests":1e9}'


def test_a_record_that_is_never_free_is_given_up_and_costs_no_line(table: DynamoTable) -> None:
    crowd = Crowd(table.client, table.name)
    pacer = RateLimiter(make_store(crowd), lambda _: Limits(600), now)

    async def main() -> None:
        with pytest.raises(RateLimitUnavailable) as raised:
            async with pacer.permit("m", 1):
                raise AssertionError("nobody has a turn")
        assert isinstance(raised.value.__cause__, RateLimitStoreBusy)

    run_threads_at_once(main(), 0.001)
    assert crowd.tries == MAX_WRITES


def test_an_emulator_that_does_not_tell_what_is_there_is_asked(table: DynamoTable) -> None:
    def hide(error: Any = None, parsed: Any = None, **_: Any) -> None:
        parsed.pop("Item", None)

    table.client.meta.events.register("after-call.dynamodb.PutItem", hide, unique_id="hide")

    async def main() -> None:
        await make_store(table).reserve("m", requests(), 100.0)
        assert await make_store(table).reserve("m", requests(), 100.0) == pytest.approx(100.1)

    asyncio.run(main())


def test_a_fault_of_dynamodb_is_the_workers(table: DynamoTable) -> None:
    gone: Callable[..., DynamoTable] = DynamoTable
    pacer = RateLimiter(make_store(gone(table.client, "no-such-table")), lambda _: Limits(600), now)

    async def main() -> None:
        with pytest.raises(RateLimitUnavailable) as raised:
            async with pacer.permit("m", 1):
                raise AssertionError("nobody has a turn")
        assert isinstance(raised.value.__cause__, ClientError)
        with pytest.raises(RateLimitUnavailable):
            await pacer.pause("m", 1.0)

    asyncio.run(main())
