"""`Deadline` ends a block as `asyncio.timeout_at` does; far deadlines share one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest

from fanout.concurrency import Deadline
from tests.support.virtual_clock import now, run

Limit = Callable[[float], AbstractAsyncContextManager[object]]


@asynccontextmanager
async def deadline(at: float) -> Any:
    with Deadline(at):
        yield


async def ends(limit: Limit, start: float, at: float, wait: float) -> tuple[object, float]:
    await asyncio.sleep(start)
    try:
        async with limit(at):
            await asyncio.sleep(wait)
    except TimeoutError:
        return "late", now()
    return "done", now()


TIMES = [0.0, 0.5, 4.0, 9.9, 10.0, 10.1, 19.5, 25.0, 600.0, 605.0]


@pytest.mark.parametrize("at", TIMES)
@pytest.mark.parametrize("start", [0.0, 3.0, 9.95, 15.0])
def test_many_blocks_end_when_they_would_with_asyncios_timeout(start: float, at: float) -> None:
    waits = [0.0, 0.3, 7.7, 12.3, 590.1, 700.0]

    async def main(limit: Limit) -> list[tuple[object, float]]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ends(limit, start, at, wait)) for wait in waits]
        return [task.result() for task in tasks]

    assert run(main(deadline)) == run(main(asyncio.timeout_at))


def test_a_deadline_may_be_infinite() -> None:
    async def main() -> float:
        with Deadline(float("inf")):
            await asyncio.sleep(1e6)
        return now()

    assert run(main()) == 1e6


@pytest.mark.parametrize("at", [5.0, 25.0])
def test_a_cancellation_from_outside_is_no_timeout(at: float) -> None:
    async def wait() -> None:
        with Deadline(at):
            await asyncio.sleep(60.0)

    async def main() -> None:
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run(main())


@pytest.mark.parametrize("at", [5.0, 25.0])
@pytest.mark.parametrize("last", [lambda: "kept", lambda: 1 / 0], ids=["a result", "an error"])
def test_a_block_that_ends_in_another_way_leaves_no_cancellation(
    at: float, last: Callable[[], object]
) -> None:
    async def main() -> None:
        with suppress(ZeroDivisionError), Deadline(at):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60.0)
            assert last() == "kept"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(1.0)
        assert now() == at + 1.0

    run(main())


@pytest.mark.parametrize("at", [5.0, 25.0])
def test_an_inner_deadline_is_the_inner_blocks(at: float) -> None:
    async def main() -> str:
        with Deadline(at + 5.0):
            with pytest.raises(TimeoutError), Deadline(at):
                await asyncio.sleep(60.0)
            assert now() == at
            with pytest.raises(TimeoutError), Deadline(at + 1.0), Deadline(at + 60.0):
                await asyncio.sleep(60.0)
        return "done"

    assert run(main()) == "done"


def test_a_thousand_blocks_set_one_timer_and_leave_none() -> None:
    async def main() -> None:
        loop, timers = asyncio.get_running_loop(), list[asyncio.TimerHandle]()
        call_at = loop.call_at

        def noted(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
            timers.append(call_at(when, *rest, **more))
            return timers[-1]

        done = asyncio.Event()

        async def wait(number: int) -> None:
            with Deadline(601.0 + number / 1000):
                await done.wait()

        async with asyncio.TaskGroup() as group:
            for number in range(1000):
                group.create_task(wait(number))
            loop.call_at = noted  # type: ignore[method-assign, assignment]
            await asyncio.sleep(0)
            assert len(timers) == 1
            done.set()
        assert timers[0].cancelled()

    run(main())


def test_each_loop_has_timers_of_its_own() -> None:
    async def late(at: float) -> float:
        with suppress(TimeoutError), Deadline(at):
            await asyncio.sleep(1e6)
        return now()

    async def main() -> float:
        at = asyncio.get_running_loop().time() // 10 * 10 + 1_005.0
        with Deadline(at):
            found = await asyncio.to_thread(run, late(at))
        return found - at

    assert asyncio.run(main()) == pytest.approx(0.0, abs=1e-5)
