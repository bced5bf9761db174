"""Jobs of a stack on the flex tier: the same lanes, by workers that know only their own shards."""

from __future__ import annotations

import asyncio

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.service.new_job import BatchOptions
from tests.bulk.flex_provider import FLEX, STANDARD, FlexProvider, Outcome, flex_config
from tests.bulk.local_jobs import jsonl, line

from .job_stack import NAMES, open_job_stack


def test_the_report_of_a_stacks_job_is_the_providers_bill(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    def script(text: str, before: int) -> Outcome:
        if text.endswith("7"):
            return "unsupported"
        return "full" if text.endswith("1") and before == 0 else "ok"

    provider = FlexProvider(script)

    async def main() -> None:
        config = flex_config()
        async with open_job_stack(blobs, table, started, provider, config) as stack:
            lines = jsonl(line(name, "openai") for name in NAMES)
            job = await stack.create(lines, fanout=BatchOptions(lane="flex"))
            planned = await stack.handlers.plan(job.id)
            for shard in await stack.shards(planned.manifest):
                assert (await stack.work(job, shard)).remaining == 0
            running = await stack.service.jobs.totals(await stack.job(job))
            assert running.by_lane["flex"].lines == 54
            assert (await stack.handlers.finish(job.id)).status == "completed"
            job = await stack.job(job)
            assert sorted(await stack.content(job.output_file_id)) == NAMES
            assert job.totals is not None
            assert provider.billed == {"flex": 54, "default": 6}
            assert job.totals.cost == provider.nanodollars == 54 * FLEX + 6 * STANDARD
            assert job.totals.lanes["flex"].saved == 54 * (STANDARD - FLEX)

    asyncio.run(main())


def test_a_job_without_a_lane_is_on_auto_and_one_of_an_hour_in_real_time(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    provider = FlexProvider()

    async def main() -> None:
        async with open_job_stack(blobs, table, started, provider, flex_config()) as stack:
            for window, lane in (("24h", "auto"), ("1h", "realtime")):
                lines = jsonl([line("x", "openai")])
                job = await stack.create(lines, completion_window=window)
                for shard in await stack.shards((await stack.handlers.plan(job.id)).manifest):
                    await stack.work(job, shard)
                assert (await stack.job(job)).lane == lane

    asyncio.run(main())
    assert [tier for _, tier in provider.bill] == ["flex", "default"]
