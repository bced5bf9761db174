from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

import pytest

from fanout.concurrency import within
from tests.support.virtual_clock import run


async def after(seconds: float, value: str) -> str:
    if seconds:
        await asyncio.sleep(seconds / 2)
        await asyncio.sleep(seconds / 2)
    return value


@pytest.mark.parametrize("seconds", [0.0, 2.0, 4.9])
def test_a_result_within_the_limit_is_returned(seconds: float) -> None:
    assert run(within(5.0, after(seconds, "a"))) == "a"


def test_the_limit_ends_an_awaitable_that_waits_too_long() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await within(5.0, after(60.0, "a"))
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(5.0)


def test_the_limit_is_over_when_the_awaitable_has_ended() -> None:
    async def main() -> str:
        await within(1.0, after(0.5, "a"))
        await within(1.0, after(0.0, "a"))
        return await after(9.0, "b")

    assert run(main()) == "b"


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_an_error_of_the_awaitable_is_raised(seconds: float) -> None:
    async def fails() -> str:
        await after(seconds, "a")
        raise KeyError("x")

    with pytest.raises(KeyError):
        run(within(5.0, fails()))


def test_a_cancellation_reaches_the_awaitable_which_may_wait_again() -> None:
    ended: list[float] = []

    async def patient() -> None:
        clock = asyncio.get_running_loop().time
        try:
            await after(60.0, "a")
        finally:
            await after(1.0, "b")
            ended.append(clock())

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(within(50.0, patient()))
            await asyncio.sleep(2.0)
            task.cancel()
        assert task.cancelled()

    run(main())
    assert ended == [pytest.approx(3.0)]


def test_an_awaitable_that_ends_when_it_is_cancelled_gives_its_result() -> None:
    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await after(60.0, "a")
        return "kept"

    async def main() -> str:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(within(50.0, stubborn()))
            await asyncio.sleep(2.0)
            task.cancel()
        return task.result()

    assert run(main()) == "kept"


def test_a_future_and_an_own_awaitable_have_the_limit_too() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()
        done.set_result("done")
        later: asyncio.Future[str] = loop.create_future()
        loop.call_later(1.0, later.set_result, "later")
        never: Awaitable[str] = loop.create_future()
        with pytest.raises(TimeoutError):
            await within(1.0, never)
        return [await within(1.0, done), await within(2.0, later)]

    assert run(main()) == ["done", "later"]
