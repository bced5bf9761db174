"""Jobs are started by hand or from the inbox; a wrong input is rejected."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.bulk.local_jobs import COST, jsonl, line

from .job_stack import FUNCTION_SECONDS, NAMES
from .stack_steps import BUCKET, STARTED, s3_event

AN_OBJECT = "an object in the stack's bucket, such as `s3://BUCKET/x.jsonl`"
NO_NUMBER = "`max_cost_usd` must be a number, not a string: US dollars, such as 2.5"
ALLOWS = "`general_settings.webhook_private_addresses` allows others"
FIELDS = (
    "input",
    "output",
    "model",
    "max_cost_usd",
    "completion_window",
    "lane",
    "webhook",
    "cache",
    "native",
    "order",
)
KNOWN = "the input may have " + ", ".join(f"`{name}`" for name in FIELDS)


def test_a_job_from_a_request_by_hand_is_created_run_and_delivered(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            given = await steps.put("mine/in.jsonl", jsonl(line(name) for name in NAMES[:3]))
            request = {"input": given, "output": f"s3://{BUCKET}/outbox/x-", "max_cost_usd": 1}
            request["webhook"] = {"url": "https://hooks.example.com/", "secret": "HOOK"}
            state = await steps.run(request)
            assert (state.next, state.status) == ("done", "completed")
            batch = json.loads(await steps.get("outbox/x-batch.json"))
            assert batch["id"] == state.job
            assert batch["fanout"]["webhook"]["url"] == "https://hooks.example.com/"
            assert batch["cost_usd"] == pytest.approx(3 * COST)
            lines = (await steps.get("outbox/x-output.jsonl")).splitlines()
            assert sorted(json.loads(one)["custom_id"] for one in lines) == NAMES[:3]
            with pytest.raises(FileNotFoundError):
                await steps.get("outbox/x-errors.jsonl")

    asyncio.run(main())


def test_a_job_has_its_own_copy_of_the_input(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            given = await steps.put("mine/in.jsonl", jsonl(line(name) for name in NAMES[:3]))
            state = await steps.begin({"input": given})
            await steps.put("mine/in.jsonl", b"changed")
            for shard in await steps.stack.shards(state.manifest):
                assert (
                    await steps.stack.handlers.work(state.job, shard, FUNCTION_SECONDS)
                ).done == 3
            assert (await steps.transitions.finish(state)).status == "completed"
            await steps.get(f"outbox/{state.job}/output.jsonl")

    asyncio.run(main())


def test_a_retried_step_creates_no_second_job(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            given = await steps.put("mine/in.jsonl", line("a"))
            first = await steps.begin({"input": given})
            assert await steps.begin({"input": given}) == first
            assert (await steps.begin({"input": given}, "another")).job != first.job
            page = await steps.stack.service.jobs.page(None, after=None, limit=10)
            assert len(page.records) == 2
            assert first.job.startswith(f"batch_{int(STARTED.timestamp() * 1e6):014x}")

    asyncio.run(main())


def test_the_inbox_folder_names_the_model_and_the_outbox_has_the_same_folders(
    open_steps: Any,
) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            await steps.put("inbox/team/m/x.jsonl", b'[{"role": "user", "content": "A"}]\n')
            await steps.put("inbox/a/x.jsonl", b'[{"role": "user", "content": "A"}]\n')
            state = await steps.run(s3_event("inbox/a/x.jsonl"))
            assert state.status == "completed"
            await steps.get("outbox/a/x.output.jsonl")
            batch = json.loads(await steps.get("outbox/a/x.batch.json"))
            assert batch["model"] == "a"

    asyncio.run(main())


def test_an_event_that_is_delivered_twice_creates_one_job_and_a_new_object_another(
    open_steps: Any,
) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            await steps.put("inbox/x.jsonl", line("a"))
            first = await steps.run(s3_event("inbox/x.jsonl"), "first")
            assert first.status == "completed"
            again = await steps.run(s3_event("inbox/x.jsonl"), "second")
            assert (again.next, again.status) == ("done", "ignored")
            assert sum(steps.stack.provider.calls.values()) == 1
            later = await steps.run(s3_event("inbox/x.jsonl", "2"), "third")
            assert later.status == "completed"
            assert later.job != first.job

    asyncio.run(main())


@pytest.mark.parametrize(
    ("key", "output", "message", "param"),
    [
        ("x.csv", "x.csv", "`inbox/x.csv` is not `inbox/MODEL/NAME.jsonl`", "input"),
        ("a/x", "a/x", "`inbox/a/x` is not `inbox/MODEL/NAME.jsonl`", "input"),
        ("team/m/x.jsonl", "team/m/x", "there is no model `team/m`; there are `a`, `b`.", "model"),
        ("gone.jsonl", "gone", "there is no object `s3://jobs/inbox/gone.jsonl`", "input"),
    ],
)
def test_what_is_wrong_with_an_inbox_object_is_written_to_the_outbox(
    open_steps: Any, key: str, output: str, message: str, param: str
) -> None:
    """The execution succeeds: an alarm reports each one that fails."""

    async def main() -> None:
        async with open_steps() as steps:
            if output != "gone":
                await steps.put(f"inbox/{key}", line("a"))
            state = await steps.begin(s3_event(f"inbox/{key}"))
            assert (state.next, state.status, state.why) == ("done", "refused", message)
            batch = json.loads(await steps.get(f"outbox/{output}.batch.json"))
            assert (batch["object"], batch["status"]) == ("batch", "failed")
            (error,) = batch["errors"]["data"]
            assert (error["message"], error["param"]) == (message, param)
            assert (await steps.stack.service.jobs.page(None, after=None, limit=1)).records == []

    asyncio.run(main())


def test_a_folder_made_in_the_console_creates_no_job(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            assert (await steps.begin(s3_event("inbox/m/"))).status == "ignored"

    asyncio.run(main())


def test_a_job_may_have_its_results_in_the_order_of_its_input(open_steps: Any) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            last = asyncio.Event()

            async def before(_model: str, text: str) -> None:
                if text == NAMES[0]:
                    await last.wait()
                elif text == NAMES[9]:
                    last.set()

            steps.stack.provider.before = before
            given = await steps.put("mine/in.jsonl", jsonl(line(name) for name in NAMES))
            request = {"input": given, "output": f"s3://{BUCKET}/outbox/x-", "order": "input"}
            assert (await steps.run(request)).status == "completed"
            lines = (await steps.get("outbox/x-output.jsonl")).splitlines()
            assert [json.loads(one)["custom_id"] for one in lines] == NAMES

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "the input must be a JSON object"),
        (
            {"job": 1},
            "`job` must be a string, not a number: the id of a job, such as `batch_…`",
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
        (
            {"input": "s3://jobs/x", "lane": "fast"},
            "`lane` must be one of `auto`, `realtime`, `flex`, `native`, not `fast`",
        ),
        (
            {"input": "s3://jobs/x", "order": "output"},
            "`order` must be one of `any`, `input`, not `output`",
        ),
        (
            {"input": "s3://jobs/x", "native": "auto", "lane": "flex"},
            "`native` is `auto`, which does not fit the lane `flex`, only `auto` or `native`",
        ),
        (
            {"input": "s3://jobs/x", "native": "always"},
            "`native` must be one of `never`, `auto`, `require`, not `always`",
        ),
        (
            {"input": "s3://jobs/x", "webhook": {"url": "https://10.0.0.1/", "secret": "HOOK"}},
            f"`webhook.url` must be a public address; {ALLOWS}",
        ),
        ({"input": "s3://jobs/x", "webhook": {"url": "x"}}, "`webhook.secret` is missing"),
        (
            {"input": "s3://jobs/x", "max_cost_usd": 2e9},
            "`max_cost_usd` must be at most 1000000000",
        ),
        (s3_event("inbox/x.jsonl", object={}), "`detail.object.key` is missing"),
    ],
)
def test_a_wrong_input_is_rejected_with_the_name_of_its_field(
    open_steps: Any, given: object, message: str
) -> None:
    async def main() -> None:
        async with open_steps() as steps:
            state = await steps.begin(given)
            assert (state.next, state.why) == ("refuse", message)
            assert (await steps.stack.service.jobs.page(None, after=None, limit=1)).records == []

    asyncio.run(main())
