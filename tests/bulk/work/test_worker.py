"""The worker alone, over a folder: what it starts, what it waits for, what it leaves to others."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from fanout.bulk.input.planner import Shard, ShardSize, plan
from fanout.bulk.local.file_store import FolderBlobStore, FolderResultStore, FolderShardResults
from fanout.bulk.local.job_progress import SQLiteJobProgress
from fanout.bulk.local.sqlite import Database
from fanout.bulk.pacing.adaptive_concurrency import AdaptiveConcurrency
from fanout.bulk.pacing.line_retry import LineRequest
from fanout.bulk.pacing.rate_limiter import RateLimitUnavailable
from fanout.bulk.totals import Example
from fanout.bulk.work.spec import WorkerResources, WorkResult, WorkSpec
from fanout.bulk.work.worker import END_MARGIN, work
from fanout.errors import (
    AllFailed,
    Cause,
    ErrorDetail,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Rejected,
    Unreachable,
)
from fanout.routing.leg import Leg
from fanout.routing.retry_policy import Retry
from tests.bulk.local_jobs import SYNC_INTERVAL, jsonl, line, run
from tests.support.virtual_clock import now, run_threads_at_once

ANSWER = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
Answer = Callable[[str], Awaitable[None]]


class Name(Struct):
    name: str = "a"


def error(kind: Any, **more: Any) -> Any:
    return kind(Name(), ErrorDetail("no"), **more)


class Bench:
    """Lines in a folder, an `ask` that counts, and one worker after another."""

    def __init__(self, home: Path, lines: list[bytes], answer: Answer, size: int = 3) -> None:
        self.blobs = FolderBlobStore(home)
        self.database = Database(home / "jobs.sqlite")
        run(self.database.put("batch", "job", b'{"status":"in_progress"}', None))
        self.shards: list[Shard] = []
        self.asked: Counter[str] = Counter()
        self.under_way = self.most = 0
        self._answer = answer
        (home / "in").write_bytes(jsonl(lines))
        self.resources = WorkerResources(
            self._ask,
            self.blobs,
            FolderResultStore(self.blobs, "job"),
            self.progress(),
            retry=Retry(lambda: 0.5, base=0.01, cap=0.05),
        )
        self._size = ShardSize(size, 1 << 30)

    def progress(self, **more: Any) -> SQLiteJobProgress:
        return SQLiteJobProgress(
            self.database, "job", expires_at=float("inf"), now=time.time, **more
        )

    async def _ask(self, asked: LineRequest, concurrency: AdaptiveConcurrency) -> object:
        self.asked[asked.line.custom_id] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self._answer(asked.line.custom_id)
        finally:
            self.under_way -= 1
        return ANSWER

    async def _planned(self) -> AsyncIterator[Shard]:
        if not self.shards:
            await plan(
                lambda: self.blobs.read("in"),
                self.shards.append,
                default_model=None,
                check=lambda _: None,
                size=self._size,
            )
        for shard in self.shards:
            yield shard

    async def work(self, *, seconds: float | None = None, **options: Any) -> WorkResult:
        return await work(
            replace(WorkSpec("in", grace=0.1, sync_interval=SYNC_INTERVAL), **options),
            self._planned(),
            self.resources,
            seconds=seconds,
        )

    def stored(self) -> Counter[str]:
        """The names on all shelves."""
        return Counter(
            json.loads(one)["custom_id"]
            for path in self.blobs.root.rglob("job/results/*")
            for one in path.read_bytes().splitlines()
        )


NAMES = [f"n{i}" for i in range(10)]
LINES = [line(name) for name in NAMES]
ONCE = dict.fromkeys(NAMES, 1)
CANCELLING = b'{"status":"cancelling"}'


async def at_once(name: str) -> None:
    pass


def test_every_line_is_asked_once_and_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINES, at_once)
    assert run(bench.work()) == WorkResult(10, 0, 0, None)
    assert (bench.asked, bench.stored()) == (ONCE, ONCE)
    total = run(bench.resources.progress.total())
    assert (total.done, total.tokens_in, total.tokens_out) == (10, 10, 20)


def test_a_second_worker_finds_everything_stored(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINES, at_once)
    run(bench.work())
    again = replace(bench.resources, progress=bench.progress())
    bench.resources = again
    assert run(bench.work()) == WorkResult(10, 0, 0, None)
    assert bench.asked == ONCE


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_what_a_crash_left_is_counted_from_the_shelf_and_a_cut_line_is_asked_again(
    tmp_path: Path, cut: int
) -> None:
    bench = Bench(tmp_path, LINES, at_once)
    run(bench.work())
    path = sorted(tmp_path.rglob("*.answers.jsonl"))[1]
    path.write_bytes(path.read_bytes()[: -cut or None])
    bench.database.delete_totals("job")  # the counts were not written yet
    bench.resources = replace(bench.resources, progress=bench.progress())
    assert run(bench.work()) == WorkResult(10, 0, 0, None)
    assert bench.stored() == ONCE
    assert sum(bench.asked.values()) == 10 + bool(cut)
    assert run(bench.resources.progress.total()).done == 10


@pytest.mark.parametrize("kind", [Unreachable, Overloaded, RateLimited])
def test_a_provider_that_is_down_for_a_while_costs_no_line(tmp_path: Path, kind: Any) -> None:
    until = time.monotonic() + 0.3

    async def down(name: str) -> None:
        if time.monotonic() < until:
            raise error(kind, upstream=503)

    bench = Bench(tmp_path, LINES, down)
    assert run(bench.work()) == WorkResult(10, 0, 0, None)
    assert bench.stored() == ONCE


@pytest.mark.parametrize("kind", [Unreachable, Overloaded, RateLimited])
def test_a_provider_that_is_down_for_a_minute_is_asked_by_fewer_and_costs_no_line(
    tmp_path: Path, kind: Any
) -> None:
    async def down(name: str) -> None:
        if now() < 60:
            raise error(kind, upstream=503)

    bench = Bench(tmp_path, LINES, down)
    bench.resources = replace(bench.resources, retry=Retry(lambda: 0.5, base=1.0, cap=20.0))
    done = run_threads_at_once(bench.work(), 0.0)
    assert done == WorkResult(10, 0, 0, None)
    assert bench.stored() == ONCE
    assert max(bench.asked.values()) < 15


def test_a_race_is_asked_again_as_long_as_one_of_its_models_may_answer(tmp_path: Path) -> None:
    bad, busy = Cause("a", error(Rejected)), Cause("b", error(RateLimited, retry_after=0.01))
    answers = [AllFailed([bad, busy]), AllFailed([bad, bad])]

    async def fail(name: str) -> None:
        raise answers.pop(0)

    bench = Bench(tmp_path, LINES[:1], fail)
    assert run(bench.work()) == WorkResult(0, 1, 0, None)
    assert bench.asked == {"n0": 2}


@pytest.mark.parametrize("kind", [Rejected, QuotaExceeded])
def test_what_will_not_change_is_asked_once(tmp_path: Path, kind: Any) -> None:
    async def fail(name: str) -> None:
        raise error(kind)

    bench = Bench(tmp_path, LINES, fail)
    assert run(bench.work()) == WorkResult(0, 10, 0, None)
    assert (bench.asked, bench.stored()) == (ONCE, ONCE)


def test_the_first_failed_lines_of_a_cause_are_its_examples_and_outlive_their_worker(
    tmp_path: Path,
) -> None:
    async def fail(name: str) -> None:
        if name in {"n1", "n2", "n4", "n8", "n9"}:
            raise error(Rejected)

    bench = Bench(tmp_path, LINES, fail)
    run(bench.work(max_concurrency=1, initial_concurrency=1))
    assert run(bench.resources.progress.total()).examples == {
        "Rejected": [
            Example("n1", 2, "`a`: no"),
            Example("n2", 3, "`a`: no"),
            Example("n4", 5, "`a`: no"),
        ]
    }
    bench.database.delete_totals("job")  # killed before the counts were written
    bench.resources = replace(bench.resources, progress=bench.progress())
    run(bench.work())
    total = run(bench.resources.progress.total())
    assert (total.failed, bench.asked) == (5, ONCE)
    assert total.examples == {
        "error": [
            Example("n1", None, "`a`: no"),
            Example("n2", None, "`a`: no"),
            Example("n4", None, "`a`: no"),
        ]
    }


def test_patience_has_an_end(tmp_path: Path) -> None:
    async def down(name: str) -> None:
        raise error(Unreachable)

    bench = Bench(tmp_path, LINES, down)
    assert run(bench.work(give_up_after=0.05)) == WorkResult(0, 10, 0, None)
    assert run(bench.resources.progress.total()).causes == {"provider_unreachable": 10}


def test_a_worker_out_of_time_starts_nothing_and_leaves_the_rest(tmp_path: Path) -> None:
    async def slow(name: str) -> None:
        await asyncio.sleep(0.1 if name < "n5" else 9)

    bench = Bench(tmp_path, LINES, slow)
    first = run(bench.work(seconds=END_MARGIN + 0.5, max_concurrency=2, initial_concurrency=2))
    assert (first.stop, first.failed, first.done + first.remaining) == ("time", 0, 10)
    assert first.done == 5
    assert set(bench.asked) == {f"n{i}" for i in range(7)}
    bench._answer = at_once
    bench.resources = replace(bench.resources, progress=bench.progress())
    assert run(bench.work()) == WorkResult(10, 0, 0, None)
    assert bench.stored() == ONCE
    twice = {name for name, count in bench.asked.items() if count > 1}
    assert twice == {"n5", "n6"}, "those that were under way"


def test_a_line_that_waits_for_a_provider_is_left_when_the_job_is_to_end(tmp_path: Path) -> None:
    stopping = [False]

    async def down(name: str) -> None:
        stopping[0] = True
        raise error(Unreachable, retry_after=0.5)

    bench = Bench(tmp_path, LINES, down)
    progress = bench.progress(is_stopping=lambda: stopping[0])
    bench.resources = replace(bench.resources, progress=progress)
    assert run(bench.work()) == WorkResult(0, 0, 10, "time")
    assert bench.stored() == {}


def test_a_cancelled_job_ends_within_its_grace_however_much_time_its_worker_has(
    tmp_path: Path,
) -> None:
    async def forever(name: str) -> None:
        await bench.database.put(
            "batch", "job", CANCELLING, await bench.database.get("batch", "job")
        )
        await asyncio.Event().wait()

    bench = Bench(tmp_path, LINES, forever)
    done = run(bench.work(seconds=3600.0))
    assert done == WorkResult(0, 0, 10, "cancelled")


def test_a_store_that_fails_ends_the_worker_and_loses_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LINES, at_once)
    real = bench.resources.results

    class Full(FolderShardResults):
        async def put(self, line: bytes, *, failed: bool) -> None:
            if b'"n4"' in line:
                raise OSError(28, "No space left on device")
            await super().put(line, failed=failed)

    class Broken:
        async def open(self, index: int) -> FolderShardResults:
            results = await real.open(index)
            assert isinstance(results, FolderShardResults)
            return Full(*results._paths)

        async def keys(self, index: int) -> Any:
            raise NotImplementedError

    bench.resources = replace(bench.resources, results=Broken())
    with pytest.raises(OSError, match="No space"):
        run(bench.work())
    stored = set(bench.stored())
    assert "n4" not in stored
    first = Counter(bench.asked)
    bench.resources = replace(bench.resources, results=real, progress=bench.progress())
    assert run(bench.work()) == WorkResult(10, 0, 0, None)
    assert bench.stored() == ONCE
    assert all(bench.asked[name] == first[name] for name in stored)


def test_a_turn_that_is_not_to_be_had_is_the_stores_fault_and_costs_no_line(tmp_path: Path) -> None:
    async def no_turn(name: str) -> None:
        if name == "n4":
            raise RateLimitUnavailable("away")

    bench = Bench(tmp_path, LINES, no_turn)
    with pytest.raises(RateLimitUnavailable, match="away"):
        run(bench.work())
    assert "n4" not in bench.stored()
    bench._answer = at_once
    bench.resources = replace(bench.resources, progress=bench.progress())
    assert run(bench.work()) == WorkResult(10, 0, 0, None)
    assert bench.stored() == ONCE


def test_no_more_bytes_are_under_way_than_its_share(tmp_path: Path) -> None:
    big = [line(f"n{i}", text="x" * 7_000_000) for i in range(14)]

    full = asyncio.Event()

    async def wait(name: str) -> None:
        if bench.under_way == 9:  # 64 MiB
            await asyncio.sleep(0.3)  # in which a tenth would be drawn
            full.set()
        await full.wait()

    bench = Bench(tmp_path, big, wait)
    assert run(bench.work()).done == 14
    assert bench.most == 9


def test_concurrency_doubles_while_all_is_well_and_falls_once_for_each_storm() -> None:
    now = [0.0]
    concurrency = AdaptiveConcurrency(lambda: now[0], initial=4, maximum=100)
    leg = Leg("a", "r", started=0.0)
    for _ in range(4):
        concurrency.ended(leg, "ok", None)
    assert concurrency.limit == 8
    now[0], leg.started = 2.0, 1.0
    for _ in range(5):
        concurrency.ended(leg, "failed", error(RateLimited))
    assert concurrency.limit == pytest.approx(5.6)  # all five began before the first was told
    leg.started = 3.0
    concurrency.ended(leg, "failed", error(QuotaExceeded))
    concurrency.ended(leg, "failed", error(Rejected))
    concurrency.ended(leg, "cancelled", None)
    assert concurrency.limit == pytest.approx(5.6)
    concurrency.ended(leg, "ok", None)
    assert concurrency.limit == pytest.approx(5.6 + 1 / 5.6)
    for _ in range(50):
        now[0] += 1
        leg.started = now[0]
        now[0] += 1
        concurrency.ended(leg, "failed", error(Overloaded, upstream=503))
    assert concurrency.limit == 1
