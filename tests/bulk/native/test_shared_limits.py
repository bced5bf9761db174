"""Jobs that share the rate limit of a model keep their deadlines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.native.give_up_order import deadlines
from fanout.bulk.native.ledger import BatchEntry
from fanout.bulk.native.realtime import Backlog, PlannedTime
from fanout.bulk.native.shared_limits import other_lines, turns_of_others
from fanout.bulk.service.records import Job
from tests.bulk.local_jobs import jsonl, line
from tests.bulk.native.native_jobs import Providers, config, now, run_jobs
from tests.bulk.native.simulated_cases import Outcome
from tests.support.native_doubles.script import Script

HOUR = 3600.0
NEVER = Script(queue=1000 * HOUR)

Settings = Mapping[str, Any]
CASES: list[tuple[str, list[int], int, Settings]] = [
    ("three equal jobs", [100, 100, 100], 4, {"rpm": 4}),
    ("one large and three small ones", [300, 100, 100, 20], 5, {"rpm": 5}),
    ("a limit of tokens", [100, 100], 3, {"tpm": 1_550}),
    ("a limit that only headers state", [150, 150, 150], 5, {}),
]


def data(job: int, count: int) -> bytes:
    return jsonl(line(f"j{job}n{n}", "openai", max_tokens=500) for n in range(count))


@pytest.mark.parametrize(("counts", "calls", "settings"), [one[1:] for one in CASES])
def test_jobs_whose_batches_never_start_take_turns_at_the_limit_in_time(
    tmp_path: Path, counts: list[int], calls: int, settings: Settings
) -> None:
    providers = Providers({"openai": NEVER}, Outcome(now, calls, is_bad=False))
    if not settings:
        providers.doubles["openai"].limit_headers = {
            "x-ratelimit-limit-requests": str(calls),
            "x-ratelimit-remaining-requests": str(calls - 1),
            "x-ratelimit-reset-requests": f"{60 / calls:g}s",
        }
    jobs = [(data(*one), 0.0, {"completion_window": "6h"}) for one in enumerate(counts)]
    found = run_jobs(tmp_path, providers, jobs, config(**settings))
    assert [(one.job.status, one.errors) for one in found] == [("completed", {})] * len(jobs)
    assert max(one.seconds for one in found) < 6 * HOUR
    assert min(one.seconds for one in found) > 2 * HOUR or len(set(counts)) > 1
    assert providers.batches >= len(jobs)


def test_a_job_in_real_time_that_begins_later_makes_no_job_late(tmp_path: Path) -> None:
    """The batches' lines take 50 minutes alone. The other job fills the limit for five hours."""
    jobs: list[tuple[bytes, float, Settings]] = [
        (data(0, 250), 0.0, {"completion_window": "6h"}),
        (data(1, 1_500), 3.5 * HOUR, {"lane": "realtime", "completion_window": "24h"}),
    ]
    first, other = run_jobs(tmp_path, Providers({"openai": NEVER}), jobs, config(rpm=5))
    assert (first.job.status, first.errors, other.errors) == ("completed", {}, {})
    assert 4.5 * HOUR < first.seconds < 6 * HOUR


def job(name: str, **more: Any) -> Job:
    return Job(
        **{
            "id": name, "host": "h", "owner": "o", "input_file_id": "f", "input_key": "k",
            "completion_window": "24h", "created_at": 0, "expires_at": 1_000,
            "status": "in_progress", "models": {"a": 100}, **more,
        }
    )  # fmt: skip


def test_open_jobs_of_the_same_models_count_with_at_most_as_many_lines() -> None:
    own = job("own", models={"a": 100, "b": 10})
    others = {
        "larger": job("larger", models={"a": 5_000, "b": 3, "c": 9}),
        "smaller": job("smaller", models={"a": 7}),
        "of another model": job("of another model", models={"c": 7}),
        "ending": job("ending", reason="capped"),
        "joined": job("joined", status="finalizing"),
        "over": job("over", status="completed"),
        "expired": job("expired", expires_at=400),
        "left alone": job("left alone", waits_for="a server with its models"),
    }
    assert other_lines(own, [own, *others.values()], 500.0) == [{"a": 100, "b": 3}, {"a": 7}]


def test_each_other_job_takes_its_lines_and_no_more_turns_than_the_job_itself() -> None:
    seconds, others = {"a": 6.0}, [{"a": 100}, {"a": 10, "b": 5}]
    found = [turns_of_others(others, seconds, 2.0, own) for own in (0.0, 30.0, 300.0, 6_000.0)]
    assert found == [0.0, 60.0, 370.0, 670.0]


def test_batches_are_given_up_earlier_by_the_turns_of_other_jobs() -> None:
    """The batches' lines take 60 and 240 seconds, those that no batch holds 100."""
    time = PlannedTime(Backlog(seconds=400.0), lines=40)
    rows = [
        BatchEntry(1, "k", "d", "m", "1-6", 6, backlog=Backlog(60.0)),
        BatchEntry(2, "k", "d", "m", "7-30", 24, backlog=Backlog(240.0)),
    ]

    def times(*others: dict[str, int]) -> list[tuple[float, float, float]]:
        found = deadlines(
            rows, time, 40, now=0.0, at=1e6, window=6 * HOUR, learned={}, other_jobs=others
        )
        return [(one.realtime, one.whole, one.ahead) for one in map(found, rows)]

    assert times() == [(400.0, 400.0, 100.0), (340.0, 400.0, 100.0)]
    assert times({"m": 40}) == [(800.0, 800.0, 200.0), (680.0, 800.0, 200.0)]
    assert times({"m": 2}, {"m": 1}) == [(430.0, 430.0, 100.0), (370.0, 430.0, 100.0)]
    assert times({"other": 40}) == times(
        {"m": 40}
    )  # its lines take as long as the job's on average
