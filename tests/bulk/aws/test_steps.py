"""The steps as the state machine's functions take them: input in, the next state out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from fanout.bulk.asking import check_model
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.host import AWSBulk
from fanout.bulk.aws.intake import Execution, Intake
from fanout.bulk.aws.s3 import S3Blobs
from fanout.bulk.aws.steps import IDLE_ROUNDS, Beginning, State, Steps
from fanout.config.load import check
from fanout.config.resolve import resolve
from tests.bulk.stage import CONFIG, COST, jsonl, line

from .test_machine import NAMES, Cloud, cloud

STARTED = datetime(2026, 11, 25, 12, 0, 0, 250_000, UTC)
BUCKET = "jobs"


def run_of(name: str) -> Execution:
    return Execution(f"arn:aws:states:eu-west-1:1:execution:Jobs:{name}", STARTED)


def event(key: str, sequencer: str = "1") -> dict[str, Any]:
    """What EventBridge says of a new object."""
    return {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": 5, "etag": "e", "sequencer": sequencer},
            "reason": "PutObject",
        },
    }


class Stage:
    """A stack and its steps."""

    def __init__(self, at: Cloud) -> None:
        self.at = at
        catalog = resolve(check(CONFIG, {}), {})
        intake = Intake(at.bulk, BUCKET, partial(check_model, catalog, "master", None))
        self.steps = Steps(at.machine, intake)

    async def put(self, key: str, data: bytes) -> str:
        async def pieces() -> AsyncIterator[bytes]:
            yield data

        await self.at.stores.blobs.write(key, pieces())
        return f"s3://{BUCKET}/{key}"

    async def get(self, key: str) -> bytes:
        return b"".join([piece async for piece in self.at.stores.blobs.read(key)])

    async def begin(self, given: object, run: str = "a") -> State:
        return await self.steps.begin(Beginning(given, run_of(run)))

    async def run(self, given: object, run: str = "a") -> State:
        """As the state machine does, without a fault."""
        state = await self.begin(given, run)
        if state.next == "work":
            for shard in await self.at.shards(state.manifest):
                await self.at.machine.work(state.job, shard, 60.0)
        return state if state.next in {"refuse", "done"} else await self.steps.finish(state)


@pytest.fixture
def blobs(s3: Any) -> S3Blobs:
    return S3Blobs(s3, BUCKET)


@pytest.fixture
def staged(blobs: S3Blobs, table: DynamoTable) -> Any:
    @asynccontextmanager
    async def stage() -> AsyncIterator[Stage]:
        async with cloud(blobs, table, []) as at:
            yield Stage(at)

    return stage


def test_a_job_by_hand_is_taken_in_run_and_delivered(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            given = await on.put("mine/in.jsonl", jsonl(line(name) for name in NAMES[:3]))
            asked = {"input": given, "output": f"s3://{BUCKET}/outbox/x-", "max_cost_usd": 1}
            state = await on.run(asked)
            assert (state.next, state.status) == ("done", "completed")
            batch = json.loads(await on.get("outbox/x-batch.json"))
            assert batch["id"] == state.job
            assert batch["cost_usd"] == pytest.approx(3 * COST)
            said = (await on.get("outbox/x-output.jsonl")).splitlines()
            assert sorted(json.loads(one)["custom_id"] for one in said) == NAMES[:3]
            with pytest.raises(FileNotFoundError):
                await on.get("outbox/x-errors.jsonl")

    asyncio.run(main())


def test_the_job_has_its_own_copy_of_the_input(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            given = await on.put("mine/in.jsonl", jsonl(line(name) for name in NAMES[:3]))
            state = await on.begin({"input": given})
            await on.put("mine/in.jsonl", b"changed")
            for shard in await on.at.shards(state.manifest):
                assert (await on.at.machine.work(state.job, shard, 60.0)).done == 3
            assert (await on.steps.finish(state)).status == "completed"
            await on.get(f"outbox/{state.job}/output.jsonl")

    asyncio.run(main())


def test_a_step_that_is_retried_makes_no_second_job(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            given = await on.put("mine/in.jsonl", line("a"))
            first = await on.begin({"input": given})
            assert await on.begin({"input": given}) == first
            assert (await on.begin({"input": given}, "another")).job != first.job
            page = await on.at.bulk.jobs.page(None, after=None, limit=10)
            assert len(page.records) == 2
            assert first.job.startswith(f"batch_{int(STARTED.timestamp() * 1e6):014x}")

    asyncio.run(main())


def test_the_inbox_names_the_model_and_the_outbox_mirrors_it(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            await on.put("inbox/team/m/x.jsonl", b'[{"role": "user", "content": "A"}]\n')
            refused = await on.begin(event("inbox/team/m/x.jsonl"))
            assert (refused.next, "`team/m`" in refused.why) == ("refuse", True)

            await on.put("inbox/a/x.jsonl", b'[{"role": "user", "content": "A"}]\n')
            state = await on.run(event("inbox/a/x.jsonl"))
            assert state.status == "completed"
            await on.get("outbox/a/x.output.jsonl")
            batch = json.loads(await on.get("outbox/a/x.batch.json"))
            assert batch["model"] == "a"

    asyncio.run(main())


def test_an_event_that_comes_twice_is_one_job_and_a_new_object_another(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            await on.put("inbox/x.jsonl", line("a"))
            first = await on.run(event("inbox/x.jsonl"), "first")
            assert first.status == "completed"
            again = await on.run(event("inbox/x.jsonl"), "second")
            assert (again.next, again.status) == ("done", "ignored")
            assert sum(on.at.teller.asked.values()) == 1
            later = await on.run(event("inbox/x.jsonl", "2"), "third")
            assert later.status == "completed"
            assert later.job != first.job

    asyncio.run(main())


def test_a_folder_of_the_console_is_no_job(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            assert (await on.begin(event("inbox/m/"))).status == "ignored"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "the input must be a JSON object"),
        ({"job": 1}, "`job`: expected `str`, got `int`"),
        ({"job": "batch_0"}, "there is no job `batch_0`"),
        ({"job": "batch_0", "input": "x"}, "Object contains unknown field `input`"),
        ({"inptu": "x"}, "Object contains unknown field `inptu`"),
        ({}, "`input` is missing"),
        ({"input": "in.jsonl"}, "`input` must be in this stack's bucket: `s3://jobs/…`"),
        ({"input": "s3://jobs/jobs/x"}, "`input` may not be below `s3://jobs/jobs/` or `uploads/`"),
        ({"input": "s3://jobs/x"}, "there is no object `s3://jobs/x`"),
        (
            {"input": "s3://jobs/x", "output": "s3://jobs/y"},
            "`output` must begin with `s3://jobs/outbox/`",
        ),
        (
            {"input": "s3://jobs/x", "completion_window": "1m"},
            "`completion_window` must be between `1h` and `14d`, such as `24h`",
        ),
        ({"input": "s3://jobs/x", "max_cost_usd": 0}, "`max_cost_usd` must be above 0"),
        (event("inbox/x.csv"), "`inbox/x.csv` is not `inbox/MODEL/NAME.jsonl`"),
    ],
)
def test_a_wrong_input_is_refused_by_its_field(staged: Any, given: object, said: str) -> None:
    async def main() -> None:
        async with staged() as on:
            state = await on.begin(given)
            assert (state.next, state.why) == ("refuse", said)
            assert (await on.at.bulk.jobs.page(None, after=None, limit=1)).records == []

    asyncio.run(main())


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
            assert set(on.at.teller.asked.values()) == {1}

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
            await on.steps.give_up(Beginning({"job": job.id}, run_of("a"), "States.Timeout"))
            retry = await on.at.bulk.jobs.retry(job.id, "master")
            assert (await on.run({"job": retry.id}, "b")).status == "completed"
            whole = await on.at.job(retry)
            assert sorted(await on.at.content(whole.output_file_id)) == NAMES
            assert set(on.at.teller.asked.values()) == {1}

    asyncio.run(main())


def test_a_fault_of_a_step_ends_the_job_with_what_is_answered(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(jsonl(line(name) for name in NAMES[:20]))
            state = await on.begin({"job": job.id})
            await on.at.work(job, (await on.at.shards(state.manifest))[0])
            fault = Beginning({"job": job.id}, run_of("a"), "States.ItemReaderFailed")
            state = await on.steps.give_up(fault)
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
            fault = Beginning({"job": job.id}, run_of("a"), "Lambda.Unknown", abandon=True)
            assert (await on.steps.give_up(fault)).status == "failed"
            job = await on.at.job(job)
            assert (job.is_over, job.output_file_id, len(job.errors)) == (True, None, 1)

    asyncio.run(main())


def test_a_fault_before_there_is_a_job_has_nothing_to_close(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            fault = Beginning({"input": "s3://jobs/x"}, run_of("a"), "States.Timeout")
            state = await on.steps.give_up(fault)
            assert (state.job, state.next) == ("", "fail")

    asyncio.run(main())


def test_a_fault_does_not_take_back_how_a_job_has_ended(staged: Any) -> None:
    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(line("a"))
            await on.run({"job": job.id})
            fault = Beginning({"job": job.id}, run_of("a"), "States.Timeout")
            assert (await on.steps.give_up(fault)).status == "completed"
            abandoned = Beginning({"job": job.id}, run_of("a"), "States.Timeout", abandon=True)
            assert (await on.steps.give_up(abandoned)).status == "completed"

    asyncio.run(main())


def test_a_job_hangs_an_hour_after_its_time(staged: Any, table: DynamoTable) -> None:
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
    from msgspec.structs import replace

    return replace(job, expires_at=at)


def test_a_job_that_cannot_be_taken_up_again_has_not_failed(staged: Any) -> None:
    async def away(job_id: str) -> None:
        raise ConnectionError("Step Functions is away")

    async def main() -> None:
        async with staged() as on:
            job = await on.at.create(line("a"))
            bulk = AWSBulk(on.at.stores, away)
            await on.begin({"job": job.id})
            with pytest.raises(ConnectionError):
                await bulk.start(job.id)
            assert (await on.at.job(job)).status == "in_progress"

    asyncio.run(main())
