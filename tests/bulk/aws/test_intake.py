"""What starts a job on AWS: by hand, from the inbox; and how a wrong input is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.bulk.local_jobs import COST, jsonl, line

from .stepping import BUCKET, STARTED, event
from .test_machine import NAMES

AN_OBJECT = "an object in the stack's bucket, such as `s3://BUCKET/x.jsonl`"
NO_NUMBER = "`max_cost_usd` should be a valid number, not a string: US dollars, such as 2.5"
FIELDS = ("input", "output", "model", "max_cost_usd", "completion_window")
KNOWN = "the input may have " + ", ".join(f"`{name}`" for name in FIELDS)


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
            assert sum(on.at.provider.calls.values()) == 1
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
        (
            {"job": 1},
            "`job` should be a valid string, not a number: the id of a job, such as `batch_…`",
        ),
        ({"job": "batch_0"}, "there is no job `batch_0`"),
        (
            {"job": "batch_0", "input": "x"},
            "`input` is unknown; the input may have `job`",
        ),
        (
            {"input": "s3://jobs/x", "modle": "x"},
            f"`modle` is unknown; {KNOWN}",
        ),
        ({}, f"`input` is missing: {AN_OBJECT}"),
        (
            {"inptu": "x", "max_cost_usd": "1"},
            f"`input` is missing: {AN_OBJECT}; {NO_NUMBER}; `inptu` is unknown; {KNOWN}",
        ),
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
        (event("inbox/x.jsonl", object={}), "`detail.object.key` is missing"),
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
