"""
The merger against providers that are slow, fail and lose responses, in processes that are killed.

Each line has one result; none is paid for twice that is not reported; no deadline is missed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from msgspec.structs import replace

from fanout.bulk.native.split import split
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.providers.native_batch import Fault
from tests.bulk.native.native_jobs import KINDS, LEAST, config
from tests.bulk.native.simulated_job import SimulatedJob, run_all
from tests.support.native_doubles.script import Poll, Script, in_turn

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


def count_of(vendor: str) -> int:
    return LEAST if vendor == "bedrock" else COUNT


def test_jobs_have_one_result_for_each_line_in_time_and_at_half_the_price() -> None:
    chance = random.Random(7)  # noqa: S311 -- no secret
    catalog = resolve(check(config(), {}), {})
    jobs = [
        SimulatedJob(catalog, vendor, hours, count_of(vendor), script(chance), seed)
        for seed in range(JOBS)
        for vendor, hours in [(sorted(KINDS)[seed % len(KINDS)], (1, 6, 24)[seed % 3])]
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
    longest = [job for job in jobs if job.window == 24 * HOUR]
    paid = sum(job.bill.nanodollars for job in longest)
    assert paid <= 0.55 * sum(job.bill.at_list_price for job in longest)


DONE, STUCK = Script(), Script(queue=60.0, stuck=0.5)
FAILS = Script(bad_line=COUNT + 9)
LATER: dict[str, tuple[list[Script], float, dict[str, int]]] = {
    "never starts": ([Script(queue=1000 * HOUR), DONE], 24, {"native": COUNT}),
    "half done": ([STUCK, DONE], 24, {"native": COUNT}),
    "half done twice": ([STUCK], 24, {"native": 9, "realtime": 3}),
    "half done three times": ([STUCK], 48, {"native": 10, "realtime": 2}),
    "half done, and six hours": ([STUCK, DONE], 6, {"native": 6, "realtime": 6}),
    "slow, but in time": ([Script(queue=16 * HOUR)], 24, {"native": COUNT}),
    "gone, and six hours": ([Script(gone=True), DONE], 6, {"realtime": COUNT}),
    "gone": ([Script(gone=True), DONE], 24, {"realtime": COUNT}),
    "fails once": ([FAILS, DONE], 24, {"native": COUNT}),
    "fails twice": ([FAILS, FAILS, DONE], 24, {"native": COUNT}),
    "always fails": ([FAILS], 24, {"realtime": COUNT}),
    "fails, and is one line": ([Script(bad_line=1), DONE], 24, {"native": 11, "realtime": 1}),
}
"""What happens to the batches of a job, its hours, and the lanes of its lines."""


def test_what_a_batch_does_not_answer_goes_by_up_to_two_more_while_there_is_time() -> None:
    catalog = resolve(check(config(), {}), {})
    wrong = []
    for name, (scripts, hours, lanes) in LATER.items():
        job = SimulatedJob(catalog, "openai", hours, COUNT, scripts[0], 1, kills=0.0)
        job.double.script = in_turn(*scripts)
        run_all([job])
        found = dict(Counter(job.results.values()))
        is_late = job.ended_at > job.deadline
        unclear = {job.names[number - 1] for number in job.unclear}
        if found != lanes or is_late or job.bill.twice() != unclear or job.hedged:
            wrong.append((name, found, (job.ended_at - job.began) / HOUR))
    assert wrong == []


def test_the_ledger_is_written_five_times_a_batch_and_once_for_each_look() -> None:
    catalog = resolve(check(config(), {}), {})
    found = {}
    for hours in (0.02, 1, 5):
        script = Script(queue=hours * HOUR, run=0.0)
        job = SimulatedJob(catalog, "openai", 24, 100, script, 1, kills=0.0)
        run_all([job])
        assert set(job.results.values()) == {"native"}
        polls = sum(path.count("/batches/") for method, path in job.double.calls)
        found[hours] = (job.records.writes - polls, polls)
    assert {writes for writes, _ in found.values()} == {1 + 5}  # the job has a record, too
    assert [polls for _, polls in found.values()] == [2, 21, 69]


AWS_ENDS: dict[str, tuple[Script, float, int]] = {
    "no room, then room": (Script(over_limit=True), 6, LEAST),
    "Failed, and again not": (Script(bad_line=7), 6, LEAST),
    "Stopped before it began": (Script(queue=1000 * HOUR), 6, 0),
    "Stopped": (Script(queue=60.0, stuck=0.5), 6, LEAST // 2),
    "Expired, and again not": (Script(queue=1000 * HOUR), 72, LEAST),
    "PartiallyCompleted": (Script(queue=60.0, stuck=0.5), 72, LEAST // 2),
}
"""What happens to a job, the window in hours, and how many lines have its rows."""


def test_each_end_of_a_job_of_aws_gives_its_rows_and_other_lines_count_if_there_are_any() -> None:
    """AWS bills what it has processed, and does not say that all of that is in the output."""
    catalog = resolve(check(config(), {}), {})
    jobs = {
        name: SimulatedJob(catalog, "bedrock", hours, LEAST, script, 7, kills=0.0)
        for name, (script, hours, _) in AWS_ENDS.items()
    }
    run_all(list(jobs.values()))
    assert {
        name: (list(job.results.values()).count("native"), len(job.hedged), job.bill.twice())
        for name, job in jobs.items()
    } == {name: (rows, 0, set()) for name, (_, _, rows) in AWS_ENDS.items()}
    assert {name: len(job.unclear) for name, job in jobs.items() if job.unclear} == {
        "Stopped": LEAST // 2,
        "PartiallyCompleted": LEAST // 2,
    }
    states = {
        one.state(job.clock()) for job in jobs.values() for one in job.double.batches.values()
    }
    assert states == {"completed", "failed", "cancelled", "expired"}


def test_a_failed_batch_keeps_the_time_of_one_line_or_none_if_these_are_sent_already() -> None:
    """One wrong line is sent in real time; what is hedged never waits for another batch."""
    catalog = resolve(check(config(rpm=6), {}), {})
    job = SimulatedJob(catalog, "openai", 24, COUNT, Script(), 1, kills=0.0)

    async def after(fault: Fault, *, hedged: bool) -> tuple[str, bool, float, int]:
        _, native = await job.begin()
        (row,) = [one for one in await native.ledger.rows() if one.number == 1]
        failed = replace(row, state="ended", fault=fault, hedged=hedged, count=COUNT)
        route = native.route(row)
        assert route is not None
        found = await split(native, failed, route)
        job.records.values.clear()
        return found.state, found.hedged, found.backlog.seconds, found.missing

    busy, wrong = Fault("token_limit_exceeded", "full"), Fault("invalid", "no", line=3)
    assert asyncio.run(after(wrong, hedged=False)) == ("stored", False, 10.0, 1)
    assert asyncio.run(after(busy, hedged=False)) == ("planned", False, 10.0 * COUNT, 0)
    assert asyncio.run(after(busy, hedged=True)) == ("stored", True, 10.0 * COUNT, COUNT)
