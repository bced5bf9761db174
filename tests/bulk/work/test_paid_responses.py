"""A response that has arrived is stored, whatever happens to its job in that moment."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.local.job_progress import SQLiteJobProgress
from fanout.bulk.local.shard_results import FolderResultStore
from fanout.bulk.pacing.limits import make_limits
from fanout.bulk.pacing.rate_limit_state import MemoryRateLimitStore, Reservation
from fanout.bulk.pacing.rate_limiter import RateLimiter
from fanout.bulk.work.line_requests import make_line_sender
from fanout.bulk.work.spec import WorkResult
from fanout.bulk.work.worker import END_MARGIN
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from tests.bulk.local_jobs import CONFIG, EchoProvider, jsonl, line, open_jobs, run
from tests.bulk.work.test_worker import CANCELLING, IDS, LINES, ONCE, immediately
from tests.bulk.work.worker_harness import WorkerHarness
from tests.support.gateway_server import RecordingObserver

LIMITED: dict[str, Any] = {
    **CONFIG,
    "model_list": [
        {**entry, "litellm_params": {**entry["litellm_params"], "rpm": 10**9, "tpm": 10**9}}
        for entry in CONFIG["model_list"]
    ],
}


class StuckStore(MemoryRateLimitStore):
    """Rate limits to which nothing can be refunded: it hangs, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self._error = error
        self.refunds = 0

    async def refund(self, model: str, reservation: Reservation) -> None:
        self.refunds += 1
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()


async def work(harness: WorkerHarness, store: StuckStore, **options: Any) -> WorkResult:
    """One worker, over a gateway whose provider echoes."""
    catalog, observer = resolve(check(LIMITED, {}), {}), RecordingObserver()
    async with open_gateway(Settings(), catalog=catalog, engine=EchoProvider()) as gateway:
        limiter = RateLimiter(store, make_limits(catalog), time.time)
        send = make_line_sender(gateway, "anyone", observer, limiter)
        harness.resources = replace(harness.resources, send=send)
        return await harness.work(**options)


@pytest.mark.parametrize("why", ["cancelled", "expired", "time", "interrupted"])
def test_a_response_is_stored_although_its_job_ends_before_its_line_does(
    tmp_path: Path, why: str
) -> None:
    harness, store, clock = WorkerHarness(tmp_path, LINES, immediately), StuckStore(), [0.0]
    progress = SQLiteJobProgress(harness.database, "job", expires_at=9.0, now=lambda: clock[0])
    harness.resources = replace(harness.resources, progress=progress)

    async def end() -> None:
        while store.refunds < len(IDS):  # noqa: ASYNC110 -- the store has no event
            await asyncio.sleep(0.01)
        if why == "cancelled":
            await harness.database.put(
                "batch", "job", CANCELLING, await harness.database.get("batch", "job")
            )

    async def main() -> None:
        seconds = END_MARGIN + 2.0 if why == "time" else None
        async with asyncio.TaskGroup() as group:
            working = group.create_task(work(harness, store, seconds=seconds))
            await end()
            assert harness.stored() == {}
            if why == "expired":
                clock[0] = 9.0
            elif why == "interrupted":
                working.cancel()
            await asyncio.wait([working])
        assert working.cancelled() == (why == "interrupted")

    run(main())
    assert harness.stored() == ONCE
    total = run(harness.progress().total())
    assert (total.done, total.tokens_in) == (10, 50)


LINE_OPTIONS: dict[str, dict[str, Any]] = {
    "one model": {},
    "fallbacks": {"fanout": {"mode": "fallback", "models": ["a", "b"]}},
}


@pytest.mark.parametrize("options", LINE_OPTIONS)
def test_a_response_is_stored_before_its_slot_is_free(tmp_path: Path, options: str) -> None:
    """So a kill loses no more responses than there are slots."""
    slots, names = 2, [f"n{number}" for number in range(20)]
    entries = [
        {**entry, "litellm_params": {**entry["litellm_params"], "max_parallel_requests": slots}}
        for entry in LIMITED["model_list"]
    ]
    provider, unstored = EchoProvider(), list[int]()

    def count_unstored() -> None:
        paths = tmp_path.glob("jobs/*/results/*.jsonl")
        stored = sum(path.read_bytes().count(b"\n") for path in paths)
        unstored.append(provider.calls.total() - stored)

    async def before(_model: str, _text: str) -> None:
        count_unstored()
        await asyncio.sleep(0.001)

    async def main() -> None:
        data = jsonl(line(name, **LINE_OPTIONS[options]) for name in names)
        async with open_jobs(tmp_path, provider, config={**LIMITED, "model_list": entries}) as jobs:
            job = await jobs.wait(await jobs.create(data))
            assert job.totals is not None
            assert (job.status, job.totals.done) == ("completed", len(names))

    provider.before = before
    run(main())
    assert len(unstored) == len(names)
    assert max(unstored) <= slots


def test_a_response_is_stored_although_its_reservation_cannot_be_refunded(tmp_path: Path) -> None:
    harness = WorkerHarness(tmp_path, LINES, immediately)
    store = StuckStore(OSError("the database is locked"))
    assert run(work(harness, store)) == WorkResult(10, 0, 0, None)
    assert store.refunds == 10
    assert harness.stored() == ONCE


def test_a_shards_first_response_is_stored_without_a_wait(tmp_path: Path) -> None:
    """Not in a thread: other lines would be sent before it is stored."""

    async def main() -> None:
        shard = await FolderResultStore(FolderBlobStore(tmp_path), "job").open(0)
        with pytest.raises(StopIteration):
            shard.put(b"{}\n", failed=False).send(None)
        failing = asyncio.ensure_future(shard.put(b"{}\n", failed=True))
        await asyncio.sleep(0)
        assert shard.is_slow  # a thread creates the file of failures
        await failing
        assert not shard.is_slow
        await shard.close()

    run(main())
