"""Whole jobs within a model's limits, from the config or from response headers; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.bulk.local_jobs import CONFIG, EchoProvider, jsonl, line, open_jobs
from tests.support.virtual_clock import now, run_threads_at_once

RPM = 600
BURST = 0.04
"""The part of a limit that may be used at once."""


def limited_config(share: float = 1.0) -> dict[str, Any]:
    a = CONFIG["model_list"][0]
    limited = {**a, "litellm_params": {**a["litellm_params"], "rpm": RPM}}
    return {"model_list": [limited], "general_settings": {"batch_share": share}}


def run_job(
    home: Path,
    data: bytes,
    *,
    config: Mapping[str, Any] = CONFIG,
    headers: Mapping[str, str] | None = None,
    **options: int,
) -> list[float]:
    """Run a job in virtual time; when each of its calls started."""
    provider, times = EchoProvider(), list[float]()
    provider.headers = headers or {}

    async def record_time(_model: str, _text: str) -> None:
        times.append(asyncio.get_running_loop().time())

    provider.before = record_time

    async def main() -> None:
        async with open_jobs(home, provider, now=now, config=config, **options) as jobs:
            job = await jobs.wait(await jobs.create(data))
            assert (job.status, job.totals and job.totals.failed) == ("completed", 0)

    run_threads_at_once(main(), 0.0)
    return times


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_job_keeps_to_its_share_of_the_configured_requests_a_minute(
    tmp_path: Path, share: float
) -> None:
    data = jsonl(line(f"n{i}") for i in range(40))
    times = run_job(tmp_path, data, config=limited_config(share))
    assert len(times) == 40
    at_once, rate = RPM * share * BURST, RPM * share * (1 - BURST) / 60
    assert times[-1] - times[0] >= (40 - at_once - 1) / rate
    for number, moment in enumerate(times):
        assert number + 1 <= at_once + (moment - times[0]) * rate + 1


def test_a_line_with_several_conversations_counts_as_that_many_requests(tmp_path: Path) -> None:
    conversations = [[{"role": "user", "content": f"c{i}"}] for i in range(5)]
    data = jsonl(line(f"n{i}", messages=conversations) for i in range(8))
    times = run_job(tmp_path, data, config=limited_config())
    assert len(times) == 40
    assert times[-1] - times[0] >= (40 - RPM * BURST - 6) / (RPM * (1 - BURST) / 60)


def test_limits_are_learned_from_response_headers(tmp_path: Path) -> None:
    headers = {
        "x-ratelimit-limit-requests": str(RPM),
        "x-ratelimit-remaining-requests": str(RPM - 1),
        "x-ratelimit-reset-requests": "100ms",
    }
    data = jsonl(line(f"n{i}") for i in range(40))
    times = run_job(tmp_path, data, headers=headers, max_concurrency=1, initial_concurrency=1)
    assert times[-1] - times[0] >= (40 - RPM * BURST - 2) / (RPM * (1 - BURST) / 60)
