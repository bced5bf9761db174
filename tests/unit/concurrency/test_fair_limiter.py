from __future__ import annotations

import asyncio

import pytest

from fanout.concurrency import FairLimiter, Share
from fanout.concurrency.fair_limiter import BURST, FEW
from tests.support.virtual_clock import now, run


async def hold(share: Share, seconds: float = 1.0) -> float:
    """Take a place for a while; when it was had."""
    async with share:
        had = now()
        await asyncio.sleep(seconds)
    return had


def test_one_big_share_gets_half_of_the_places() -> None:
    async def main() -> None:
        pool = FairLimiter(8)
        share = pool.share(100)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(share)) for _ in range(8)]
            await asyncio.sleep(0.5)
            assert (share.held, pool.free) == (4, 4)
        assert [task.result() for task in tasks] == [0.0] * 4 + [1.0] * 4
        assert (share.held, pool.free) == (0, 8)

    run(main())


def test_a_share_holds_no_more_than_its_own_limit() -> None:
    async def main() -> None:
        share = FairLimiter(100).share(2)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(share)) for _ in range(5)]
        assert [task.result() for task in tasks] == [0.0, 0.0, 1.0, 1.0, 2.0]

    run(main())


def test_a_small_one_finds_a_place_however_many_wait_before_it() -> None:
    async def main() -> None:
        pool = FairLimiter(9)
        big = [pool.share(100) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            for share in big:
                for _ in range(50):
                    group.create_task(hold(share))
            await asyncio.sleep(0.5)
            assert pool.free > 0
            assert await hold(pool.share(1), 0.1) == 0.5

    run(main())


def test_one_at_its_own_limit_is_in_nobodys_way() -> None:
    async def main() -> None:
        pool = FairLimiter(2)
        first, second = pool.share(1), pool.share(9)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(first, 5.0))
            group.create_task(hold(second, 1.0))
            await asyncio.sleep(0)
            group.create_task(hold(first))
            other = group.create_task(hold(second))
        assert other.result() == 1.0

    run(main())


def test_a_big_one_starts_little_by_little_and_lets_others_do_their_work() -> None:
    async def main() -> None:
        share = FairLimiter(1000).share(400)
        async with asyncio.TaskGroup() as group:
            for _ in range(400):
                group.create_task(hold(share))
            passes = 0
            while share.held < 400:
                before = share.held
                await asyncio.sleep(0)
                passes += 1
                assert share.held - before <= FEW + BURST
            assert passes > 100
        assert share.held == 0

    run(main())


def test_who_holds_least_is_next() -> None:
    async def main() -> None:
        pool = FairLimiter(2)
        first, second = pool.share(9), pool.share(9)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(first))
            group.create_task(hold(second, 2.0))
            await asyncio.sleep(0.5)
            late = group.create_task(hold(second))
            other = group.create_task(hold(pool.share(9)))
        assert (other.result(), late.result()) == (1.0, 2.0)

    run(main())


def test_a_place_whose_taker_has_left_goes_to_the_next() -> None:
    async def main() -> None:
        pool = FairLimiter(1)
        share = pool.share(9)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(share))
            await asyncio.sleep(0.5)
            gone = group.create_task(hold(share))
            heir = group.create_task(hold(share))
            await asyncio.sleep(0.1)
            gone.cancel()
        assert heir.result() == 1.0
        assert pool.free == 1

    run(main())


def test_a_place_handed_over_in_the_moment_of_leaving_is_not_lost() -> None:
    async def main() -> None:
        pool = FairLimiter(1)
        share = pool.share(9)
        async with asyncio.TaskGroup() as group:
            async with share:
                waiting = group.create_task(hold(share))
                await asyncio.sleep(0)
            waiting.cancel()  # it has the place by now, and does not know yet
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (pool.free, share.held) == (1, 0)

    run(main())
