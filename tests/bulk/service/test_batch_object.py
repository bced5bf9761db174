"""What a batch tells of itself beside what OpenAI's does: its `fanout` field."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.bulk.local_jobs import LocalJobs, jsonl, line, open_jobs, run

CAP = 1_000.0
"""So much that nobody waits for it."""


async def told(jobs: LocalJobs, job_id: str) -> Mapping[str, object]:
    job = await jobs.service.jobs.find(job_id, None)
    shown: Mapping[str, object] = job.to_dict(await jobs.service.jobs.totals(job))["fanout"]
    return shown


def test_a_running_job_tells_its_cap_its_causes_its_calls_and_its_refusals(tmp_path: Path) -> None:
    async def main() -> None:
        held = asyncio.Event()
        refused: set[str] = set()

        async def before(_: str, text: str) -> tuple[int, Mapping[str, str]] | None:
            if text == "bad":
                return 400, {}
            if text == "busy" and text not in refused:
                refused.add(text)
                return 429, {}
            await held.wait()
            return None

        async with open_jobs(tmp_path) as jobs:
            jobs.provider.before = before
            data = jsonl(line(name) for name in ("bad", "busy", "c", "d"))
            job = await jobs.create(data, max_cost_usd=CAP)

            async def all_seen() -> bool:
                seen = await told(jobs, job.id)
                return (seen["in_flight"], seen["refused"]) == (3, 1) and bool(seen["causes"])

            await jobs.wait_until(all_seen)
            assert await told(jobs, job.id) == {
                "max_cost_usd": CAP,
                "retry_of": None,
                "causes": {"Rejected": 1},
                "examples": {
                    "Rejected": [{"custom_id": "bad", "line": 1, "message": "`a`: status 400"}]
                },
                "in_flight": 3,
                "refused": 1,
            }
            held.set()
            await jobs.wait(job)
            after = await told(jobs, job.id)
            assert (after["in_flight"], after["refused"]) == (None, None)
            assert after["examples"] == {
                "Rejected": [{"custom_id": "bad", "line": 1, "message": "`a`: status 400"}]
            }

    run(main())
