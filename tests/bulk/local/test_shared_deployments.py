"""Jobs that wait for their model leave room for small jobs, chats, and the jobs of other models."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.service.records import Job
from fanout.bulk.work.line_slots import LEAST_WAITING
from fanout.gateway.run import Context
from fanout.schema.fanout import parse_request
from tests.bulk.local_jobs import (
    CONFIG,
    KNOWN_LIMIT,
    EchoProvider,
    LocalJobs,
    jsonl,
    line,
    open_jobs,
)
from tests.support.virtual_clock import now, run_threads_at_once

SECONDS = 0.5
"""What a call takes."""

SLOTS = 40
"""The slots of the gateway: fewer than the lines of a large job that may be in flight."""

MANY = 600
"""Lines of a large job, which takes longer than any test."""


def config(**limits: Any) -> dict[str, Any]:
    """A gateway with few slots and two keys; `narrow` has these limits, `wide` none."""
    params = CONFIG["model_list"][0]["litellm_params"] | KNOWN_LIMIT
    return {
        "model_list": [
            {"model_name": "narrow", "litellm_params": params | limits},
            {"model_name": "wide", "litellm_params": params},
        ],
        "router_settings": {"num_retries": 0},
        "general_settings": {
            "keys": [{"name": name, "key": f"sk-{name}"} for name in ("busy", "other")],
            "global_max_parallel_requests": SLOTS,
        },
    }


async def respond(_model: str, _text: str) -> None:
    await asyncio.sleep(SECONDS)


async def large(jobs: LocalJobs, number: int = 1) -> list[Job]:
    """So many large jobs of the key `busy`, which are in full flow."""
    lines = [line(f"n{i}", "narrow") for i in range(MANY)]
    made = [await jobs.create(jsonl(lines), "busy") for _ in range(number)]
    await asyncio.sleep(20.0)
    return made


async def seconds_of_job(jobs: LocalJobs, model: str, owner: str) -> float:
    """How long a job of one line takes."""
    began = now()
    job = await jobs.create(jsonl([line("one", model)]), owner)
    while not (found := await jobs.job(job)).is_over:  # noqa: ASYNC110 -- virtual time
        await asyncio.sleep(0.1)
    assert found.status == "completed"
    return now() - began


async def seconds_of_chat(jobs: LocalJobs, model: str, owner: str) -> float:
    """How long a chat takes."""
    began = now()
    client = jobs.gateway.catalog.client(owner)
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    await jobs.gateway.chat(parse_request(body), Context("r", client, patience=1.0))
    return now() - began


def run_with(tmp_path: Path, settings: Mapping[str, Any], main: Any) -> None:
    provider = EchoProvider()
    provider.before = respond

    async def opened() -> None:
        async with open_jobs(tmp_path, provider, now=now, config=settings) as jobs:
            await main(jobs)

    run_threads_at_once(opened(), 0.0)


@pytest.mark.parametrize("number", [1, 3])
def test_small_jobs_and_chats_take_turns_with_large_jobs_of_their_model(
    tmp_path: Path, number: int
) -> None:
    async def main(jobs: LocalJobs) -> None:
        await large(jobs, number)
        for owner in ("busy", "other"):
            assert await seconds_of_chat(jobs, "narrow", owner) <= 2 * SECONDS
            assert await seconds_of_job(jobs, "narrow", owner) <= 4.0
            assert await seconds_of_chat(jobs, "wide", owner) == pytest.approx(SECONDS, abs=0.1)
            assert await seconds_of_job(jobs, "wide", owner) <= 3.0

    run_with(tmp_path, config(max_parallel_requests=4), main)


def test_a_large_job_uses_its_model_all_the_time_and_has_few_lines_waiting(
    tmp_path: Path,
) -> None:
    async def main(jobs: LocalJobs) -> None:
        (job,) = await large(jobs)
        totals = await jobs.service.jobs.totals(await jobs.job(job))
        before = totals.done
        await asyncio.sleep(20.0)
        totals = await jobs.service.jobs.totals(await jobs.job(job))
        assert totals.done - before == pytest.approx(4 * 20.0 / SECONDS, rel=0.05)
        waits = (await jobs.job(job)).to_dict(totals)["fanout"]["waits"]
        assert "concurrency_limit" in {wait["reason"] for wait in waits}
        assert sum(wait["lines"] for wait in waits) <= LEAST_WAITING

    run_with(tmp_path, config(max_parallel_requests=4), main)


def test_lines_that_wait_for_their_models_rate_limit_hold_no_slot(tmp_path: Path) -> None:
    async def main(jobs: LocalJobs) -> None:
        await large(jobs, 3)
        for owner in ("busy", "other"):
            assert await seconds_of_chat(jobs, "wide", owner) == pytest.approx(SECONDS, abs=0.1)
            assert await seconds_of_chat(jobs, "narrow", owner) == pytest.approx(SECONDS, abs=0.1)
            assert await seconds_of_job(jobs, "wide", owner) <= 3.0
            assert await seconds_of_job(jobs, "narrow", owner) <= 10.0

    run_with(tmp_path, config(rpm=60), main)
