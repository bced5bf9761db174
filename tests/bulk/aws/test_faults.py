"""
Nothing lost, nothing paid twice, over S3 and DynamoDB: workers die, AWS throttles, providers storm.

In virtual time, and in weather that is as bad in every run.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from typing import Any

import msgspec
import pytest

from fanout.bulk.aws.batch_service import AWSBatchService
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.input.planner import Shard
from fanout.bulk.input.splitter import iter_lines
from fanout.bulk.service.batches import NewJob
from fanout.bulk.service.records import Job
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.gateway.gateway import Gateway
from fanout.settings import Settings
from tests.bulk.local_jobs import CONFIG, jsonl, line
from tests.support.virtual_clock import run_threads_at_once

from .weather import NAMES, SHARDS, World

WORKERS = 3


async def execute(world: World, gateway: Gateway, job: Job) -> None:
    """The state machine: plan, rounds of work over every shard, finish."""

    async def plan(machine: StepHandlers, _seconds: float) -> Any:
        return await machine.plan(job.id)

    async def finish(machine: StepHandlers, _seconds: float) -> Any:
        return await machine.finish(job.id)

    async def work(shard: Shard, machine: StepHandlers, seconds: float) -> Any:
        return await machine.work(job.id, shard, seconds)

    planned = await world.until_done(gateway, "plan", plan)
    source = world.calm.blobs.read(planned.manifest)
    shards = [msgspec.json.decode(raw, type=Shard) async for _, _, _, raw in iter_lines(source)]
    assert len(shards) == SHARDS
    while (await world.until_done(gateway, "finish", finish)).next == "work":
        places = asyncio.Semaphore(WORKERS)

        async def one(shard: Shard, places: asyncio.Semaphore = places) -> None:
            async with places:
                for _ in range(2):  # the second is a redrive
                    await world.read_stored(job, shard)
                    await world.once(gateway, shard.index, partial(work, shard))

        async with asyncio.TaskGroup() as group:
            for shard in shards:
                group.create_task(one(shard))
    await world.until_done(gateway, "finish", finish)  # what is finished stays so


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_job_in_the_worst_of_all_clouds_answers_every_line_once(
    s3: Any, table: DynamoTable, seed: int
) -> None:
    world = World(s3, table, seed)

    async def main() -> None:
        catalog = resolve(check(CONFIG, {}), {})
        settings = Settings()
        async with open_gateway(settings, catalog=catalog, engine=world.provider) as gateway:
            started: list[str] = []
            bulk = AWSBatchService(world.calm, lambda job_id: _note(started, job_id))
            job = await _create(bulk)
            await execute(world, gateway, job)
            ended = await bulk.jobs.find(job.id, None)
            assert (ended.status, ended.total, ended.error_file_id) == ("completed", 90, None)
            assert ended.totals is not None
            assert (ended.totals.done, ended.totals.failed) == (90, 0)
            file = await bulk.files.find(str(ended.output_file_id), None)
            data = b"".join([piece async for piece in bulk.files.content(file)])
            said = Counter(json.loads(one)["custom_id"] for one in data.splitlines())
            assert said == dict.fromkeys(NAMES, 1)

    run_threads_at_once(main(), 0.003)
    assert world.repeated == set(), "a stored answer was asked for again"
    assert set(world.answered) == set(NAMES)
    prove(world)


def prove(world: World) -> None:
    """The weather was as bad as it should be, else nothing was proven."""
    first = {"plan", "finish", *range(1, SHARDS)}
    assert {what for what, count in world.deaths.items() if count} >= first
    assert world.timed_out >= 1
    assert world.throttled >= SHARDS
    assert world.down >= 1
    met = sum(world.refused_lines.values(), Counter[int]())
    assert met == sum((Counter(world.refusals(text)) for text in NAMES), Counter[int]())
    assert min(met[429], met[503]) >= 30


async def _note(started: list[str], job_id: str) -> None:
    started.append(job_id)


async def _create(bulk: AWSBatchService) -> Job:
    async def pieces() -> Any:
        yield jsonl(line(name) for name in NAMES)

    key = bulk.files.new_key()
    await bulk.files.blobs.write(key, pieces())
    file = await bulk.files.register(key, "in.jsonl", "batch", "master")
    asked = NewJob(input_file_id=file.id, endpoint="/v1/chat/completions")
    return await bulk.jobs.create(asked, "master", None)
