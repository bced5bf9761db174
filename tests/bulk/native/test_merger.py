"""
The merger against providers that are slow, fail and lose responses, in processes that are killed.

Each line has one result; none is paid for twice that is not reported; no deadline is missed.
"""

from __future__ import annotations

import random

from fanout.config.load import check
from fanout.config.resolve import resolve
from tests.bulk.native.native_jobs import KINDS, config
from tests.bulk.native.simulated_job import SimulatedJob, run_all
from tests.support.native_doubles.script import Poll, Script

JOBS = 150
"""A thousand take half a minute."""

HOUR = 3600.0
COUNT = 12
ODD_POLLS: list[Poll] = [500, 429, "unknown", "garbage"]


def script(chance: random.Random) -> Script:
    """What happens to a batch: most end within hours, some never, and responses are lost."""
    more = {
        "reply": chance.choices(["sent", "lost", "failed"], [8, 1, 1])[0],
        "late_reads": chance.choice([0, 0, 3]),
        "late_lists": chance.choice([0, 1]),
        "polls": tuple(chance.choices(ODD_POLLS, k=chance.choice([0, 0, 3]))),
        "over_limit": chance.random() < 0.05,
        "bad_line": chance.choice([None] * 9 + [3]),
        "counts": chance.choice(["true", "zero", "wrong"]),
        "shuffled": chance.random() < 0.5,
        "duplicated": chance.choice([0, 2]),
        "foreign": chance.choice([0, 1]),
        "cut_downloads": chance.choice([0, 0, 2]),
        "stuck": chance.choice([None] * 18 + [0.0, 0.5]),
        "cancel": chance.choice(["keeps", "keeps", "loses", "too late", "never ends"]),
    }
    queue = 1800 * chance.lognormvariate(0.0, 1.2)
    return Script(queue=queue, run=queue * chance.random(), **more)  # type: ignore[arg-type]


def test_jobs_have_one_result_for_each_line_in_time_and_at_half_the_price() -> None:
    chance = random.Random(7)  # noqa: S311 -- no secret
    catalog = resolve(check(config(), {}), {})
    jobs = [
        SimulatedJob(catalog, vendor, hours, COUNT, script(chance), seed)
        for seed in range(JOBS)
        for vendor, hours in [(sorted(KINDS)[seed % 4], (1, 6, 24)[seed % 3])]
    ]
    run_all(jobs)
    wrong = [
        (job.names[0], job.window / HOUR, found)
        for job in jobs
        if (
            found := {
                "results": job.results.keys() ^ set(job.names),
                "late": job.ended_at > job.deadline,
                "twice": job.bill.twice() - job.hedged,
            }
        )
        if any(found.values())
    ]
    assert wrong == []
    longest = [
        job
        for job in jobs
        if job.window == 24 * HOUR and job.script.stuck is None and job.script.bad_line is None
    ]
    paid = sum(job.bill.nanodollars for job in longest)
    assert paid <= 0.55 * sum(job.bill.at_list_price for job in longest)
