"""Twenty workers share a limit: they use nearly all of it and rarely get a 429; in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fanout.bulk.local.rate_limit_store import SQLiteRateLimitStore
from fanout.bulk.local.sqlite import Database
from fanout.bulk.pacing.limits import LEARNED_LIMITS_TTL, Limits
from fanout.bulk.pacing.ramp import PROBE_TIMEOUT
from fanout.bulk.pacing.rate_limit_state import MemoryRateLimitStore, RateLimitStore
from fanout.bulk.pacing.rate_limiter import RateLimiter
from fanout.concurrency import map_all
from tests.bulk.aws.memory_table import MemoryTable, make_store
from tests.bulk.pacing.rate_limited_provider import (
    MINUTES,
    OPENAI_HEADERS,
    RateLimitedProvider,
    check_learned_limits,
    run_workers,
)
from tests.support.virtual_clock import now, run, run_threads_at_once


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("tokens", "estimate"), [(1_000_000, 150), (45_000, 150), (45_000, 300), (45_000, 75)]
)
def test_twenty_workers_use_over_90_percent_and_get_a_429_for_under_1_percent(
    tmp_path: Path, kind: str, tokens: int, estimate: int
) -> None:
    provider, chance = RateLimitedProvider(600, tokens), random.Random(1)  # noqa: S311
    stores: dict[str, Callable[[], RateLimitStore]] = {
        "memory": MemoryRateLimitStore,
        "sqlite": lambda: SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")),
    }
    store = stores[kind]()
    limits = Limits(600, tokens)

    async def main() -> None:
        await run_workers(
            provider,
            lambda: RateLimiter(store, lambda _: limits, now),
            lambda: chance.randint(50, 250),
            estimate,
        )

    run_threads_at_once(main(), 0.0)
    used = max(provider.allowed / (600 * MINUTES), provider.tokens / (tokens * MINUTES))
    assert used > 0.9
    assert provider.refused / (provider.allowed + provider.refused) < 0.01


def test_jobs_use_only_their_share_of_a_limit() -> None:
    provider = RateLimitedProvider(600, 1_000_000)
    store = MemoryRateLimitStore()
    limits = Limits(600)
    run(run_workers(provider, lambda: RateLimiter(store, lambda _: limits, now, 0.5), lambda: 1, 1))
    assert 0.9 * 300 * MINUTES < provider.allowed <= 300 * (MINUTES + 1)
    assert provider.refused == 0


def test_a_model_without_limits_never_waits() -> None:
    async def main() -> None:
        limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        for _ in range(1_000):
            async with limiter.permit("m", 1_000_000):
                pass
        assert now() == 0

    run(main())


def test_a_429_pauses_all_workers_until_its_retry_after_is_over() -> None:
    async def main() -> None:
        store = MemoryRateLimitStore()
        one, other = (RateLimiter(store, lambda _: Limits(600), now) for _ in range(2))
        await one.pause("m", 7.5)
        await one.pause("m", None)
        async with other.permit("m", 1):
            assert now() == 7.5

    run(main())


def test_a_pause_without_limits_reaches_other_processes_within_a_second(
    tmp_path: Path,
) -> None:
    one, other = (SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")) for _ in range(2))

    async def main() -> None:
        assert await other.reserve("m", [], 100.0) == 100.0
        await one.pause("m", 107.5)
        assert await one.reserve("m", [], 100.0) == 107.5
        assert await other.reserve("m", [], 100.9) == 100.9
        assert await other.reserve("m", [], 101.0) == 107.5
        assert await other.reserve("m", [], 109.0) == 109.0

    run_threads_at_once(main(), 0.0)


def test_a_reservation_is_refunded_when_its_wait_is_cancelled() -> None:
    async def main() -> None:
        limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(60), now)
        for _ in range(3):  # the burst is used up
            await _use_permit(limiter)
        start = now()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), limiter.permit("m", 1):
                pass
        await _use_permit(limiter)
        assert now() - start < 1.1

    run(main())


async def _use_permit(limiter: RateLimiter) -> None:
    async with limiter.permit("m", 1):
        pass


def test_limits_are_learned_from_headers_if_none_are_configured() -> None:
    async def main() -> None:
        limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        limiter.record_headers("m", "m#0", OPENAI_HEADERS)
        limiter.record_headers("m", "m#0", {})
        assert await limiter.limits("m") == Limits(60)
        for _ in range(31):
            await _use_permit(limiter)
        assert 28 < now() < 32

    run(main())


def test_the_learned_limits_of_a_models_deployments_add_up(tmp_path: Path) -> None:
    async def main() -> None:
        stores: list[RateLimitStore] = [
            MemoryRateLimitStore(),
            SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")),
            make_store(MemoryTable()),
        ]
        for store in stores:
            store.record_limits("m", "m#0", Limits(60, 9_000), 100.0)
            store.record_limits("m", "m#1", Limits(None, 1_000), 100.0)
            store.record_limits("m", "m#2", Limits(), 100.0)
            store.record_limits("m", "m#1", Limits(40), 200.0)
            assert await store.learned_limits("m", 200.0) == Limits(100, 10_000)
            assert await store.learned_limits("m", 150.0 + LEARNED_LIMITS_TTL) == Limits(40, 1_000)

    run_threads_at_once(main(), 0.0)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_worker_without_a_response_uses_the_limits_that_another_one_learned(
    tmp_path: Path, kind: str
) -> None:
    memory = MemoryRateLimitStore()
    stores: dict[str, Callable[[], RateLimitStore]] = {
        "memory": lambda: memory,
        "sqlite": lambda: SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")),
    }

    async def main() -> None:
        one, fresh = (RateLimiter(stores[kind](), lambda _: Limits(), now) for _ in range(2))
        configured = RateLimiter(stores[kind](), lambda _: Limits(120), now)
        one.record_headers("m", "m#0", OPENAI_HEADERS)
        assert await fresh.limits("m") == Limits(60)
        assert await configured.limits("m") == Limits(120)
        for _ in range(31):
            await _use_permit(fresh)
        assert 28 < now() < 32

    run_threads_at_once(main(), 0.0)


def test_learned_limits_reach_other_processes_within_a_second_and_expire_after_a_day(
    tmp_path: Path,
) -> None:
    one, other = (SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")) for _ in range(2))

    async def main() -> None:
        assert await other.learned_limits("m", 100.0) is None
        one.record_limits("m", "m#0", Limits(60), 100.0)
        one.record_limits("m", "m#0", Limits(None, 9_000), 100.1)
        assert await one.learned_limits("m", 100.1) == Limits(60, 9_000)
        assert await other.learned_limits("m", 100.9) is None
        assert await other.learned_limits("m", 101.0) == Limits(60, 9_000)
        assert await other.learned_limits("m", 100.1 + LEARNED_LIMITS_TTL) == Limits(60, 9_000)
        late = 101.5 + LEARNED_LIMITS_TTL
        assert await other.learned_limits("m", late) is None
        other.record_limits("m", "m#0", Limits(None, 8_000), late)
        assert await one.learned_limits("m", late) == Limits(None, 8_000)

    run_threads_at_once(main(), 0.0)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("tokens", "each"), [(1_000_000, 10), (45_000, 10), (1_000_000, 50), (45_000, 50)]
)
def test_workers_use_over_90_percent_of_learned_limits_and_get_few_429s(
    tmp_path: Path, kind: str, tokens: int, each: int
) -> None:
    memory = MemoryRateLimitStore()
    stores: dict[str, Callable[[], RateLimitStore]] = {
        "memory": lambda: memory,
        "sqlite": lambda: SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")),
    }
    check_learned_limits(tokens, each, stores[kind])


async def _send(
    limiter: RateLimiter, started: list[float], seconds: float, *, succeeds: bool = True
) -> None:
    async with limiter.permit("m", 1):
        started.append(now())
        await asyncio.sleep(seconds)
        if not succeeds:
            raise ConnectionError
        limiter.record_headers("m", "m#0", {})


@pytest.mark.parametrize("succeeds", [True, False])
def test_one_line_is_sent_first_if_a_models_limits_are_unknown(*, succeeds: bool) -> None:
    started: list[float] = []

    async def main() -> None:
        limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        send = partial(_send, limiter, started, succeeds=succeeds)
        await map_all(send, [2.0] * 50, limit=50)

    run(main())
    assert started[:3] == [0.0, 2.0, 2.0], "one, then a few with each response and second"
    for begin in (2.0, 4.0, 6.0):
        assert sum(begin <= at < begin + 1 for at in started) <= 2 * 1.6 ** (begin - 1)
    assert started[-1] < 12.0


def test_the_other_lines_wait_for_the_first_one_only_until_the_probe_timeout() -> None:
    started: list[float] = []

    async def main() -> None:
        limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        await map_all(partial(_send, limiter, started), [60.0] * 50, limit=50)

    run(main())
    assert started[:2] == [0.0, PROBE_TIMEOUT]
    assert started[-1] < PROBE_TIMEOUT + 10


def test_all_lines_are_sent_at_once_if_another_worker_had_a_response(tmp_path: Path) -> None:
    started: list[float] = []

    async def main() -> None:
        database = Database(tmp_path / "jobs.sqlite")
        one, other = (
            RateLimiter(SQLiteRateLimitStore(database), lambda _: Limits(), now) for _ in range(2)
        )
        one.record_headers("m", "m#0", {})
        await map_all(partial(_send, other, started), [2.0] * 50, limit=50)

    run_threads_at_once(main(), 0.0)
    assert started == [0.0] * 50


def test_the_wait_for_the_first_line_can_be_cancelled() -> None:
    async def main() -> None:
        limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        async with limiter.permit("m", 1):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5), limiter.permit("m", 1):
                    raise AssertionError("it may not be sent yet")

    run(main())


def test_lines_that_wait_for_a_pause_use_limits_that_are_learned_meanwhile() -> None:
    async def main() -> None:
        limiter = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        await limiter.pause("m", 10.0)
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(_use_permit(limiter))
            await asyncio.sleep(5)
            limiter.record_headers("m", "m#0", OPENAI_HEADERS)
        assert 10 + 17 < now() < 10 + 22
        await _use_permit(limiter)

    run(main())
