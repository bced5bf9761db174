"""Small jobs and the check of a file do not wait for large jobs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fanout.bulk.local.job_tasks import MAX_LARGE_JOBS, SMALL_JOB
from tests.bulk.local_jobs import CONFIG_WITH_LIMIT, EchoProvider, jsonl, line, open_jobs, run


def test_a_small_job_and_a_broken_file_are_over_while_large_jobs_wait_for_each_other(
    tmp_path: Path,
) -> None:
    provider, ending = EchoProvider(), asyncio.Event()

    async def slow(_model: str, text: str) -> None:
        if not text.startswith("quick"):
            await ending.wait()

    provider.before = slow

    async def main() -> None:
        async with open_jobs(tmp_path, provider, config=CONFIG_WITH_LIMIT) as jobs:
            lines = [line(f"n{i}") for i in range(SMALL_JOB + 1)]
            large = [await jobs.create(jsonl(lines)) for _ in range(MAX_LARGE_JOBS + 1)]
            small = await jobs.create(jsonl([line("quick")]))
            broken = await jobs.create(b"{oops\n")
            assert (await jobs.wait(small)).status == "completed"
            assert (await jobs.wait(broken)).status == "failed"
            assert {(await jobs.job(job)).is_over for job in large} == {False}

    run(main())
