"""
Jobs whose lines are on the providers' flex tiers: one result for each line, at what it was billed.

The double keeps its own bill. Time is virtual: a job of hours takes a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.bulk.service.new_job import BatchOptions
from fanout.bulk.service.records import Job
from fanout.routing.flex import FLEX_TIMEOUT
from tests.bulk.flex_provider import FLEX, MODELS, STANDARD, FlexProvider, Outcome, flex_config
from tests.bulk.local_jobs import jsonl, line, open_jobs
from tests.support.virtual_clock import now, run_threads_at_once

pytestmark = pytest.mark.usefixtures("rare_reports")

COUNT = 40


def run_job(
    home: Path,
    provider: FlexProvider,
    model: str = "openai",
    lane: str | None = "flex",
    *,
    config: Any = None,
    count: int = COUNT,
    more: dict[str, Any] | None = None,
    concurrency: int = 100,
    **options: Any,
) -> tuple[Job, float]:
    """
    The record of a job after its end, and the virtual seconds that it took.

    Each line has one result, and the job's report is the provider's bill and its estimate.
    """

    async def main() -> tuple[Job, float]:
        few = {"initial_concurrency": concurrency, "max_concurrency": concurrency}
        async with open_jobs(
            home, provider, now=now, config=config or flex_config(), sync_interval=5.0, **few
        ) as jobs:
            data = jsonl(line(f"n{n}", model, **(more or {})) for n in range(count))
            fanout = BatchOptions(lane=lane)
            began = now()
            job = await jobs.create(data, fanout=fanout, **options)
            while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110 -- virtual time
                await asyncio.sleep(2)
            responses, errors = await jobs.responses(job), await jobs.error_codes(job)
            assert responses.keys() | errors.keys() == {f"n{n}" for n in range(count)}
            assert not responses.keys() & errors.keys()
            assert job.totals is not None
            assert job.totals.cost == provider.nanodollars + provider.estimated
            lanes = job.totals.by_lane
            assert sum(lane.cost for lane in lanes.values()) == job.totals.cost
            assert {name: lane.lines for name, lane in lanes.items() if lane.lines} == {
                {"default": "realtime"}.get(tier, tier): n for tier, n in provider.billed.items()
            }
            saved = provider.billed["flex"] * (STANDARD - FLEX)
            assert sum(lane.saved for lane in lanes.values()) == saved
            shown = job.to_dict(job.totals)["fanout"]
            assert shown["saved_usd"] == pytest.approx(saved / 1e9)
            return job, now() - began

    return run_threads_at_once(main(), 0.0)


@pytest.mark.parametrize("model", MODELS)
def test_a_job_on_flex_costs_what_the_provider_bills(tmp_path: Path, model: str) -> None:
    provider = FlexProvider()
    job, _ = run_job(tmp_path, provider, model)
    assert (job.status, job.lane) == ("completed", "flex")
    assert provider.billed == {"flex": COUNT}
    assert job.totals is not None
    assert job.to_dict(job.totals)["fanout"]["lanes"] == {
        "realtime": {"lines": 0, "known_cost_usd": 0.0, "saved_usd": 0.0},
        "flex": {
            "lines": COUNT,
            "known_cost_usd": pytest.approx(COUNT * FLEX / 1e9),
            "saved_usd": pytest.approx(COUNT * (STANDARD - FLEX) / 1e9),
        },
    }


def always(outcome: Outcome) -> Callable[[str, int], Outcome]:
    return lambda _text, _before: outcome


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("outcome", ["full", "hang", "unsupported", "downgrade"])
def test_what_the_tier_refuses_is_sent_in_real_time(
    tmp_path: Path, model: str, outcome: Outcome
) -> None:
    provider = FlexProvider(always(outcome))
    job, seconds = run_job(tmp_path, provider, model, count=10)
    assert (job.status, job.totals and job.totals.failed) == ("completed", 0)
    assert provider.billed == {"default": 10}
    assert seconds < (FLEX_TIMEOUT + 60 if outcome == "hang" else 60)


@pytest.mark.parametrize("model", MODELS)
def test_a_refused_line_tries_the_tier_again_before_it_is_sent_in_real_time(
    tmp_path: Path, model: str
) -> None:
    provider = FlexProvider(lambda text, before: "full" if before < len(text) % 5 else "ok")
    job, _ = run_job(tmp_path, provider, model)
    assert job.status == "completed"
    assert provider.billed == {"flex": COUNT}


def test_a_tier_that_has_room_again_after_ten_seconds_is_waited_for(tmp_path: Path) -> None:
    provider = FlexProvider(lambda _text, _before: "ok" if now() > 10 else "full")
    provider.seconds = {"default": 1.0, "flex": 0.1}
    job, _ = run_job(tmp_path, provider, count=COUNT)
    assert job.status == "completed"
    assert provider.billed["flex"] >= 0.6 * COUNT


def test_a_tier_without_any_room_is_hardly_asked(tmp_path: Path) -> None:
    """After a line was refused five times, the others do not ask for a minute."""
    provider = FlexProvider(always("full"))
    provider.seconds = {"default": 1.0, "flex": 0.1}
    job, _ = run_job(tmp_path, provider, count=400, concurrency=10)
    assert job.status == "completed"
    assert provider.billed == {"default": 400}
    assert provider.refused["full"] <= 5 * 10 * 2


def test_a_tier_that_rejects_its_requests_is_not_asked_any_more(tmp_path: Path) -> None:
    provider = FlexProvider(always("unsupported"))
    job, _ = run_job(tmp_path, provider, count=400, concurrency=10)
    assert (job.status, job.totals and job.totals.failed) == ("completed", 0)
    assert provider.refused["unsupported"] <= 3 + 10


def test_a_rate_limit_is_waited_for_and_then_the_tier_is_used(tmp_path: Path) -> None:
    provider = FlexProvider(lambda _text, before: "limited" if before == 0 else "ok")
    job, _ = run_job(tmp_path, provider, count=5)
    assert job.status == "completed"
    assert provider.billed == {"flex": 5}


@pytest.mark.parametrize(
    ("window", "lane"), [("1h", "realtime"), ("2h", "realtime"), ("3h", "auto"), ("24h", "auto")]
)
def test_without_a_lane_jobs_of_three_hours_and_more_are_on_auto(
    tmp_path: Path, window: str, lane: str
) -> None:
    provider = FlexProvider()
    job, _ = run_job(tmp_path, provider, lane=None, completion_window=window)
    assert job.lane == lane
    assert provider.billed == {"flex" if lane == "auto" else "default": COUNT}


@pytest.mark.parametrize("lane", ["auto", "flex"])
def test_models_without_a_cheaper_flex_tier_are_called_in_real_time(
    tmp_path: Path, lane: str
) -> None:
    provider = FlexProvider()
    job, _ = run_job(tmp_path, provider, "plain", lane)
    assert job.status == "completed"
    assert {tier for _, tier in provider.asked} == {None}


def test_the_lane_realtime_uses_no_flex_but_for_lines_that_ask_for_it(tmp_path: Path) -> None:
    provider = FlexProvider()
    run_job(tmp_path / "1", provider, lane="realtime")
    assert {tier for _, tier in provider.asked} == {None}
    own = FlexProvider(lambda text, _: "full" if text.endswith("1") else "ok")
    job, _ = run_job(tmp_path / "2", own, lane="realtime", more={"service_tier": "flex"})
    assert own.billed == {"flex": COUNT - 4, "default": 4}
    assert job.lane == "realtime"


@pytest.mark.parametrize("tier", ["default", "priority", "auto"])
def test_a_line_with_a_tier_of_its_own_keeps_it(tmp_path: Path, tier: str) -> None:
    provider = FlexProvider()
    run_job(tmp_path, provider, more={"service_tier": tier})
    assert {asked for _, asked in provider.asked} == {tier}


def test_a_tier_in_the_config_is_kept(tmp_path: Path) -> None:
    provider = FlexProvider()
    run_job(tmp_path, provider, config=flex_config(service_tier="default"))
    assert {asked for _, asked in provider.asked} == {"default"}


def test_a_tier_that_is_too_slow_does_not_make_the_job_late(tmp_path: Path) -> None:
    """In real time the job needs half of its window; on flex, seven windows."""
    hours, provider = 3, FlexProvider()
    provider.seconds = {"default": 60.0, "flex": FLEX_TIMEOUT - 10}
    job, seconds = run_job(
        tmp_path, provider, count=hours * 60, concurrency=2, completion_window=f"{hours}h"
    )
    assert (job.status, job.totals and job.totals.failed) == ("completed", 0)
    assert min(provider.billed["flex"], provider.billed["default"]) > 0
    assert seconds < hours * 3600 - 600


def test_near_its_deadline_a_job_is_sent_in_real_time(tmp_path: Path) -> None:
    provider = FlexProvider()
    provider.seconds = {"default": 1.0, "flex": 600.0}
    job, seconds = run_job(tmp_path, provider, count=60, concurrency=10, completion_window="1h")
    assert job.status == "completed"
    assert 0 < provider.billed["flex"] < 60
    assert seconds < 3600 - FLEX_TIMEOUT


def test_fallbacks_come_after_the_same_model_in_real_time(tmp_path: Path) -> None:
    config = flex_config()
    config["router_settings"]["fallbacks"] = [{"openai": ["plain"]}]
    provider = FlexProvider(always("full"))
    job, _ = run_job(tmp_path, provider, config=config, count=5)
    assert job.status == "completed"
    assert provider.billed == {"default": 5}


OUTCOMES: list[Outcome] = [
    "ok", "full", "hang", "unsupported", "limited", "broken", "downgrade",
]  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(
    script=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=8),
    model=st.sampled_from(sorted(MODELS)),
    lane=st.sampled_from(["auto", "flex", None]),
)
def test_each_line_has_one_result_and_the_report_is_the_bill(
    tmp_path_factory: pytest.TempPathFactory, script: list[Outcome], model: str, lane: str | None
) -> None:
    def outcome(text: str, before: int) -> Outcome:
        return script[(int(text[1:]) + before) % len(script)]

    provider = FlexProvider(outcome)
    job, seconds = run_job(tmp_path_factory.mktemp("job"), provider, model, lane, count=12)
    assert (job.status, job.totals and job.totals.failed) == ("completed", 0)
    assert len(provider.bill) == 12  # nothing was paid for twice
    assert seconds < 3 * 3600
