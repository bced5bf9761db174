"""Jobs keep to limits that are not stated, learned from 429s alone; whole jobs in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import pytest

from tests.bulk.local_jobs import EchoProvider, jsonl, line, open_jobs
from tests.bulk.pacing.unstated_limits import Kind, run_limited_job
from tests.support.virtual_clock import now, run_threads_at_once

CASES: list[tuple[Kind, int, float, int, bool]] = [
    ("fixed", 60, 20.0, 300, True),
    ("fixed", 60, 0.2, 300, False),
    ("sliding", 60, 0.2, 300, True),
    ("sliding", 60, 20.0, 300, False),
    ("sliding", 600, 2.0, 1200, False),
    ("bucket", 60, 0.2, 300, False),
    ("bucket", 60, 2.0, 300, True),
    ("small bucket", 120, 0.2, 120, True),
    ("small bucket", 120, 2.0, 120, False),
    ("small bucket", 600, 0.2, 900, True),
]
"""Each kind with `retry-after` and without it, at slow and at fast calls."""


@pytest.mark.parametrize(("kind", "limit", "latency", "lines", "retry_after"), CASES)
def test_under_a_tenth_of_the_calls_is_rejected_at_over_80_percent_of_an_unstated_limit(
    tmp_path: Path, kind: Kind, limit: int, latency: float, lines: int, *, retry_after: bool
) -> None:
    outcome = run_limited_job(tmp_path, kind, limit, latency, lines, retry_after=retry_after)
    assert outcome.rejected < 0.1
    assert outcome.used > 0.8


def test_a_few_429s_without_a_limit_behind_them_do_not_slow_a_job_down(tmp_path: Path) -> None:
    provider, calls = EchoProvider(), count(1)

    async def reject_some(_model: str, _text: str) -> tuple[int, Mapping[str, str]] | None:
        await asyncio.sleep(0.01)
        return (429, {"retry-after": "0.05"}) if 10 < next(calls) <= 90 else None

    provider.before = reject_some

    async def main() -> float:
        async with open_jobs(tmp_path, provider, now=now, sync_interval=1.0) as jobs:
            job = await jobs.create(jsonl(line(f"n{i}") for i in range(400)))
            while not (await jobs.job(job)).is_over:  # noqa: ASYNC110 -- it is in a file
                await asyncio.sleep(1)
            return now()

    assert run_threads_at_once(main(), 0.0) < 20


def test_a_model_that_had_a_few_calls_can_be_called_hours_later(tmp_path: Path) -> None:
    async def main() -> list[int]:
        failed = []
        async with open_jobs(tmp_path, now=now, sync_interval=1.0) as jobs:
            for _ in range(2):
                job = await jobs.create(jsonl(line(f"n{i}") for i in range(3)))
                while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110 -- it is in a file
                    await asyncio.sleep(1)
                assert job.totals is not None
                failed.append(job.totals.failed)
                await asyncio.sleep(4 * 3600)
        return failed

    assert run_threads_at_once(main(), 0.0) == [0, 0]
