"""The `fanout` field of a batch, which OpenAI's batches do not have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from fanout.bulk.activity import Activity, Wait, merge
from fanout.bulk.service.records import Job
from fanout.bulk.totals import Totals
from tests.bulk.local_jobs import LocalJobs, jsonl, line, open_jobs, run

CAP = 1_000.0
"""A cost cap that no line has to wait for."""


async def fanout_field(jobs: LocalJobs, job_id: str) -> Mapping[str, object]:
    job = await jobs.service.jobs.find(job_id, None)
    field: Mapping[str, object] = job.to_dict(await jobs.service.jobs.totals(job))["fanout"]
    return field


def test_a_running_job_shows_its_cost_cap_its_failures_and_its_calls(tmp_path: Path) -> None:
    async def main() -> None:
        may_respond = asyncio.Event()
        refused: set[str] = set()

        async def before(_: str, text: str) -> tuple[int, Mapping[str, str]] | None:
            if text == "bad":
                return 400, {}
            if text == "busy" and text not in refused:
                refused.add(text)
                return 429, {}
            await may_respond.wait()
            return None

        async with open_jobs(tmp_path) as jobs:
            jobs.provider.before = before
            data = jsonl(line(name) for name in ("bad", "busy", "c", "d"))
            job = await jobs.create(data, max_cost_usd=CAP)

            async def all_are_shown() -> bool:
                field = await fanout_field(jobs, job.id)
                return (field["in_flight"], field["refused"]) == (3, 1) and bool(field["causes"])

            await jobs.wait_until(all_are_shown)
            field = {**await fanout_field(jobs, job.id)}
            assert field.pop("lines_per_second") is None
            assert field.pop("seconds_left") is None
            assert field.pop("waits") == []
            assert field == {
                "max_cost_usd": CAP,
                "known_cost_usd": 0.0,
                "unpriced_lines": 0,
                "lane": "auto",
                "cache": "order",
                "lanes": {"realtime": {"lines": 0, "known_cost_usd": 0.0, "saved_usd": 0.0}},
                "saved_usd": 0.0,
                "retry_of": None,
                "causes": {"t": 1},
                "examples": {"t": [{"custom_id": "bad", "line": 1, "message": "`a`: status 400"}]},
                "in_flight": 3,
                "refused": 1,
            }
            may_respond.set()
            await jobs.wait(job)
            after = await fanout_field(jobs, job.id)
            assert (after["in_flight"], after["refused"]) == (None, None)
            assert after["examples"] == {
                "t": [{"custom_id": "bad", "line": 1, "message": "`a`: status 400"}]
            }

    run(main())


def left(*waits: Wait, done: int = 60) -> float | None:
    job = Job(
        id="j",
        owner="o",
        host="h",
        input_key="k",
        input_file_id="f",
        completion_window="24h",
        created_at=0,
        expires_at=9,
        status="in_progress",
        total=100,
    )
    totals = Totals(done=done)
    totals.activity = Activity(1_000.0, rate=2.0, waits=list(waits))
    return job.seconds_left(totals)


def test_the_time_left_is_that_of_the_last_minutes_speed_or_of_the_longest_wait() -> None:
    assert left() == 20.0
    assert left(Wait("rate_limit", "", until=1_005.0, lines=40)) == 20.0
    assert left(Wait("rate_limit", "", until=4_600.0, lines=3)) == 3_600.0
    assert left(Wait("provider_error", "", until=1_030.0, lines=3)) == 30.0
    assert left(Wait("provider_error", "", until=1_001.0, lines=30)) == 5.0


def test_lines_that_wait_for_their_next_attempt_end_after_the_last_one() -> None:
    soon, late = (Wait("provider_error", "c", until=1_000.0 + at, lines=3) for at in (2, 45))
    for waits in ([soon, late], merge([late, soon]), merge([*merge([soon, late]), soon])):
        assert left(*waits, done=94) == left(*waits, done=93) == 45.0
    assert left(Wait("provider_error", "", lines=3), done=97) is None


def test_the_time_left_is_unknown_while_no_line_starts() -> None:
    assert left(Wait("storage_full", "")) is None
    assert left(done=100) == 0
