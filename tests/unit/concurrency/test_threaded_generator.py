"""`ThreadedGenerator`: a blocking generator in a thread, read from an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextvars import ContextVar

import pytest

from fanout.concurrency.threaded_generator import ThreadedGenerator
from tests.support.patience import PATIENCE


class Steps:
    """A generator whose second step blocks until `go` is set."""

    def __init__(self) -> None:
        self.blocked = threading.Event()
        self.go = threading.Event()
        self.closed = threading.Event()

    def items(self) -> Generator[str, None, None]:
        try:
            yield threading.current_thread().name
            self.blocked.set()
            assert self.go.wait(PATIENCE)
            yield "second"
        finally:
            self.closed.set()


def test_items_come_in_order_from_another_thread_and_then_none() -> None:
    steps = Steps()
    steps.go.set()

    async def main() -> list[str | None]:
        thread = ThreadedGenerator(steps.items(), "reader")
        found = [await thread.next() for _ in range(4)]
        assert not thread.is_running
        thread.stop()
        return found

    assert asyncio.run(main()) == ["reader", "second", None, None]
    assert steps.closed.wait(PATIENCE)


def test_what_a_step_raises_is_raised_where_it_is_awaited() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise ValueError("second")

    async def main() -> None:
        thread = ThreadedGenerator(failing(), "reader")
        assert await thread.next() == 1
        with pytest.raises(ValueError, match="second"):
            await thread.next()
        assert await thread.next() is None
        thread.stop()

    asyncio.run(main())


def test_a_cancelled_reader_does_not_wait_and_the_generator_is_closed_after_its_step() -> None:
    steps = Steps()

    async def main() -> None:
        thread = ThreadedGenerator(steps.items(), "reader")
        await thread.next()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await thread.next()
        await asyncio.to_thread(steps.blocked.wait, PATIENCE)
        assert thread.is_running
        thread.stop()
        assert not steps.closed.is_set()
        steps.go.set()
        assert await asyncio.to_thread(steps.closed.wait, PATIENCE)
        assert not thread.is_running

    asyncio.run(main())


def test_a_step_that_is_not_wanted_any_more_is_not_begun() -> None:
    steps = Steps()

    async def main() -> None:
        thread = ThreadedGenerator(steps.items(), "reader")
        await thread.next()
        async with asyncio.TaskGroup() as group:
            for task in [group.create_task(thread.next()) for _ in range(2)]:
                group.create_task(cancel(task))
        thread.stop()
        steps.go.set()
        assert await asyncio.to_thread(steps.closed.wait, PATIENCE)

    async def cancel(task: asyncio.Task[str | None]) -> None:
        await asyncio.to_thread(steps.blocked.wait, PATIENCE)  # the first is in its step by now
        task.cancel()

    asyncio.run(main())


def test_a_loop_that_is_closed_meanwhile_is_no_error() -> None:
    steps = Steps()

    async def main() -> None:
        thread = ThreadedGenerator(steps.items(), "reader")
        await thread.next()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await thread.next()
        thread.stop()

    asyncio.run(main())
    steps.go.set()
    assert steps.closed.wait(PATIENCE)


def test_the_thread_has_the_context_of_its_reader() -> None:
    name: ContextVar[str] = ContextVar("name")

    def reading() -> Generator[str, None, None]:
        yield name.get()

    async def main() -> str | None:
        name.set("request-1")
        thread = ThreadedGenerator(reading(), "reader")
        found = await thread.next()
        thread.stop()
        return found

    assert asyncio.run(main()) == "request-1"
