"""Which state follows: rounds of work, failed steps, overdue jobs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.bulk.aws.batch_service import AWSBatchService
from fanout.bulk.aws.state_transitions import IDLE_ROUNDS
from fanout.bulk.aws.step_handlers import START_SECONDS
from fanout.bulk.aws.sync_schedule import MAX_CAPPED_WORKERS
from fanout.bulk.aws.worker_slots import WorkerLimits
from tests.bulk.local_jobs import jsonl, line

from .job_stack import NAMES
from .stack_steps import execution


def test_a_round_works_on_incomplete_shards_only(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(jsonl(line(name) for name in NAMES))
            state = await steps.begin({"job": job.id})
            shards = await steps.stack.shards(state.manifest)
            await steps.stack.work(job, shards[0])
            await steps.stack.work(job, shards[2])
            state = await steps.transitions.finish(state)
            assert (state.next, state.wait, state.idle, state.lines) == ("work", 15, 0, 40)
            assert await steps.stack.shards(state.manifest) == [shards[1]]
            await steps.stack.work(job, shards[1])
            assert (await steps.transitions.finish(state)).status == "completed"
            assert set(steps.stack.provider.calls.values()) == {1}

    asyncio.run(main())


def test_every_round_has_the_limits_of_workers_of_its_moment(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            steps.limits = WorkerLimits(5, 5)
            job = await steps.stack.create(jsonl(line(name) for name in NAMES))
            state = await steps.begin({"job": job.id})
            assert (state.next, state.workers, state.slots) == ("work", 5, 5)
            assert steps.starting == {job.id}
            for limits in (WorkerLimits(2, 5), WorkerLimits(7, 9)):  # another job runs, or ended
                steps.limits = limits
                state = await steps.transitions.finish(state)
                assert (state.next, WorkerLimits(state.workers, state.slots)) == ("work", limits)
            steps.limits = WorkerLimits(20)  # the account's limit cannot be read
            state = await steps.transitions.finish(state)
            assert (state.workers, state.slots) == (7, 9)
            state = await steps.begin({"job": job.id})  # nor was it read before
            assert (state.workers, state.slots) == (5, 5)

    asyncio.run(main())


def test_a_job_with_a_cost_cap_has_at_most_a_hundred_workers(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            steps.limits = WorkerLimits(300, 400)
            given = await steps.put("mine/in.jsonl", jsonl(line(name) for name in NAMES))
            capped = await steps.begin({"input": given, "max_cost_usd": 1}, "capped")
            assert (capped.workers, capped.slots) == (MAX_CAPPED_WORKERS, 400)
            steps.limits = WorkerLimits(350, 400)
            capped = await steps.transitions.finish(capped)
            assert (capped.next, capped.workers) == ("work", MAX_CAPPED_WORKERS)
            assert (await steps.begin({"input": given}, "free")).workers == 350

    asyncio.run(main())


def test_a_job_counts_beside_others_at_its_start_for_a_minute_only(open_steps: Any) -> None:
    """Then its workers run, or somebody has stopped its execution."""

    async def main() -> None:
        async with open_steps() as steps:
            jobs = [await steps.stack.create(jsonl(line(name) for name in NAMES)) for _ in range(3)]
            old, new, last = jobs
            for job in (old, new):
                await steps.begin({"job": job.id}, job.id)
            assert steps.starting == {old.id, new.id}
            await steps.stack.service.jobs.registry.change(old.id, _started_long_ago)
            await steps.begin({"job": last.id}, "last")
            assert steps.starting == {new.id, last.id}

    asyncio.run(main())


def _started_long_ago(job: Any) -> Any:
    return replace(job, in_progress_at=job.in_progress_at - START_SECONDS - 1)


def test_rounds_without_a_new_line_become_rare_and_then_end_the_job(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(jsonl(line(name) for name in NAMES))
            state = await steps.begin({"job": job.id})
            (first, *_) = await steps.stack.shards(state.manifest)
            await steps.stack.work(job, first)
            waits = []
            while (state := await steps.transitions.finish(state)).next == "work":
                waits.append(state.wait)
            assert waits == [15, 30, 60, 120, 240, *[300] * 4]
            assert len(waits) == IDLE_ROUNDS + 1
            assert (state.next, state.status) == ("fail", "failed")
            job = await steps.stack.job(job)
            assert job.errors[0].code == "job_failed"
            assert sorted(await steps.stack.content(job.output_file_id)) == NAMES[:20]
            errors = await steps.stack.content(job.error_file_id)
            assert sorted(errors) == NAMES[20:]
            assert {error["code"] for error in errors.values()} == {"batch_failed"}

    asyncio.run(main())


def test_retry_sends_a_failed_jobs_lines_again(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(jsonl(line(name) for name in NAMES))
            state = await steps.begin({"job": job.id})
            (first, *_) = await steps.stack.shards(state.manifest)
            await steps.stack.work(job, first)
            await steps.transitions.give_up(job.id, "States.Timeout")
            retry = await steps.stack.service.jobs.retry(job.id, "master")
            assert (await steps.run({"job": retry.id}, "b")).status == "completed"
            whole = await steps.stack.job(retry)
            assert sorted(await steps.stack.content(whole.output_file_id)) == NAMES
            assert set(steps.stack.provider.calls.values()) == {1}

    asyncio.run(main())


def test_a_failed_step_ends_the_job_and_keeps_its_results(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(jsonl(line(name) for name in NAMES[:20]))
            state = await steps.begin({"job": job.id})
            await steps.stack.work(job, (await steps.stack.shards(state.manifest))[0])
            state = await steps.transitions.give_up(job.id, "States.ItemReaderFailed")
            assert (state.next, state.status) == ("fail", "failed")
            assert state.why == "A step of the state machine failed with `States.ItemReaderFailed`"
            job = await steps.stack.job(job)
            assert job.errors[0].message == f"{state.why}; finished lines are kept."
            assert sorted(await steps.stack.content(job.output_file_id)) == NAMES[:20]

    asyncio.run(main())


def test_the_record_is_closed_if_even_that_fails(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(line("a"))
            state = await steps.transitions.give_up(job.id, "Lambda.Unknown", abandon=True)
            assert state.status == "failed"
            job = await steps.stack.job(job)
            assert (job.is_over, job.output_file_id, len(job.errors)) == (True, None, 1)

    asyncio.run(main())


def test_a_step_that_fails_before_there_is_a_job_closes_nothing(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            state = await steps.transitions.give_up(execution("a").job_id, "States.Timeout")
            assert (state.job, state.next) == ("", "fail")

    asyncio.run(main())


def test_a_failed_step_does_not_change_how_a_job_has_ended(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(line("a"))
            await steps.run({"job": job.id})
            for abandon in (False, True):
                state = await steps.transitions.give_up(job.id, "States.Timeout", abandon=abandon)
                assert state.status == "completed"

    asyncio.run(main())


def test_a_job_is_overdue_an_hour_after_its_window(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(line("a"), completion_window="1h")
            assert await steps.stack.handlers.count_overdue() == 0
            late = job.expires_at - 2 * 3600 - 1
            await steps.stack.service.jobs.registry.change(job.id, partial(_expiring, late))
            assert await steps.stack.handlers.count_overdue() == 1
            await steps.run({"job": job.id})
            assert await steps.stack.handlers.count_overdue() == 0

    asyncio.run(main())


def _expiring(at: int, job: Any) -> Any:
    return replace(job, expires_at=at)


def test_a_job_that_cannot_be_resumed_has_not_failed(open_steps: Any) -> None:
    async def fail(job_id: str) -> None:
        raise ConnectionError("Step Functions is not reachable")

    async def main() -> None:
        async with open_steps() as steps:
            job = await steps.stack.create(line("a"))
            service = AWSBatchService(steps.stack.stores, fail)
            await steps.begin({"job": job.id})
            with pytest.raises(ConnectionError):
                await service.start(job.id)
            assert (await steps.stack.job(job)).status == "in_progress"

    asyncio.run(main())
