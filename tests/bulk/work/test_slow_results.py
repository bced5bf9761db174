"""Results that are slow to store: a kill loses no more responses than there are calls in flight."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.activity import ActivityTracker
from fanout.bulk.store import ResultKeys
from fanout.bulk.totals import LineCost
from fanout.bulk.work.line_requests import make_line_sender
from fanout.bulk.work.spec import WorkResult
from fanout.bulk.work.worker import END_MARGIN
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from tests.bulk.local_jobs import CONFIG, EchoProvider, line
from tests.bulk.work.test_worker import CANCELLING, immediately
from tests.bulk.work.worker_harness import WorkerHarness
from tests.support.gateway_server import RecordingObserver
from tests.support.virtual_clock import run_threads_at_once

LINES, SLOTS = 60, 4
WRITE_SECONDS = 0.3


class SlowResults:
    """Results whose lines take `WRITE_SECONDS` to be stored."""

    is_slow, is_full = True, False
    paid_lines: tuple[bytes, ...] = ()

    def __init__(self) -> None:
        self.stored_lines: list[bytes] = []

    async def open(self, index: int) -> SlowResults:
        return self

    async def keys(self, index: int) -> ResultKeys:
        return ResultKeys([], [])

    async def stored(self) -> AsyncIterator[tuple[bool, bytes]]:
        for one in self.stored_lines:
            yield False, one

    async def check_room(self) -> None:
        pass

    async def put(self, line: bytes, *, failed: bool) -> None:
        await asyncio.sleep(WRITE_SECONDS)
        self.stored_lines.append(line)

    async def paid(self) -> AsyncIterator[bytes]:
        for one in self.paid_lines:
            yield one

    async def keep(self, is_kept: Callable[[bytes], bool]) -> None:
        pass

    async def flush(self) -> None:
        pass

    async def close(self) -> None:
        pass


class BufferedResults(SlowResults):
    """Results that are stored when their shard is closed, as in S3, which takes a second."""

    is_slow = False

    def __init__(self, stored: list[bytes]) -> None:
        self.stored_lines = stored
        self._buffered: list[bytes] = []

    async def open(self, index: int) -> SlowResults:
        return BufferedResults(self.stored_lines)

    async def put(self, line: bytes, *, failed: bool) -> None:
        self._buffered.append(line)

    async def close(self) -> None:
        await asyncio.sleep(1.0)
        self.stored_lines += self._buffered
        self._buffered = []


def test_a_job_whose_last_line_brings_it_to_its_cost_cap_is_done(tmp_path: Path) -> None:
    """The worker sees the cap while it closes the last shard, when no line is left."""
    names = [f"n{n}" for n in range(6)]
    harness = WorkerHarness(tmp_path, [line(n) for n in names], immediately)
    harness.resources = replace(
        harness.resources,
        results=BufferedResults([]),
        progress=harness.progress(max_cost=len(names)),
        cost=lambda _: LineCost(1),
    )
    assert run_threads_at_once(harness.work(), 0.0) == WorkResult(len(names), 0, 0, None)


@pytest.mark.parametrize("why", ["time", "cancelled", "interrupted"])
def test_the_results_of_a_shard_that_is_closed_when_the_worker_ends_are_stored(
    tmp_path: Path, why: str
) -> None:
    names = [f"n{n}" for n in range(6)]
    harness, stored = WorkerHarness(tmp_path, [line(n) for n in names], immediately), list[bytes]()
    harness.resources = replace(harness.resources, results=BufferedResults(stored))

    async def main() -> None:
        seconds = END_MARGIN + 0.5 if why == "time" else None
        async with asyncio.TaskGroup() as group:
            working = group.create_task(harness.work(seconds=seconds))
            await asyncio.sleep(0.5)
            if why == "cancelled":
                before = await harness.database.get("batch", "job")
                await harness.database.put("batch", "job", CANCELLING, before)
            elif why == "interrupted":
                working.cancel()

    run_threads_at_once(main(), 0.0)
    assert Counter(json.loads(one)["custom_id"] for one in stored) == harness.sent
    assert set(harness.sent) >= {"n0", "n1", "n2"}


def test_no_call_is_sent_while_a_response_waits_for_a_slow_disk(tmp_path: Path) -> None:
    provider, results, at_risk = EchoProvider(), SlowResults(), list[int]()
    harness = WorkerHarness(
        tmp_path, [line(f"n{n}", text=str(n)) for n in range(LINES)], immediately, size=LINES
    )

    async def before(_model: str, text: str) -> None:
        at_risk.append(sum(provider.calls.values()) - len(results.stored_lines))
        await asyncio.sleep(0.1 + int(text) % 7 / 100)

    provider.before = before
    models = [
        {**one, "litellm_params": {**one["litellm_params"], "max_parallel_requests": SLOTS}}
        for one in CONFIG["model_list"]
    ]
    catalog = resolve(check({**CONFIG, "model_list": models}, {}), {})
    observer, activity = RecordingObserver(), ActivityTracker(time.time)

    async def main() -> Any:
        async with open_gateway(
            Settings(), catalog=catalog, engine=provider, observer=observer
        ) as gateway:
            send = make_line_sender(gateway, "master", observer, activity=activity)
            harness.resources = replace(
                harness.resources, send=send, results=results, activity=activity
            )
            return await harness.work()

    assert run_threads_at_once(main(), 0.0).done == LINES
    assert set(provider.calls.values()) == {1}
    assert max(at_risk) <= SLOTS
