"""The worker alone, over a folder: which lines it sends, retries, waits for and leaves."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.local.shard_results import FolderShardResults
from fanout.bulk.pacing.rate_limit_state import RateLimitUnavailable
from fanout.bulk.totals import Example
from fanout.bulk.work.spec import WorkResult, WorkSpec
from fanout.bulk.work.worker import END_MARGIN
from fanout.errors import (
    AllFailed,
    Cause,
    DeadlineExceeded,
    Forbidden,
    Internal,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    RateLimited,
    Rejected,
    Unreachable,
)
from fanout.routing.retry_policy import RetryPolicy
from fanout.wire import json as wire_json
from tests.bulk.local_jobs import line, run
from tests.bulk.work.worker_harness import WorkerHarness, error
from tests.support.virtual_clock import now, run_threads_at_once

IDS = [f"n{i}" for i in range(10)]
LINES = [line(name) for name in IDS]
ONCE = dict.fromkeys(IDS, 1)
CANCELLING = b'{"status":"cancelling"}'


async def immediately(name: str) -> None:
    pass


def test_each_line_is_sent_once_and_counted(tmp_path: Path) -> None:
    harness = WorkerHarness(tmp_path, LINES, immediately)
    assert run(harness.work()) == WorkResult(10, 0, 0, None)
    assert (harness.sent, harness.stored()) == (ONCE, ONCE)
    total = run(harness.resources.progress.total())
    assert (total.done, total.tokens_in, total.tokens_out) == (10, 10, 20)


def test_stored_lines_are_not_sent_again(tmp_path: Path) -> None:
    harness = WorkerHarness(tmp_path, LINES, immediately)
    run(harness.work())
    again = replace(harness.resources, progress=harness.progress())
    harness.resources = again
    assert run(harness.work()) == WorkResult(10, 0, 0, None)
    assert harness.sent == ONCE


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_after_a_crash_stored_lines_are_counted_and_a_cut_line_is_sent_again(
    tmp_path: Path, cut: int
) -> None:
    harness = WorkerHarness(tmp_path, LINES, immediately)
    run(harness.work())
    path = sorted(tmp_path.rglob("*.answers.jsonl"))[1]
    path.write_bytes(path.read_bytes()[: -cut or None])
    run(harness.database.delete_totals("job"))  # killed before the counts were written
    harness.resources = replace(harness.resources, progress=harness.progress())
    assert run(harness.work()) == WorkResult(10, 0, 0, None)
    assert harness.stored() == ONCE
    assert sum(harness.sent.values()) == 10 + bool(cut)
    assert run(harness.resources.progress.total()).done == 10


@pytest.mark.parametrize("kind", [Unreachable, Overloaded, RateLimited])
def test_no_line_fails_while_a_provider_is_down_for_a_moment(tmp_path: Path, kind: Any) -> None:
    async def down(name: str) -> None:
        if now() < 0.3:
            raise error(kind, upstream=503)

    harness = WorkerHarness(tmp_path, LINES, down)
    assert run_threads_at_once(harness.work(), 0.0) == WorkResult(10, 0, 0, None)
    assert harness.stored() == ONCE


@pytest.mark.parametrize("kind", [Unreachable, Overloaded, RateLimited])
def test_no_line_fails_and_fewer_are_sent_while_a_provider_is_down_for_a_minute(
    tmp_path: Path, kind: Any
) -> None:
    async def down(name: str) -> None:
        if now() < 60:
            raise error(kind, upstream=503)

    harness = WorkerHarness(tmp_path, LINES, down)
    retry = RetryPolicy(lambda: 0.5, base=1.0, cap=20.0)
    harness.resources = replace(harness.resources, retry=retry)
    done = run_threads_at_once(harness.work(), 0.0)
    assert done == WorkResult(10, 0, 0, None)
    assert harness.stored() == ONCE
    assert max(harness.sent.values()) < 15


def test_a_race_is_retried_while_one_of_its_models_may_succeed(tmp_path: Path) -> None:
    bad, busy = Cause("a", error(Rejected)), Cause("b", error(RateLimited, retry_after=0.01))
    answers = [AllFailed([bad, busy]), AllFailed([bad, bad])]

    async def fail(name: str) -> None:
        raise answers.pop(0)

    harness = WorkerHarness(tmp_path, LINES[:1], fail)
    assert run(harness.work()) == WorkResult(0, 1, 0, None)
    assert harness.sent == {"n0": 2}


@pytest.mark.parametrize("kind", [Rejected, QuotaExceeded])
def test_permanent_errors_are_not_retried(tmp_path: Path, kind: Any) -> None:
    async def fail(name: str) -> None:
        raise error(kind)

    harness = WorkerHarness(tmp_path, LINES, fail)
    assert run(harness.work()) == WorkResult(0, 10, 0, None)
    assert (harness.sent, harness.stored()) == (ONCE, ONCE)


def test_the_first_failed_lines_of_a_cause_are_its_examples_and_survive_a_crash(
    tmp_path: Path,
) -> None:
    async def fail(name: str) -> None:
        if name in {"n1", "n2", "n4", "n8", "n9"}:
            raise error(Rejected)

    harness = WorkerHarness(tmp_path, LINES, fail)
    run(harness.work(max_concurrency=1, initial_concurrency=1))
    cause = "api_error"  # the type of an error without a code
    assert run(harness.resources.progress.total()).examples == {
        cause: [
            Example("n1", 2, "`a`: no"),
            Example("n2", 3, "`a`: no"),
            Example("n4", 5, "`a`: no"),
        ]
    }
    run(harness.database.delete_totals("job"))  # killed before the counts were written
    harness.resources = replace(harness.resources, progress=harness.progress())
    run(harness.work())
    total = run(harness.resources.progress.total())
    assert (total.failed, harness.sent) == (5, ONCE)
    assert total.examples == {
        cause: [
            Example("n1", None, "`a`: no"),
            Example("n2", None, "`a`: no"),
            Example("n4", None, "`a`: no"),
        ]
    }


def test_the_causes_of_failed_lines_are_the_same_after_a_crash(tmp_path: Path) -> None:
    errors = [
        error(Rejected),
        error(PermissionDenied),
        Forbidden("no", "model"),
        DeadlineExceeded("late"),
        AllFailed([Cause("a", error(Rejected)), Cause("b", error(PermissionDenied))]),
        Internal(),
        ValueError("a bug"),
    ]
    failing = dict(zip(IDS, errors, strict=False))

    async def fail(name: str) -> None:
        if name in failing:
            raise failing[name]

    harness = WorkerHarness(tmp_path, LINES, fail)
    run(harness.work())
    causes = run(harness.resources.progress.total()).causes
    assert sum(causes.values()) == len(errors)
    run(harness.database.delete_totals("job"))  # killed before the counts were written
    harness.resources = replace(harness.resources, progress=harness.progress())
    run(harness.work())
    assert run(harness.resources.progress.total()).causes == causes


def test_a_line_fails_when_its_provider_stays_down(tmp_path: Path) -> None:
    async def down(name: str) -> None:
        raise error(Unreachable)

    harness = WorkerHarness(tmp_path, LINES, down)
    assert run_threads_at_once(harness.work(give_up_after=2.0), 0.0) == WorkResult(0, 10, 0, None)
    assert run(harness.resources.progress.total()).causes == {"provider_unreachable": 10}


def test_a_line_that_keeps_failing_while_others_succeed_fails_after_five_attempts(
    tmp_path: Path,
) -> None:
    async def poison(name: str) -> None:
        await asyncio.sleep(1)
        if name == "n0":
            raise error(Overloaded, upstream=500)

    lines = [line(f"n{number}") for number in range(300)]
    harness = WorkerHarness(tmp_path, lines, poison)
    retry = RetryPolicy(lambda: 0.5, base=60.0, cap=60.0)
    harness.resources = replace(harness.resources, retry=retry)
    work = harness.work(max_concurrency=2, initial_concurrency=2)
    assert run_threads_at_once(work, 0.0) == WorkResult(299, 1, 0, None)
    assert harness.sent["n0"] == 5


def test_lines_that_keep_failing_at_the_end_of_a_job_fail_after_a_minute(tmp_path: Path) -> None:
    async def poison(name: str) -> None:
        if name in {"n0", "n5", "n9"}:
            raise error(Overloaded, upstream=500)
        await asyncio.sleep(1)

    harness = WorkerHarness(tmp_path, LINES, poison)
    retry = RetryPolicy(lambda: 0.5, base=1.0, cap=20.0)
    harness.resources = replace(harness.resources, retry=retry)

    async def main() -> None:
        assert await harness.work() == WorkResult(7, 3, 0, None)
        assert 60 <= now() < 100

    run_threads_at_once(main(), 0.0)
    assert 5 <= max(harness.sent.values()) < 15


def test_an_outage_after_some_responses_fails_no_line(tmp_path: Path) -> None:
    async def down(name: str) -> None:
        if name in {"n0", "n1"}:  # in flight when the outage begins
            await asyncio.sleep(2)
        elif 1 < now() < 300:
            raise error(Unreachable)
        else:
            await asyncio.sleep(1.5)

    harness = WorkerHarness(tmp_path, LINES, down)
    retry = RetryPolicy(lambda: 0.5, base=1.0, cap=20.0)
    harness.resources = replace(harness.resources, retry=retry)
    work = harness.work(max_concurrency=4, initial_concurrency=4)
    assert run_threads_at_once(work, 0.0) == WorkResult(10, 0, 0, None)


def test_a_worker_without_time_starts_no_line_and_leaves_the_rest(tmp_path: Path) -> None:
    async def slow(name: str) -> None:
        await asyncio.sleep(0.1 if name < "n5" else 9)

    harness = WorkerHarness(tmp_path, LINES, slow)
    work = harness.work(seconds=END_MARGIN + 0.55, max_concurrency=2, initial_concurrency=2)
    first = run_threads_at_once(work, 0.0)
    assert (first.stop, first.failed, first.done + first.remaining) == ("time", 0, 10)
    assert first.done == 5
    assert set(harness.sent) == {f"n{i}" for i in range(7)}
    harness.respond = immediately
    harness.resources = replace(harness.resources, progress=harness.progress())
    assert run(harness.work()) == WorkResult(10, 0, 0, None)
    assert harness.stored() == ONCE
    twice = {name for name, count in harness.sent.items() if count > 1}
    assert twice == {"n5", "n6"}, "only those that were in flight"


def test_a_line_that_waits_for_a_retry_is_left_when_the_worker_stops(tmp_path: Path) -> None:
    stopping = [False]

    async def down(name: str) -> None:
        stopping[0] = True
        raise error(Unreachable, retry_after=0.5)

    harness = WorkerHarness(tmp_path, LINES, down)
    progress = harness.progress(is_stopping=lambda: stopping[0])
    harness.resources = replace(harness.resources, progress=progress)
    assert run_threads_at_once(harness.work(), 0.0) == WorkResult(0, 0, 10, "time")
    assert harness.stored() == {}


def test_a_cancelled_job_ends_within_its_grace_period_even_if_its_worker_has_time(
    tmp_path: Path,
) -> None:
    async def forever(name: str) -> None:
        await harness.database.put(
            "batch", "job", CANCELLING, await harness.database.get("batch", "job")
        )
        await asyncio.Event().wait()

    harness = WorkerHarness(tmp_path, LINES, forever)
    done = run_threads_at_once(harness.work(seconds=3600.0), 0.0)
    assert done == WorkResult(0, 0, 10, "cancelled")


def test_a_failing_store_ends_the_worker_and_no_line_is_lost(tmp_path: Path) -> None:
    harness = WorkerHarness(tmp_path, LINES, immediately)
    store = harness.resources.results

    class Full(FolderShardResults):
        async def put(self, line: bytes, *, failed: bool) -> None:
            if b'"n4"' in line:
                raise OSError(28, "No space left on device")
            await super().put(line, failed=failed)

    class Broken:
        async def open(self, index: int) -> FolderShardResults:
            results = await store.open(index)
            assert isinstance(results, FolderShardResults)
            await results.close()
            return Full(*(file.path for file in results._files))

        async def keys(self, index: int) -> Any:
            raise NotImplementedError

    harness.resources = replace(harness.resources, results=Broken())
    with pytest.raises(OSError, match="No space"):
        run(harness.work())
    stored = set(harness.stored())
    assert "n4" not in stored
    first = Counter(harness.sent)
    harness.resources = replace(harness.resources, results=store, progress=harness.progress())
    assert run(harness.work()) == WorkResult(10, 0, 0, None)
    assert harness.stored() == ONCE
    assert all(harness.sent[name] == first[name] for name in stored)


def test_an_unavailable_rate_limiter_ends_the_worker_and_no_line_fails(tmp_path: Path) -> None:
    cause = OSError("no connection")

    async def no_permit(name: str) -> None:
        if name == "n4":
            raise RateLimitUnavailable("unavailable") from cause

    harness = WorkerHarness(tmp_path, LINES, no_permit)
    with pytest.raises(RateLimitUnavailable, match="unavailable") as raised:
        run(harness.work())
    assert raised.value.__cause__ is cause
    assert "n4" not in harness.stored()
    harness.respond = immediately
    harness.resources = replace(harness.resources, progress=harness.progress())
    assert run(harness.work()) == WorkResult(10, 0, 0, None)
    assert harness.stored() == ONCE


def test_lines_in_flight_are_limited_by_their_bytes(tmp_path: Path) -> None:
    lines = [line(f"n{i}", text="x" * 7_000) for i in range(14)]
    full = asyncio.Event()

    async def wait(name: str) -> None:
        if harness.in_flight == 9:
            await asyncio.sleep(60)  # long enough to start a tenth line
            full.set()
        await full.wait()

    harness = WorkerHarness(tmp_path, lines, wait)
    assert run_threads_at_once(harness.work(max_bytes_in_flight=65_536), 0.0).done == 14
    assert harness.max_in_flight == 9
    assert WorkSpec("in").max_bytes_in_flight == 64 * 1024 * 1024


def test_a_line_over_the_limit_of_bytes_is_sent_alone(tmp_path: Path) -> None:
    harness = WorkerHarness(tmp_path, LINES, immediately)
    assert run(harness.work(max_bytes_in_flight=10)) == WorkResult(10, 0, 0, None)
    assert harness.max_in_flight == 1


def test_the_result_of_a_lambda_worker_keeps_its_field_names() -> None:
    result = json.loads(wire_json.encode(WorkResult(1, 2, 3, "time")))
    assert result == {"done": 1, "failed": 2, "left": 3, "stop": "time"}
