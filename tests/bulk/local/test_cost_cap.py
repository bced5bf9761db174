"""A job with any cost cap ends, and its progress counts every nanodollar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fanout.bulk.local.job_progress import SQLiteJobProgress
from fanout.bulk.local.sqlite import Database
from fanout.bulk.totals import Totals
from tests.bulk.local_jobs import CONFIG, COST, jsonl, line, open_jobs, run

NANO = 1e-9
LINES = 60
IN_FLIGHT = 8


def config(price: float) -> dict[str, Any]:
    """The two models, with this price for an input and an output token."""
    prices = {"input_cost_per_token": price, "output_cost_per_token": price}
    models = [
        {**entry, "litellm_params": {**entry["litellm_params"], **prices}}
        for entry in CONFIG["model_list"]
    ]
    return {**CONFIG, "model_list": models}


@pytest.mark.parametrize(
    ("price", "cap", "max_tokens"),
    [
        (0.001, 0.5, None),  # a line costs less than its estimate
        (0.001, 0.12, 7),
        (0.001, 0.12, 1),  # more
        (0.001, 12 * 0.001, 8),  # exactly one line
        (0.001, 30 * 12 * 0.001, 8),  # exactly thirty
        (0.001, NANO, 8),
        (1e-12, NANO, None),  # a line costs less than a nanodollar
        (1.1e-7, 3.3e-6, 3),
        (0.1 + 0.2, 7.0, 5),  # prices that no float has exactly
    ],
)
def test_a_job_with_any_cap_ends_within_the_cost_of_the_calls_in_flight(
    tmp_path: Path, price: float, cap: float, max_tokens: int | None
) -> None:
    limit: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}

    async def main() -> None:
        data = jsonl(line(f"n{i}", **limit) for i in range(LINES))
        async with open_jobs(
            tmp_path, config=config(price), max_concurrency=IN_FLIGHT, initial_concurrency=IN_FLIGHT
        ) as jobs:
            job = await jobs.wait(await jobs.create(data, max_cost_usd=cap))
            assert (job.status, job.reason) == ("cancelled", "capped")
            assert [error.code for error in job.errors] == ["max_cost_reached"]
            assert job.totals is not None
            assert job.max_cost is not None
            each = job.totals.cost // job.totals.done
            assert job.max_cost <= job.totals.cost <= job.max_cost + IN_FLIGHT * each
            assert len(await jobs.responses(job)) == job.totals.done
            assert job.totals.lines == LINES
            assert jobs.provider.calls.total() == job.totals.done

    run(main())


def test_a_cap_of_all_that_the_lines_cost_lets_all_of_them_run(tmp_path: Path) -> None:
    async def main() -> None:
        data = jsonl(line(f"n{i}", max_tokens=100) for i in range(LINES))
        async with open_jobs(tmp_path) as jobs:
            job = await jobs.wait(await jobs.create(data, max_cost_usd=LINES * COST))
            assert (job.status, len(await jobs.responses(job))) == ("completed", LINES)
            assert job.to_dict(job.totals or Totals())["cost_usd"] == round(LINES * COST, 6)

    run(main())


COSTS = st.integers(0, 10**12)
STEPS = st.lists(
    st.tuples(st.sampled_from(("reserve", "reserve", "settle", "release", "kill")), COSTS),
    max_size=60,
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cap=COSTS, steps=STEPS)
def test_nothing_stays_reserved_after_any_order_of_events(
    tmp_path: Path, cap: int, steps: list[tuple[str, int]]
) -> None:
    (tmp_path / "jobs.sqlite").unlink(missing_ok=True)
    database = Database(tmp_path / "jobs.sqlite")

    def opened() -> SQLiteJobProgress:
        progress = SQLiteJobProgress(database, "j", expires_at=9.0, now=lambda: 0.0, max_cost=cap)
        progress.begin_shard(0, Totals(done=len(results), cost=sum(results)))
        return progress

    async def main() -> None:
        progress, reserved = opened(), list[int]()
        for action, amount in steps:
            if action == "kill":
                progress, reserved = opened(), []
            elif action == "reserve":
                if progress.reserve(amount) is None:
                    reserved.append(amount)
            elif reserved and action == "settle":
                results.append(amount)
                progress.settle(0, reserved.pop(0), Totals(done=1, cost=amount))
            elif reserved:
                progress.release(reserved.pop())
        for estimate in reserved:
            progress.release(estimate)
        assert progress.reserve(10**18) == ("capped" if sum(results) >= cap else None)
        await progress.close()
        assert (await progress.total()).cost == sum(results)

    results: list[int] = []
    run(main())
    database.close()
