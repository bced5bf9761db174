from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from types import FrameType

import pytest

from fanout.library.background_loop import BackgroundLoop, background_loop
from tests.support.patience import PATIENCE


async def doubled(items: AsyncIterator[int]) -> list[int]:
    return [2 * item async for item in items]


def test_there_is_one_background_loop_a_process_whichever_thread_asks_first() -> None:
    found: set[BackgroundLoop] = set()
    threads = [threading.Thread(target=lambda: found.add(background_loop())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {background_loop()}


def test_a_coroutine_runs_to_its_value_or_its_error() -> None:
    async def value() -> int:
        await asyncio.sleep(0)
        return 7

    async def error() -> None:
        raise ZeroDivisionError

    assert BackgroundLoop().run(value()) == 7
    with pytest.raises(ZeroDivisionError):
        BackgroundLoop().run(error())


def test_items_are_read_in_the_callers_thread_as_they_are_needed() -> None:
    threads = []

    def items() -> Iterator[int]:
        for number in range(3):
            threads.append(threading.current_thread())
            yield number

    assert BackgroundLoop().run_over(items(), doubled) == [0, 2, 4]
    assert threads == [threading.current_thread()] * 3


def test_an_error_of_the_items_is_the_coroutines_to_see() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("the source")

    async def forgiving(drawn: AsyncIterator[int]) -> str:
        try:
            async for _ in drawn:
                pass
        except ZeroDivisionError as error:
            return f"saw {error}"
        return "saw nothing"

    assert BackgroundLoop().run_over(items(), forgiving) == "saw the source"


def test_an_interrupt_cancels_the_coroutine_and_waits_for_it() -> None:
    ended = []

    def items() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    async def careful(drawn: AsyncIterator[int]) -> None:
        try:
            async for _ in drawn:
                pass
        finally:
            await asyncio.sleep(0.01)
            ended.append("closed")

    with pytest.raises(KeyboardInterrupt):
        BackgroundLoop().run_over(items(), careful)
    assert ended == ["closed"]


def test_an_interrupt_in_the_moment_of_the_response_is_raised_and_not_waited_out() -> None:
    """What the queue handed over is lost: Python sees to a signal between two instructions."""
    asked = threading.Event()

    async def value() -> int:
        await asyncio.to_thread(asked.wait, PATIENCE)
        return 7

    def interrupt(_frame: FrameType, event: str, function: object) -> None:
        if getattr(function, "__qualname__", "") == "SimpleQueue.get":
            asked.set()
            if event == "c_return":
                sys.setprofile(None)
                raise KeyboardInterrupt

    try:
        sys.setprofile(interrupt)
        with pytest.raises(KeyboardInterrupt):
            BackgroundLoop().run(value())
    finally:
        sys.setprofile(None)


def test_the_error_of_an_interrupted_coroutine_is_not_reported() -> None:
    def items() -> Iterator[int]:
        raise KeyboardInterrupt
        yield 1

    async def sore(drawn: AsyncIterator[int]) -> None:
        try:
            await anext(drawn)
        finally:
            raise ZeroDivisionError

    with pytest.raises(KeyboardInterrupt):
        BackgroundLoop().run_over(items(), sore)


def test_a_call_on_its_own_loop_is_an_error_and_not_a_wait_for_ever() -> None:
    ours = BackgroundLoop()

    async def inner() -> int:
        return 1

    async def outer() -> int:
        call = inner()
        try:
            return ours.run(call)
        finally:
            call.close()

    with pytest.raises(RuntimeError, match="would wait for ever"):
        ours.run(outer())


def test_what_is_left_runs_without_anybody_waiting_also_from_its_own_loop() -> None:
    ours, done = BackgroundLoop(), threading.Event()

    async def finish() -> None:
        done.set()

    async def leave() -> None:
        ours.leave(finish)

    ours.run(leave())
    assert done.wait(PATIENCE)
