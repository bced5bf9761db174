from __future__ import annotations

import asyncio

import pytest

from fanout.concurrency import FairLimiter, Share
from fanout.concurrency.fair_limiter import STARTS_PER_TICK, UNPACED_SLOTS
from fanout.errors import Busy
from tests.support.virtual_clock import now, run


async def hold(share: Share, seconds: float = 1.0) -> float:
    """Hold a slot for a while; returns the time at which it was granted."""
    async with share:
        granted_at = now()
        await asyncio.sleep(seconds)
    return granted_at


def test_one_big_share_gets_half_of_the_slots() -> None:
    async def main() -> None:
        limiter = FairLimiter(8)
        share = limiter.share(100)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(share)) for _ in range(8)]
            await asyncio.sleep(0.5)
            assert (share.held, limiter.free) == (4, 4)
        assert [task.result() for task in tasks] == [0.0] * 4 + [1.0] * 4
        assert (share.held, limiter.free) == (0, 8)

    run(main())


def test_a_share_holds_no_more_than_its_own_limit() -> None:
    async def main() -> None:
        share = FairLimiter(100).share(2)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hold(share)) for _ in range(5)]
        assert [task.result() for task in tasks] == [0.0, 0.0, 1.0, 1.0, 2.0]

    run(main())


def test_a_small_share_finds_a_slot_however_many_calls_of_others_wait() -> None:
    async def main() -> None:
        limiter = FairLimiter(9)
        big = [limiter.share(100) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            for share in big:
                for _ in range(50):
                    group.create_task(hold(share))
            await asyncio.sleep(0.5)
            assert limiter.free > 0
            assert await hold(limiter.share(1), 0.1) == 0.5

    run(main())


def test_a_share_at_its_own_limit_does_not_block_others() -> None:
    async def main() -> None:
        limiter = FairLimiter(2)
        first, second = limiter.share(1), limiter.share(9)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(first, 5.0))
            group.create_task(hold(second, 1.0))
            await asyncio.sleep(0)
            group.create_task(hold(first))
            other = group.create_task(hold(second))
        assert other.result() == 1.0

    run(main())


def test_a_big_share_starts_one_call_per_tick_so_that_other_tasks_run() -> None:
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
                assert share.held - before <= UNPACED_SLOTS + STARTS_PER_TICK
            assert passes > 100
        assert share.held == 0

    run(main())


def test_the_share_that_holds_the_fewest_slots_is_next() -> None:
    async def main() -> None:
        limiter = FairLimiter(2)
        first, second = limiter.share(9), limiter.share(9)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(first))
            group.create_task(hold(second, 2.0))
            await asyncio.sleep(0.5)
            late = group.create_task(hold(second))
            other = group.create_task(hold(limiter.share(9)))
        assert (other.result(), late.result()) == (1.0, 2.0)

    run(main())


def test_the_slot_of_a_cancelled_waiter_goes_to_the_next() -> None:
    async def main() -> None:
        limiter = FairLimiter(1)
        share = limiter.share(9)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(share))
            await asyncio.sleep(0.5)
            cancelled = group.create_task(hold(share))
            next_one = group.create_task(hold(share))
            await asyncio.sleep(0.1)
            cancelled.cancel()
        assert next_one.result() == 1.0
        assert limiter.free == 1

    run(main())


def test_a_slot_granted_at_the_moment_of_cancellation_is_not_lost() -> None:
    async def main() -> None:
        limiter = FairLimiter(1)
        share = limiter.share(9)
        async with asyncio.TaskGroup() as group:
            async with share:
                waiting = group.create_task(hold(share))
                await asyncio.sleep(0)
            waiting.cancel()  # it has the slot by now, but has not run yet
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (limiter.free, share.held) == (1, 0)

    run(main())


def test_a_key_leaves_a_quarter_free_and_less_than_half_while_another_waits() -> None:
    async def main() -> None:
        limiter = FairLimiter(8, divided=True)
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(hold(limiter.share(1, "a"), 9.0))
            await asyncio.sleep(0.1)
            assert limiter.free == 2
            for _ in range(4):
                group.create_task(hold(limiter.share(1, "b"), 2.0))
            await asyncio.sleep(0.1)
            assert limiter.free == 1
            assert await hold(limiter.share(1, "c"), 0.1) == 0.2
        assert limiter.free == 8

    run(main())


def test_a_free_slot_goes_to_the_key_that_holds_the_fewest() -> None:
    async def main() -> None:
        limiter = FairLimiter(2, divided=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(limiter.share(1, "a"), 5.0))
            group.create_task(hold(limiter.share(1, "c"), 1.0))
            await asyncio.sleep(0)
            first = group.create_task(hold(limiter.share(1, "a"), 1.0))
            await asyncio.sleep(0)
            second = group.create_task(hold(limiter.share(1, "b"), 1.0))
        assert (first.result(), second.result()) == (2.0, 1.0)

    run(main())


def test_a_share_without_a_first_slot_is_rejected_and_leaves_nothing_behind() -> None:
    async def main() -> None:
        limiter = FairLimiter(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(limiter.share(1), 5.0))
            await asyncio.sleep(0)
            share = limiter.share(1, "x", 1.0)
            for expected in (1.0, 1.0):  # its other calls do not wait again
                with pytest.raises(Busy):
                    await hold(share)
                assert now() == expected
            late = limiter.share(2, "x", 9.0)
            assert await hold(late) == 5.0
            assert await hold(late) == 6.0
        assert limiter.free == 1

    run(main())


def test_the_shares_of_a_job_count_as_one_and_leave_a_quarter_free() -> None:
    async def main() -> None:
        limiter = FairLimiter(16)
        async with asyncio.TaskGroup() as group:
            made = [group.create_task(hold(limiter.share(9, job="large"), 9.0)) for _ in range(20)]
            await asyncio.sleep(0.5)
            assert limiter.free == 4
            late = [group.create_task(hold(limiter.share(9, job="late"), 1.0)) for _ in range(9)]
            chat = group.create_task(hold(limiter.share(1), 1.0))
        assert [task.result() for task in late][:3] == [0.5] * 3
        assert chat.result() == 0.5
        assert [task.result() for task in made].count(0.0) == 12

    run(main())


def test_one_that_is_new_goes_before_the_last_that_got_a_slot_and_behind_the_others() -> None:
    async def main() -> None:
        limiter = FairLimiter(1)
        old = limiter.share(1)
        async with asyncio.TaskGroup() as group:
            first = [group.create_task(hold(old)) for _ in range(3)]
            await asyncio.sleep(0.5)
            new = [group.create_task(hold(limiter.share(1))) for _ in range(2)]
            await asyncio.sleep(1.0)
            newer = group.create_task(hold(limiter.share(1)))
        assert [task.result() for task in first] == [0.0, 3.0, 5.0]
        assert [task.result() for task in new] == [1.0, 2.0]
        assert newer.result() == 4.0

    run(main())


def test_of_equal_keys_the_one_that_got_a_slot_least_recently_is_next() -> None:
    async def main() -> None:
        limiter = FairLimiter(1)
        async with asyncio.TaskGroup() as group:
            busy = [group.create_task(hold(limiter.share(1, "a"))) for _ in range(5)]
            await asyncio.sleep(0.5)
            others = [group.create_task(hold(limiter.share(1, key))) for key in "bcb"]
        assert [task.result() for task in busy] == [0.0, 3.0, 5.0, 6.0, 7.0]
        assert [task.result() for task in others] == [1.0, 2.0, 4.0]

    run(main())


def test_a_call_that_was_cancelled_keeps_no_slots_from_another_key() -> None:
    async def main() -> None:
        limiter = FairLimiter(8, divided=True)
        async with asyncio.TaskGroup() as group:
            other = limiter.share(1, "other")
            waiting = [group.create_task(hold(other, 9.0)) for _ in range(2)][1]
            await asyncio.sleep(0)
            made = [group.create_task(hold(limiter.share(1, "key"), 9.0)) for _ in range(8)]
            await asyncio.sleep(1.0)
            waiting.cancel()
        assert [task.result() for task in made] == [0.0] * 4 + [1.0] * 2 + [9.0] * 2

    run(main())
