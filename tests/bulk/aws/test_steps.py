"""The steps as the state machine's functions take them: rounds, faults, what hangs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.aws.batch_service import AWSBatchService
from fanout.bulk.aws.state_transitions import IDLE_ROUNDS
from tests.bulk.local_jobs import jsonl, line

from .stepping import run_of
from .test_machine import NAMES


def test_a_round_takes_up_what_is_left_and_no_more(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(jsonl(line(name) for name in NAMES))
            state = await on.begin({"job": job.id})
            shards = await on.at.shards(state.manifest)
            await on.at.work(job, shards[0])
            await on.at.work(job, shards[2])
            state = await on.steps.finish(state)
            assert (state.next, state.wait, state.idle, state.lines) == ("work", 15, 0, 40)
            assert await on.at.shards(state.manifest) == [shards[1]]
            await on.at.work(job, shards[1])
            assert (await on.steps.finish(state)).status == "completed"
            assert set(on.at.provider.calls.values()) == {1}

    asyncio.run(main())


def test_rounds_that_bring_nothing_become_rare_and_then_end_the_job(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(jsonl(line(name) for name in NAMES))
            state = await on.begin({"job": job.id})
            (first, *_) = await on.at.shards(state.manifest)
            await on.at.work(job, first)
            waits = []
            while (state := await on.steps.finish(state)).next == "work":
                waits.append(state.wait)
            assert waits == [15, 30, 60, 120, 240, *[300] * 4]
            assert len(waits) == IDLE_ROUNDS + 1
            assert (state.next, state.status) == ("fail", "failed")
            job = await on.at.job(job)
            assert job.errors[0].code == "job_failed"
            assert sorted(await on.at.content(job.output_file_id)) == NAMES[:20]
            faults = await on.at.content(job.error_file_id)
            assert sorted(faults) == NAMES[20:]
            assert {fault["code"] for fault in faults.values()} == {"batch_failed"}

    asyncio.run(main())


def test_a_failed_jobs_lines_are_asked_again_by_retry(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(jsonl(line(name) for name in NAMES))
            state = await on.begin({"job": job.id})
            (first, *_) = await on.at.shards(state.manifest)
            await on.at.work(job, first)
            await on.steps.give_up(job.id, "States.Timeout")
            retry = await on.at.bulk.jobs.retry(job.id, "master")
            assert (await on.run({"job": retry.id}, "b")).status == "completed"
            whole = await on.at.job(retry)
            assert sorted(await on.at.content(whole.output_file_id)) == NAMES
            assert set(on.at.provider.calls.values()) == {1}

    asyncio.run(main())


def test_a_fault_of_a_step_ends_the_job_with_what_is_answered(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(jsonl(line(name) for name in NAMES[:20]))
            state = await on.begin({"job": job.id})
            await on.at.work(job, (await on.at.shards(state.manifest))[0])
            state = await on.steps.give_up(job.id, "States.ItemReaderFailed")
            assert (state.next, state.status) == ("fail", "failed")
            assert state.why == "A step of the state machine failed with `States.ItemReaderFailed`"
            job = await on.at.job(job)
            assert job.errors[0].message == f"{state.why}; finished lines are kept."
            assert sorted(await on.at.content(job.output_file_id)) == NAMES[:20]

    asyncio.run(main())


def test_where_even_that_fails_the_record_is_closed(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(line("a"))
            state = await on.steps.give_up(job.id, "Lambda.Unknown", abandon=True)
            assert state.status == "failed"
            job = await on.at.job(job)
            assert (job.is_over, job.output_file_id, len(job.errors)) == (True, None, 1)

    asyncio.run(main())


def test_a_fault_before_there_is_a_job_has_nothing_to_close(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            state = await on.steps.give_up(run_of("a").job_id, "States.Timeout")
            assert (state.job, state.next) == ("", "fail")

    asyncio.run(main())


def test_a_fault_does_not_take_back_how_a_job_has_ended(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(line("a"))
            await on.run({"job": job.id})
            for abandon in (False, True):
                state = await on.steps.give_up(job.id, "States.Timeout", abandon=abandon)
                assert state.status == "completed"

    asyncio.run(main())


def test_a_job_hangs_an_hour_after_its_time(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(line("a"), completion_window="1h")
            assert await on.at.machine.stuck() == 0
            late = job.expires_at - 2 * 3600 - 1
            await on.at.bulk.jobs.registry.change(job.id, partial(_expiring, late))
            assert await on.at.machine.stuck() == 1
            await on.run({"job": job.id})
            assert await on.at.machine.stuck() == 0

    asyncio.run(main())


def _expiring(at: int, job: Any) -> Any:
    return replace(job, expires_at=at)


def test_a_job_that_cannot_be_taken_up_again_has_not_failed(staged: Any) -> None:
    async def away(job_id: str) -> None:
        raise ConnectionError("Step Functions is away")

    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(line("a"))
            bulk = AWSBatchService(on.at.stores, away)
            await on.begin({"job": job.id})
            with pytest.raises(ConnectionError):
                await bulk.start(job.id)
            assert (await on.at.job(job)).status == "in_progress"

    asyncio.run(main())
