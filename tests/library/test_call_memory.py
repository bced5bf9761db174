"""What one of many calls in flight takes in Python, beside its HTTP client."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import httpx2

import fanout
from fanout.concurrency.garbage import CONTAINERS_OF_CALL
from tests.library.ways import HI

CALLS = 200

MOST = 7_000
"""Bytes of a call; with Python 3.11 it takes 6,550."""

SOURCE = str(Path(fanout.__file__).parent / "*")


class _Waiting(httpx2.AsyncBaseTransport):
    """Responds to no call; `measure` is called when all are in flight."""

    def __init__(self, measure: Callable[[], None]) -> None:
        self._measure = measure
        self._calls = 0
        self._is_measured = asyncio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._calls += 1
        if self._calls == CALLS:
            self._measure()
            self._is_measured.set()
        await self._is_measured.wait()
        raise httpx2.ConnectError("measured", request=request)


def in_flight(measure: Callable[[], None]) -> None:
    """Send as many calls at once, and measure when the last one is sent."""

    async def main() -> None:
        async with httpx2.AsyncClient(transport=_Waiting(measure)) as client:
            await fanout.abatch_completion(
                "openai/m",
                [HI] * CALLS,
                max_workers=CALLS,
                http_client=client,
                api_key="k",
                num_retries=0,
            )

    asyncio.run(main())


def test_a_call_in_flight_takes_few_kilobytes() -> None:
    found: list[float] = []

    def measure() -> None:
        taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, SOURCE)])
        found.append(sum(trace.size for trace in taken.traces) / CALLS)

    in_flight(lambda: None)  # imports what a call needs
    tracemalloc.start(1)
    try:
        in_flight(measure)
    finally:
        tracemalloc.stop()
    assert found[0] < MOST


def test_a_call_in_flight_has_no_more_containers_than_the_collector_expects() -> None:
    found: list[float] = []
    in_flight(lambda: None)
    before = len(gc.get_objects())
    in_flight(lambda: found.append((len(gc.get_objects()) - before) / CALLS))
    assert 0 < found[0] < CONTAINERS_OF_CALL
