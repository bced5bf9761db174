"""Lines of a stack's jobs that go by native batches: one result for each, paid for once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.native.ledger import BatchLedger
from fanout.bulk.service.records import Job
from tests.bulk.native.native_jobs import (
    LEAST,
    MODELS,
    Ended,
    Providers,
    lines_of,
    lines_of_all,
)
from tests.support.native_doubles.script import Script, in_turn
from tests.support.virtual_clock import run_threads_at_once

from .native_stack import Killed, NativeStack, Run, open_native_stack, run_job

COUNT = 60
ALL = COUNT + LEAST
HOUR = 3600.0
SOON = Script(queue=60.0, run=60.0)


def go(s3: Any, table: DynamoTable, providers: Killed, data: bytes, **options: Any) -> Run:
    return run_threads_at_once(run_job(s3, table, providers, data, **options), 0.003)


def check_costs(found: Ended, providers: Providers) -> None:
    """What the job reports is the bill."""
    totals = found.job.totals
    assert totals is not None
    assert totals.cost == sum(one.nanodollars for one in providers.bill.entries if not one.lost)


def test_each_vendors_lines_go_by_batches_at_half_the_price(s3: Any, table: DynamoTable) -> None:
    """One loses the response to the creation, one shuffles its rows and has too many of them."""
    scripts = {
        "openai": Script(reply="lost", queue=60.0, run=60.0),
        "anthropic": Script(shuffled=True, duplicated=2, foreign=2),
    }
    providers = Killed(scripts)
    waits: list[Any] = []

    async def look(stack: NativeStack, job: Job) -> None:
        await asyncio.sleep(100.0)
        job = await stack.service.jobs.find(job.id, None)
        waits.extend(job.to_dict(await stack.service.totals(job))["fanout"]["waits"])

    done = go(s3, table, providers, lines_of_all(COUNT), meanwhile=look)
    assert [(one["reason"], one["lines"]) for one in waits] == [("native_batch", ALL)]
    found, totals = done.found, done.found.job.totals
    assert (found.job.status, found.errors) == ("completed", {})
    assert found.lanes == providers.bill.lines() == {"native": ALL}
    assert providers.batches == len(MODELS)
    check_costs(found, providers)
    assert totals is not None
    assert totals.by_lane["native"].saved == providers.bill.nanodollars
    assert done.stack.started == [found.job.id]
    assert found.seconds < HOUR / 2
    assert done.stack.turns + done.stack.holds < 60  # nothing runs between two of them


def test_what_batches_do_not_answer_is_sent_in_real_time_before_the_deadline(
    s3: Any, table: DynamoTable
) -> None:
    """One batch never ends, one lacks rows, one has a bad line, and one line is no batch's."""
    providers = Killed(
        {
            "openai": in_turn(Script(bad_line=7), SOON),
            "anthropic": Script(stuck=0.5, queue=60.0),
            "mistral": Script(queue=HOUR, run=HOUR, cancel="never ends"),
        }
    )
    models = ["openai", "anthropic", "mistral"]
    data = lines_of(models, COUNT) + lines_of(["openai"], 1, store=False).replace(b'"n0"', b'"x"')
    done = go(s3, table, providers, data, completion_window="1h")
    found, totals = done.found, done.found.job.totals
    assert (found.job.status, found.errors) == ("completed", {})
    assert found.seconds < HOUR
    assert totals is not None
    assert found.lanes == {"native": 19 + 10, "realtime": 2 + 10 + 20}
    assert totals.hedged.lines == 20  # Mistral's, which were all paid for twice
    assert len(providers.bill.twice()) == 20


@pytest.mark.parametrize(("count", "minutes"), [(1, 30), (3, 90)])
def test_turns_give_batches_up_in_time_for_all_jobs_that_share_a_limit(
    s3: Any, table: DynamoTable, count: int, minutes: int
) -> None:
    """The lines of each job take 20 minutes alone, for which half as much more is kept."""
    providers = Killed({"openai": Script(queue=1000 * HOUR)})

    async def main() -> list[float]:
        async with open_native_stack(s3, table, providers, rpm=3) as stack:
            data, jobs = lines_of(["openai"], COUNT), list[Job]()
            for _ in range(count):
                jobs.append(await stack.create(data, completion_window="6h"))
                await stack.invoke("plan", lambda handlers: handlers.plan(jobs[-1].id))
            await asyncio.sleep(6 * HOUR)
            ledgers = [BatchLedger(stack.stores.table, job.id) for job in jobs]
            rows = [row for ledger in ledgers for row in await ledger.rows()]
            return [jobs[0].expires_at - (row.cancelled_at or 0) for row in rows]

    found = run_threads_at_once(main(), 0.0)
    assert len(found) == count
    assert all(60 * minutes < left < 60 * (minutes + 30) for left in found), found


def test_killed_functions_and_a_stopped_state_machine_lose_nothing_and_pay_nothing_twice(
    s3: Any, table: DynamoTable
) -> None:
    """Each function is killed at its first call of AWS or a provider, then at a later one, …"""
    providers = Killed({"openai": in_turn(SOON), "anthropic": SOON})

    def prepare(stack: NativeStack) -> None:
        stack.is_killing, stack.step = True, 15

    done = go(s3, table, providers, lines_of(["openai", "anthropic"], COUNT), prepare=prepare)
    found = done.found
    assert (found.job.status, found.errors) == ("completed", {})
    assert found.lanes == providers.bill.lines() == {"native": COUNT}
    check_costs(found, providers)
    assert min(done.stack.kills[what] for what in ("plan", "turn", "finish")) > 0


def test_turns_whose_state_machine_was_stopped_are_made_by_another(
    s3: Any, table: DynamoTable
) -> None:
    providers = Killed({"openai": SOON})

    def prepare(stack: NativeStack) -> None:
        stack.stop_turns = 1

    done = go(s3, table, providers, lines_of(["openai"], COUNT), prepare=prepare)
    assert done.found.lanes == {"native": COUNT}
    assert len(done.stack.started) == 2
    assert done.found.seconds < HOUR


def test_the_hourly_check_counts_jobs_whose_turns_fail(s3: Any, table: DynamoTable) -> None:
    async def main() -> tuple[int, int]:
        async with open_native_stack(s3, table, Killed()) as stack:
            stack.stop_turns = 0
            job = await stack.create(lines_of(["openai"], 3))
            await stack.invoke("plan", lambda handlers: handlers.plan(job.id))
            early = await stack.count_overdue()
            await asyncio.sleep(HOUR)
            return early, await stack.count_overdue()

    assert run_threads_at_once(main(), 0.0) == (0, 1)


def test_cancelled_jobs_end_their_batches_and_keep_what_these_have_done(
    s3: Any, table: DynamoTable
) -> None:
    async def cancel(stack: NativeStack, job: Job) -> None:
        await asyncio.sleep(300.0)
        await stack.service.jobs.cancel(job.id, None)

    providers = Killed({"openai": Script(queue=60.0, run=HOUR)})
    done = go(s3, table, providers, lines_of(["openai"], COUNT), meanwhile=cancel)
    found = done.found
    assert found.job.status == "cancelled"
    assert 0 < len(found.responses) < COUNT / 4
    assert set(found.errors.values()) == {"batch_cancelled"}
    assert providers.bill.lines() == {"native": len(found.responses)}
    check_costs(found, providers)
    assert found.seconds < HOUR / 2


@pytest.mark.parametrize("stop_turns", [None, 2])
@pytest.mark.parametrize("end", ["fail", "abandon"])
def test_a_job_that_a_failed_step_closes_has_its_batches_cancelled(
    s3: Any, table: DynamoTable, end: str, stop_turns: int | None
) -> None:
    """Also if nothing has made turns any more; the ledger is empty then."""
    providers = Killed({"openai": Script(queue=60.0, run=5 * HOUR)})

    async def main() -> tuple[Job, list[Any]]:
        async with open_native_stack(s3, table, providers) as stack:
            stack.stop_turns = stop_turns
            job = await stack.create(lines_of(["openai"], COUNT))
            await stack.invoke("plan", lambda handlers: handlers.plan(job.id))
            await asyncio.sleep(300.0)
            await stack.invoke("finish", lambda handlers: getattr(handlers, end)(job.id, "why"))
            await asyncio.sleep(900.0)
            rows = await BatchLedger(stack.stores.table, job.id).rows()
            return await stack.service.jobs.find(job.id, None), rows

    job, rows = run_threads_at_once(main(), 0.003)
    assert (job.status, rows) == ("failed", [])
    (batch,) = providers.doubles["openai"].batches.values()
    assert batch.cancelled_at is not None


def test_a_cost_cap_counts_what_batches_may_cost_in_real_time(s3: Any, table: DynamoTable) -> None:
    """Each line may cost 1.05 dollars: of two batches, only one is below the cap."""
    providers = Killed({"openai": SOON, "anthropic": SOON})
    data = lines_of(["openai", "anthropic"], 40)
    found = go(s3, table, providers, data, max_cost_usd=25.0).found
    assert found.job.totals is not None
    assert found.job.totals.cost_usd is not None
    assert found.job.totals.cost_usd <= 25.0
    assert providers.batches == 1
    assert found.lanes["native"] == 20
    check_costs(found, providers)


def test_lines_that_must_go_by_batches_and_cannot_are_an_error_before_anything_is_sent(
    s3: Any, table: DynamoTable
) -> None:
    providers = Killed()
    data = lines_of(["openai"], 3) + lines_of(["openai"], 1, service_tier="priority").replace(
        b'"n0"', b'"fast"'
    )
    done = go(s3, table, providers, data, native="require")
    job = done.found.job
    assert (job.status, providers.batches, providers.bill.entries) == ("failed", 0, [])
    assert [(one.code, one.param) for one in job.errors] == [
        ("native_not_possible", "fanout.native")
    ]
    assert done.stack.started == []
