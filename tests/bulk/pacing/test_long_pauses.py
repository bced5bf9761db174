"""A long `Retry-After` is one wait within the job's window, and no wait beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.bulk.local_jobs import EchoProvider, jsonl, line, open_jobs
from tests.support.virtual_clock import now, run_threads_at_once

LINES = 100
HOUR = 3600.0


class PausingProvider(EchoProvider):
    """Rejects all calls from its tenth second on for so many seconds, and says so."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.times: list[float] = []
        self.rejected = 0
        self._until = 10.0 + seconds
        self.before = self._limit

    async def _limit(self, _model: str, _text: str) -> tuple[int, Mapping[str, str]] | None:
        self.times.append(now())
        await asyncio.sleep(1.0)
        if not 10.0 <= now() < self._until:
            return None
        self.rejected += 1
        return 429, {"retry-after": str(round(self._until - now() + 0.5))}


@pytest.mark.parametrize("hours", [1, 2])
def test_no_call_is_made_while_the_provider_asks_for_a_long_pause(
    tmp_path: Path, hours: int
) -> None:
    provider = PausingProvider(hours * HOUR)

    async def main() -> None:
        few = {"initial_concurrency": 5, "max_concurrency": 5}
        async with open_jobs(tmp_path, provider, now=now, sync_interval=1.0, **few) as jobs:  # type: ignore[arg-type]
            job = await jobs.create(jsonl(line(f"n{n}") for n in range(LINES)))
            while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110 -- virtual time
                await asyncio.sleep(10)
            assert (job.status, job.totals and job.totals.failed) == ("completed", 0)
            assert now() < 10 + hours * HOUR + 120

    run_threads_at_once(main(), 0.0)
    assert 1 <= provider.rejected <= 5
    assert not [at for at in provider.times if 12 <= at < 10 + hours * HOUR]


def test_lines_fail_at_once_if_the_pause_ends_after_the_jobs_window(tmp_path: Path) -> None:
    provider = PausingProvider(2 * HOUR)

    async def main() -> None:
        few = {"initial_concurrency": 5, "max_concurrency": 5}
        async with open_jobs(tmp_path, provider, now=now, sync_interval=1.0, **few) as jobs:  # type: ignore[arg-type]
            data = jsonl(line(f"n{n}") for n in range(LINES))
            job = await jobs.create(data, completion_window="1h")
            while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110 -- virtual time
                await asyncio.sleep(1)
            assert now() < 60
            assert job.status == "completed"
            codes = await jobs.error_codes(job)
            assert len(codes) > LINES / 2
            assert set(codes.values()) == {"rate_limit_exceeded"}
            assert job.totals is not None
            (examples,) = job.totals.examples.values()
            assert "after the end of the job's completion window" in examples[0].message

    run_threads_at_once(main(), 0.0)
    assert provider.rejected <= 5
