"""One timer limits many waits, and does what `asyncio.timeout` does for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from fanout.concurrency import RepeatedTimeout, with_deadline
from tests.support.virtual_clock import now, run


async def after(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def by_timeouts(waits: list[float], seconds: float | None, at: float | None) -> list[object]:
    """What `asyncio.timeout` and `timeout_at` do, and when."""
    found: list[object] = []
    for wait in waits:
        limit = asyncio.timeout(seconds) if at is None else asyncio.timeout_at(at)
        try:
            async with limit:
                found.append(await after(wait))
        except TimeoutError:
            found.append("late")
        found.append(now())
    return found


async def by_one_timer(waits: list[float], seconds: float | None, at: float | None) -> list[object]:
    limit, found = RepeatedTimeout(seconds, at=at), list[object]()
    for wait in waits:
        try:
            with limit:
                found.append(await after(wait))
        except TimeoutError:
            found.append("late")
        found.append(now())
    limit.close()
    return found


WAITS = [[1.0] * 5, [4.0, 4.0, 6.0, 1.0, 9.0], [0.0, 0.0, 6.0, 0.0], [5.5, 5.5], [4.9] * 4]


@pytest.mark.parametrize("waits", WAITS, ids=str)
@pytest.mark.parametrize(("seconds", "at"), [(5.0, None), (None, 9.0), (None, None), (0.5, None)])
def test_it_ends_the_same_waits_at_the_same_times_as_a_timeout_for_each(
    waits: list[float], seconds: float | None, at: float | None
) -> None:
    assert run(by_one_timer(waits, seconds, at)) == pytest.approx(
        run(by_timeouts(waits, seconds, at))
    )


def test_a_time_between_two_waits_counts_only_for_a_fixed_end() -> None:
    async def main() -> str:
        limit = RepeatedTimeout(5.0)
        with limit:
            await after(1.0)
        await asyncio.sleep(60.0)
        with limit:
            await after(4.0)
        fixed = RepeatedTimeout(at=now() + 5.0)
        with fixed:
            await after(1.0)
        await asyncio.sleep(60.0)
        with pytest.raises(TimeoutError), fixed:
            await after(1.0)
        return "done"

    assert run(main()) == "done"


def test_a_cancellation_from_outside_is_no_timeout() -> None:
    async def wait() -> None:
        with RepeatedTimeout(5.0):
            await after(60.0)

    async def main() -> None:
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        # In the moment of the timeout, too.
        task = asyncio.ensure_future(wait())
        asyncio.get_running_loop().call_later(5.0, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()

    run(main())


@pytest.mark.parametrize("ends", [lambda: "kept", lambda: 1 / 0], ids=["a result", "an error"])
def test_an_awaitable_that_ends_in_another_way_leaves_no_cancellation(
    ends: Callable[[], object],
) -> None:
    async def stubborn() -> object:
        with suppress(asyncio.CancelledError):
            await after(60.0)
        return ends()

    async def main() -> None:
        limit = RepeatedTimeout(5.0)
        with suppress(ZeroDivisionError), limit:
            assert await stubborn() == "kept"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        with limit:
            assert await after(1.0) == 1.0

    run(main())


def test_a_stream_of_many_items_sets_one_timer() -> None:
    async def items() -> AsyncIterator[int]:
        for number in range(100):
            await asyncio.sleep(0.01)
            yield number

    async def main() -> int:
        loop, timers = asyncio.get_running_loop(), 0
        call_at = loop.call_at

        def counted(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
            nonlocal timers
            timers += when > now() + 10
            return call_at(when, *rest, **more)

        loop.call_at = counted  # type: ignore[method-assign, assignment]
        found = [item async for item in with_deadline(items(), now() + 60.0, KeyError())]
        assert len(found) == 100
        return timers

    assert run(main()) == 1
