"""The limits of a model that one worker learns are used by all workers of the stack."""

from __future__ import annotations

import asyncio

import pytest

from fanout.bulk.aws.rate_limit_store import CACHE_SECONDS
from fanout.bulk.pacing.limits import LEARNED_LIMITS_TTL, Limits
from fanout.bulk.pacing.rate_limiter import RateLimiter
from tests.bulk.pacing.rate_limited_provider import MINUTES, OPENAI_HEADERS, check_learned_limits
from tests.support.virtual_clock import now, run

from .memory_table import MemoryTable, make_store


@pytest.mark.parametrize(
    ("tokens", "each"), [(1_000_000, 10), (45_000, 10), (1_000_000, 50), (45_000, 50)]
)
def test_learned_limits_are_used_to_over_90_percent_and_hardly_exceeded(
    tokens: int, each: int
) -> None:
    table, seeds = MemoryTable(), iter(range(20))
    check_learned_limits(tokens, each, lambda: make_store(table, next(seeds)))
    assert table.writes < 60 * 60 * MINUTES


def test_a_worker_without_a_response_uses_the_limits_that_another_learned() -> None:
    table = MemoryTable()

    async def main() -> None:
        one, fresh = (RateLimiter(make_store(table), lambda _: Limits(), now) for _ in range(2))
        configured = RateLimiter(make_store(table), lambda _: Limits(120), now)
        one.record_headers("m", "m#0", OPENAI_HEADERS)
        one.record_headers("m", "m#0", OPENAI_HEADERS)
        assert table.writes == 0
        async with one.permit("m", 1):
            pass
        assert table.writes == 1, "they are written with the permit"
        one.record_headers("m", "m#0", OPENAI_HEADERS)
        await one.store.flush()
        assert table.writes == 1
        assert await fresh.limits("m") == Limits(60)
        assert await configured.limits("m") == Limits(120)
        for _ in range(31):
            async with fresh.permit("m", 1):
                pass
        assert 28 < now() < 33

    run(main())


def test_a_flush_writes_what_a_worker_learned_last() -> None:
    table = MemoryTable()

    async def main() -> None:
        one, other = make_store(table), make_store(table)
        assert await other.learned_limits("m", 100.0) is None
        one.record_limits("m", "m#0", Limits(60), 100.0)
        assert await one.learned_limits("m", 100.0) == Limits(60)
        await one.flush()
        assert await other.learned_limits("m", 100.0 + CACHE_SECONDS / 2) is None
        assert await other.learned_limits("m", 100.0 + CACHE_SECONDS) == Limits(60)
        assert await other.learned_limits("m", 101.0 + LEARNED_LIMITS_TTL) is None
        other.record_limits("m", "m#0", Limits(60), 101.0 + LEARNED_LIMITS_TTL)
        await other.flush()
        assert await one.learned_limits("m", 101.0 + LEARNED_LIMITS_TTL) == Limits(60)
        assert table.writes == 2

    run(main())


def test_one_worker_is_enough_to_learn_that_a_model_has_no_limits() -> None:
    table = MemoryTable()

    async def main() -> None:
        one, other = (RateLimiter(make_store(table), lambda _: Limits(), now) for _ in range(2))
        for _ in range(3):
            one.record_headers("m", "m#0", {})
        assert await other.store.learned_limits("m", now()) is None
        await one.store.flush()
        await asyncio.sleep(CACHE_SECONDS)
        assert await other.store.learned_limits("m", now()) == Limits()
        assert table.writes == 1

    run(main())


def test_many_429s_at_once_are_written_once() -> None:
    table = MemoryTable()

    async def main() -> None:
        storming = make_store(table)
        for part in range(10):
            await storming.pause("m", 107.5 + part / 100)
        assert table.writes == 1
        assert await make_store(table).reserve("m", [], 100.0) == 107.5

    run(main())
