"""Requests and tokens a minute: used nearly whole, and hardly ever overdrawn, by twenty workers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.local.sqlite import Database, SQLiteRateLimitStore
from fanout.bulk.pacing.limits import LEARNED_LIMITS_TTL, Limits, parse_duration, read_limit
from fanout.bulk.pacing.rate_limiter import (
    PROBE_TIMEOUT,
    MemoryRateLimitStore,
    RateLimiter,
    RateLimitStore,
)
from fanout.concurrency import map_all
from tests.bulk.aws.test_book import Records, book
from tests.bulk.pacing.rate_limited_provider import (
    MINUTES,
    OPENAI_HEADERS,
    RateLimitedProvider,
    check_learned_limits,
    run_workers,
)
from tests.support.virtual_clock import now, run


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("tokens", "estimate"), [(1_000_000, 150), (45_000, 150), (45_000, 300), (45_000, 75)]
)
def test_twenty_workers_use_over_nine_tenths_and_are_refused_under_a_hundredth(
    tmp_path: Path, kept: str, tokens: int, estimate: int
) -> None:
    provider, chance = RateLimitedProvider(600, tokens), random.Random(1)  # noqa: S311
    books: dict[str, Callable[[], RateLimitStore]] = {
        "memory": MemoryRateLimitStore,
        "sqlite": lambda: SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")),
    }
    book = books[kept]()
    limits = Limits(600, tokens)

    async def main() -> None:
        await run_workers(
            provider,
            lambda: RateLimiter(book, lambda _: limits, now),
            lambda: chance.randint(50, 250),
            estimate,
        )

    run(main())
    used = max(provider.allowed / (600 * MINUTES), provider.tokens / (tokens * MINUTES))
    assert used > 0.9
    assert provider.refused / (provider.allowed + provider.refused) < 0.01


def test_a_share_is_left_to_others() -> None:
    provider = RateLimitedProvider(600, 1_000_000)
    book = MemoryRateLimitStore()
    limits = Limits(600)
    run(run_workers(provider, lambda: RateLimiter(book, lambda _: limits, now, 0.5), lambda: 1, 1))
    assert 0.9 * 300 * MINUTES < provider.allowed <= 300 * (MINUTES + 1)
    assert provider.refused == 0


def test_a_model_without_limits_waits_for_nothing() -> None:
    async def main() -> None:
        pacer = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        for _ in range(1_000):
            async with pacer.permit("m", 1_000_000):
                pass
        assert now() == 0

    run(main())


def test_a_refusal_stops_everybody_for_as_long_as_it_says() -> None:
    async def main() -> None:
        book = MemoryRateLimitStore()
        one, other = (RateLimiter(book, lambda _: Limits(600), now) for _ in range(2))
        await one.pause("m", 7.5)
        await one.pause("m", None)
        async with other.permit("m", 1):
            assert now() == 7.5

    run(main())


def test_a_pause_holds_models_without_limits_in_every_process_a_second_later(
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

    run(main())


def test_a_turn_that_nobody_waits_for_is_given_back() -> None:
    async def main() -> None:
        pacer = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(60), now)
        for _ in range(3):  # what may come at once is used up
            await _take(pacer)()
        start = now()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), pacer.permit("m", 1):
                pass
        await _take(pacer)()
        assert now() - start < 1.1

    run(main())


def _take(pacer: RateLimiter) -> Callable[[], Coroutine[Any, Any, None]]:
    async def take() -> None:
        async with pacer.permit("m", 1):
            pass

    return take


def test_limits_are_learned_where_the_config_says_nothing() -> None:
    async def main() -> None:
        pacer = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        pacer.record_headers("m", "m#0", OPENAI_HEADERS)
        pacer.record_headers("m", "m#0", {})
        assert await pacer.limits("m") == Limits(60)
        take = _take(pacer)
        for _ in range(31):
            await take()
        assert 28 < now() < 32

    run(main())


def test_the_limits_of_a_models_deployments_add_up(tmp_path: Path) -> None:
    async def main() -> None:
        books: list[RateLimitStore] = [
            MemoryRateLimitStore(),
            SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")),
            book(Records()),
        ]
        for each in books:
            each.record_limits("m", "m#0", Limits(60, 9_000), 100.0)
            each.record_limits("m", "m#1", Limits(None, 1_000), 100.0)
            each.record_limits("m", "m#2", Limits(), 100.0)
            each.record_limits("m", "m#1", Limits(40), 200.0)
            assert await each.learned_limits("m", 200.0) == Limits(100, 10_000)
            assert await each.learned_limits("m", 150.0 + LEARNED_LIMITS_TTL) == Limits(40, 1_000)

    run(main())


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
def test_a_worker_that_has_seen_no_answer_paces_by_what_another_learned(
    tmp_path: Path, kept: str
) -> None:
    memory = MemoryRateLimitStore()
    books: dict[str, Callable[[], RateLimitStore]] = {
        "memory": lambda: memory,
        "sqlite": lambda: SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")),
    }

    async def main() -> None:
        one, fresh = (RateLimiter(books[kept](), lambda _: Limits(), now) for _ in range(2))
        told = RateLimiter(books[kept](), lambda _: Limits(120), now)
        one.record_headers("m", "m#0", OPENAI_HEADERS)
        assert await fresh.limits("m") == Limits(60)
        assert await told.limits("m") == Limits(120)
        take = _take(fresh)
        for _ in range(31):
            await take()
        assert 28 < now() < 32

    run(main())


def test_what_another_process_learns_is_seen_a_second_later_and_forgotten_after_a_day(
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

    run(main())


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("tokens", "each"), [(1_000_000, 10), (45_000, 10), (1_000_000, 50), (45_000, 50)]
)
def test_limits_that_answers_tell_are_used_over_nine_tenths_and_hardly_exceeded(
    tmp_path: Path, kept: str, tokens: int, each: int
) -> None:
    memory = MemoryRateLimitStore()
    books: dict[str, Callable[[], RateLimitStore]] = {
        "memory": lambda: memory,
        "sqlite": lambda: SQLiteRateLimitStore(Database(tmp_path / "jobs.sqlite")),
    }
    check_learned_limits(tokens, each, books[kept])


async def _ask(
    pacer: RateLimiter, started: list[float], seconds: float, *, tells: bool = True
) -> None:
    async with pacer.permit("m", 1):
        started.append(now())
        await asyncio.sleep(seconds)
        if not tells:
            raise ConnectionError
        pacer.record_headers("m", "m#0", {})


@pytest.mark.parametrize("tells", [True, False])
def test_of_a_model_that_nobody_knows_one_line_is_asked_first(*, tells: bool) -> None:
    started: list[float] = []

    async def main() -> None:
        pacer = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        ask = partial(_ask, pacer, started, tells=tells)
        await map_all(ask, [2.0] * 50, limit=50)

    run(main())
    assert started == [0.0] + [2.0] * 49


def test_a_first_answer_that_takes_long_is_not_waited_for() -> None:
    started: list[float] = []

    async def main() -> None:
        pacer = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        await map_all(partial(_ask, pacer, started), [60.0] * 50, limit=50)

    run(main())
    assert started == [0.0] + [PROBE_TIMEOUT] * 49


def test_of_a_model_that_somebody_had_an_answer_of_all_are_asked_at_once(tmp_path: Path) -> None:
    started: list[float] = []

    async def main() -> None:
        database = Database(tmp_path / "jobs.sqlite")
        one, other = (
            RateLimiter(SQLiteRateLimitStore(database), lambda _: Limits(), now) for _ in range(2)
        )
        one.record_headers("m", "m#0", {})
        await map_all(partial(_ask, other, started), [2.0] * 50, limit=50)

    run(main())
    assert started == [0.0] * 50


def test_who_waits_for_the_first_answer_may_leave() -> None:
    async def main() -> None:
        pacer = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        async with pacer.permit("m", 1):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5), pacer.permit("m", 1):
                    raise AssertionError("it was not to be asked yet")

    run(main())


def test_lines_that_waited_for_a_pause_go_by_the_limits_that_were_learned_meanwhile() -> None:
    async def main() -> None:
        pacer = RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), now)
        await pacer.pause("m", 10.0)
        take = _take(pacer)
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(_take(pacer)())
            await asyncio.sleep(5)
            pacer.record_headers("m", "m#0", OPENAI_HEADERS)
        assert 10 + 17 < now() < 10 + 22
        await take()

    run(main())


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "minute"),
    [
        ("5000", "4999", "12ms", 5000),
        ("160000", "159000", "375ms", 160000),
        ("14400", "14370", "2m59.56s", 10),  # a day's
        ("100", "100", "0s", None),
        ("100", "50", "1s", None),  # neither a minute's nor a day's
        ("", "1", "1s", None),
        ("100", "x", "1s", None),
        ("100", "99", "soon", None),
    ],
)
def test_a_limit_is_read_of_its_headers(
    limit: str, remaining: str, reset: str, minute: float | None
) -> None:
    headers = {
        "x-ratelimit-limit-tokens": limit,
        "x-ratelimit-remaining-tokens": remaining,
        "x-ratelimit-reset-tokens": reset,
    }
    assert read_limit(headers, "tokens") == minute


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6m0s", 360.0), ("1h2m3.5s", 3723.5), ("20ms", 0.02), ("7", None), ("", None), ("1s!", None)],
)
def test_a_span_of_time_is_read_as_providers_write_it(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds
