"""Batches are given up in time for the rate limits of the models and the size of the lines."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.input.line_parser import parse_line
from fanout.bulk.native.deadline import Deadline
from fanout.bulk.native.give_up_order import deadlines
from fanout.bulk.native.ledger import BatchEntry
from fanout.bulk.native.realtime import Backlog, PlannedTime, line_backlog
from fanout.bulk.pacing.estimated_limit import ROUGH, SETTLED, Estimate
from fanout.bulk.pacing.rate_limit_state import MemoryRateLimitStore
from fanout.bulk.pacing.steady_limits import steady_limits
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.providers.rate_limits import Limits
from tests.bulk.local_jobs import jsonl, line
from tests.bulk.native.native_jobs import Providers, config, lines_of, now, run_job
from tests.bulk.native.simulated_cases import Limit, Outcome
from tests.bulk.native.simulated_job import SimulatedJob, run_all
from tests.support.native_doubles.script import Script

HOUR = 3600.0
NEVER = Script(queue=1000 * HOUR)

LIMITS = [
    Limit(20, 1_200, stated="rpm"),
    Limit(4, 300, 5_000, "tpm"),
    Limit(20, 600, 1_000, "tpm"),
    Limit(60, 1_200, 20, "tpm"),
    Limit(60, 2_100, stated=None),
]


def test_lines_whose_batches_never_start_are_sent_in_time_at_any_rate_limit() -> None:
    wrong: list[Any] = []
    for number, limit in enumerate(LIMITS):
        catalog = resolve(check(config(**limit.settings), {}), {})
        seconds = 60.0 / limit.calls
        job = SimulatedJob(
            catalog, "openai", 6, limit.lines, NEVER, number, 0.0,
            seconds=seconds, max_tokens=limit.tokens,
        )  # fmt: skip
        run_all([job])
        early = job.deadline - job.ended_at
        is_in_time = 0 <= early < HOUR + limit.lines * seconds / 2
        if not is_in_time or len(job.results) != limit.lines or not job.double.batches:
            wrong.append((limit, early / HOUR, len(job.results)))
    assert wrong == []


def test_a_job_of_large_lines_keeps_its_deadline_at_a_limit_of_tokens(tmp_path: Path) -> None:
    data = jsonl(line(f"n{n}", "openai", text=f"{n} " + "word " * 4000) for n in range(300))
    providers = Providers({"openai": NEVER})
    settings = config(tpm=20_000)
    found = run_job(tmp_path, providers, data, completion_window="6h", settings=settings)
    assert (found.job.status, found.errors, providers.batches) == ("completed", {}, 2)
    assert found.seconds < 6 * HOUR


def test_a_job_keeps_its_deadline_at_a_provider_whose_limit_is_not_in_the_config(
    tmp_path: Path,
) -> None:
    """Also if another model of the job has a high one."""
    data = lines_of(["openai"], 1_500) + jsonl([line("other", "mistral")])
    settings = config()
    for entry in settings["model_list"]:
        if entry["model_name"] == "mistral":
            entry["litellm_params"]["rpm"] = 60_000
    providers = Providers({"openai": NEVER}, Outcome(now, 60, is_bad=False))
    found = run_job(tmp_path, providers, data, completion_window="6h", settings=settings)
    assert (found.job.status, found.errors, providers.batches) == ("completed", {}, 7)
    assert found.seconds < 6 * HOUR


SLOW = 4
"""Calls a minute of a provider that takes as many as its headers say."""

STATED = {
    "anthropic": {"anthropic-ratelimit-requests-limit": str(SLOW)},
    "openai": {
        "x-ratelimit-limit-requests": str(SLOW),
        "x-ratelimit-remaining-requests": str(SLOW - 1),
        "x-ratelimit-reset-requests": f"{60 / SLOW:g}s",
    },
}


@pytest.mark.parametrize("vendor", STATED)
def test_one_line_in_real_time_shows_the_limits_by_which_batches_are_given_up(
    tmp_path: Path, vendor: str
) -> None:
    """500 lines take two hours there. If two batches are late, one of them is given up."""
    cases = (("never", NEVER, 500), ("usual", Script(), 1), ("late", Script(queue=3.4 * HOUR), 251))
    for name, script, in_real_time in cases:
        providers = Providers({vendor: script}, Outcome(now, SLOW, is_bad=False))
        providers.doubles[vendor].limit_headers = STATED[vendor]
        data = lines_of([vendor], 500)
        found = run_job(tmp_path / name, providers, data, completion_window="6h")
        assert (found.job.status, found.errors) == ("completed", {})
        assert found.lanes.get("realtime") == in_real_time
        assert found.seconds < 6 * HOUR
        assert (providers.batches, providers.bill.twice()) == (2, set())


def test_a_job_that_requires_batches_sends_no_line_in_real_time(tmp_path: Path) -> None:
    found = run_job(tmp_path, Providers(), lines_of(["openai"], 130), native="require")
    assert found.lanes == {"native": 130}


def test_learned_limits_of_a_model_count_with_each_kind_and_estimates_without_their_growth() -> (
    None
):
    now, store = 1e9, MemoryRateLimitStore()
    limits = Limits(requests=60.0, input_tokens=600.0, output_tokens=300.0)
    store.record_limits("stated", "one", limits, now)
    settled = Estimate(30.0, now - 40_000, trust=SETTLED)
    store.note("measured", settled.numbers, now)
    store.note("rough", replace(settled, trust=ROUGH).numbers, now)

    async def of(model: str) -> Limits | None:
        return await steady_limits(store, model, now, 0.5)

    found = [asyncio.run(of(name)) for name in ("stated", "measured", "rough", "unknown")]
    assert found == [Limits(30.0, None, 300.0, 150.0), Limits(15.0), None, None]
    backlog = Backlog(seconds=1, unlimited=10, sent=100, received=50)
    times = [backlog.at(one or Limits()) for one in found]
    assert times == [Backlog(21.0), Backlog(41.0), backlog, backlog]
    assert Backlog(unlimited=200).at(Limits(requests=1e6)) == Backlog(10.0)


def test_batches_are_given_up_one_after_the_other_as_their_lines_can_be_sent() -> None:
    """Of five batches that end 75 minutes before the deadline, two are given up."""
    limit, late = Limit(20, 1_200), Script(queue=4.6 * HOUR, run=60.0)
    catalog = resolve(check(config(**limit.settings), {}), {})
    for vendor in ("openai", "anthropic", "mistral"):
        job = SimulatedJob(catalog, vendor, 6, 1_200, late, 1, 0.0, seconds=3.0)
        job.double.script = lambda _: late
        run_all([job])
        lanes = Counter(job.results.values())
        assert job.ended_at <= job.deadline
        assert (lanes["realtime"], len(job.double.batches)) == (500, 5), vendor


def test_a_batch_is_kept_while_lines_ahead_are_sent_but_never_after_its_own_time() -> None:
    """The deadline is at 20,000 s, the batch's lines take 2,000 s and those ahead 4,000 s."""

    def times(now: float, ahead: float) -> tuple[float, float]:
        found = Deadline(20_000.0, 2_000.0 + ahead, 2_000.0 + ahead, ahead, now)
        return found.give_up_at(30.0), found.hedge_at

    assert times(0.0, 0.0) == (16_250.0, 16_700.0)
    assert times(0.0, 4_000.0) == (10_250.0, 10_700.0)
    assert times(10_300.0, 4_000.0) == (10_300.0 + 4_000.0 - 450.0, 14_300.0)
    assert times(16_300.0, 4_000.0) == (16_250.0, 16_700.0)  # those ahead wait for something else


def test_a_stored_batch_counts_with_the_lines_that_have_no_result_and_no_other_batch() -> None:
    time = PlannedTime(Backlog(seconds=300.0), lines=30)
    half = BatchEntry(
        1, "k", "d", "m", "1-10", 10, backlog=Backlog(100.0), state="stored", succeeded=4, missing=1
    )
    follows = BatchEntry(100_001, "k", "d", "m", "1-5", 5, backlog=Backlog(50.0), attempt=2)
    other = BatchEntry(2, "k", "d", "m", "11-30", 20, backlog=Backlog(200.0))
    deadline = deadlines(
        [half, follows, other], time, 30, now=0.0, at=1e6, window=6 * HOUR, learned={}
    )
    assert [deadline(one).realtime for one in (half, other, follows)] == [260.0, 250.0, 50.0]


def test_each_model_counts_by_its_own_limits_and_each_line_by_its_tokens() -> None:
    settings = config()
    limits = {"openai": {"rpm": 60}, "anthropic": {"tpm": 6_000}, "gemini": {"rpm": 600, "tpm": 60}}
    for entry in settings["model_list"]:
        entry["litellm_params"] |= limits.get(entry["model_name"], {})
    settings["general_settings"] = {"batch_share": 0.5}
    backlog = line_backlog(resolve(check(settings, {}), {}))

    def of(model: str, **more: Any) -> Backlog:
        return backlog(parse_line(line("a", model, **more), 1, None), 400)

    assert of("openai") == of("openai", max_tokens=9_000) == Backlog(seconds=2.0)
    assert of("anthropic", max_tokens=900) == Backlog(seconds=20.0)
    assert of("gemini", max_tokens=20) == Backlog(seconds=240.0)
    assert of("mistral") == Backlog(unlimited=1, sent=100, received=500)


def test_calls_without_a_limit_take_a_second_each_as_far_as_there_is_time() -> None:
    hours = [1, 2, 6, 24]
    few, many = Backlog(unlimited=100), Backlog(seconds=5, unlimited=100_000)
    assert [few.duration(one * HOUR) for one in hours] == [5, 5, 100, 100]
    assert [many.duration(one * HOUR) for one in hours] == [5_005, 5_005, 5_005, 13_205]


def test_the_lines_that_no_batch_holds_count_as_the_others_of_the_plan() -> None:
    planned = PlannedTime(Backlog(seconds=100, unlimited=30), lines=40)
    held = Backlog(seconds=90)
    assert planned.others(40, held, 10) == Backlog(10, 30)
    assert planned.others(25, held, 10) == Backlog(5, 15)
    assert planned.others(10, held, 10) == Backlog()
    assert planned.others(5, Backlog(100, 30), 40) == Backlog()


def test_a_ledger_without_times_counts_its_lines_as_unlimited() -> None:
    row = BatchEntry(1, "k", "d", "m", "1-8", 8)
    assert PlannedTime().others(12, row.backlog, row.count) == Backlog(unlimited=12)
    assert PlannedTime().others(2, row.backlog, row.count) == Backlog(unlimited=8)
