"""
No line is lost or paid twice over S3 and DynamoDB, whatever fails: workers, AWS, the provider.

The tests run in virtual time, and as much fails in every run.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from functools import partial
from typing import Any

import msgspec

from fanout.bulk.aws.batch_service import AWSBatchService
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.input.planner import Shard
from fanout.bulk.input.splitter import iter_lines
from fanout.bulk.service.new_job import NewJob
from fanout.bulk.service.records import Job
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.gateway.gateway import Gateway
from fanout.keys.account import account_key
from fanout.keys.groups import TEAMS, GroupManager
from fanout.keys.management import KeyManager
from fanout.keys.spend_rows import row_partition
from fanout.settings import Settings
from tests.bulk.local_jobs import CONFIG, COST, jsonl, line
from tests.support.virtual_clock import run_threads_at_once

from .failing_stack import LEASE, NAMES, SHARDS, FailingStack

WORKERS = 3


async def execute(stack: FailingStack, gateway: Gateway, job: Job) -> None:
    """Run the states as the state machine does: plan, rounds of work on all shards, finish."""

    async def plan(handlers: StepHandlers, _seconds: float) -> Any:
        return await handlers.plan(job.id)

    async def finish(handlers: StepHandlers, _seconds: float) -> Any:
        return await handlers.finish(job.id)

    async def work(shard: Shard, handlers: StepHandlers, seconds: float) -> Any:
        return await handlers.work(job.id, shard, seconds)

    planned = await stack.retry(gateway, "plan", plan)
    source = stack.calm.blobs.read(planned.manifest)
    shards = [msgspec.json.decode(raw, type=Shard) async for _, _, _, raw in iter_lines(source)]
    assert len(shards) == SHARDS
    while (await stack.retry(gateway, "finish", finish)).next == "work":
        places = asyncio.Semaphore(WORKERS)

        async def one(shard: Shard, places: asyncio.Semaphore = places) -> None:
            async with places:
                for _ in range(2):  # the second one is a retry
                    await stack.read_stored(job, shard)
                    await stack.invoke(gateway, shard.index, partial(work, shard))

        async with asyncio.TaskGroup() as group:
            for shard in shards:
                group.create_task(one(shard))
    await stack.retry(gateway, "finish", finish)  # a second finish changes nothing


def test_every_line_gets_one_response_although_workers_aws_and_the_provider_fail(
    s3: Any, table: DynamoTable
) -> None:
    """
    Nor is a line charged twice to the virtual key of its job.

    `check_faults` holds whatever the seed is: each kind of fault is in every run.
    """
    stack = FailingStack(s3, table, seed=1)

    async def main() -> None:
        config = copy.deepcopy(CONFIG)  # a known limit: finding one takes minutes of virtual time
        config["model_list"][0]["litellm_params"]["rpm"] = 60_000
        catalog = resolve(check(config, {}), {})
        settings = Settings()
        async with open_gateway(settings, catalog=catalog, engine=stack.provider) as gateway:
            started: list[str] = []
            service = AWSBatchService(stack.calm, lambda job_id: _note(started, job_id))
            account = await _make_key(stack)
            job = await _create(service, account)
            await execute(stack, gateway, job)
            ended = await service.jobs.find(job.id, None)
            assert (ended.status, ended.total, ended.error_file_id) == ("completed", 90, None)
            assert ended.totals is not None
            assert (ended.totals.done, ended.totals.failed) == (90, 0)
            await _check_charges(stack, account, ended.totals.cost)
            file = await service.files.find(str(ended.output_file_id), None)
            data = b"".join([chunk async for chunk in service.files.content(file)])
            lines = [json.loads(one) for one in data.splitlines()]
            assert Counter(one["custom_id"] for one in lines) == dict.fromkeys(NAMES, 1)
            calls = [call for one in lines for call in one.get("fanout", {}).get("attempts", ())]
            assert {call["outcome"] for call in calls} == {"cancelled"}  # as a worker's time ended
            prompts = sum(call["usage"]["prompt_tokens"] for call in calls)
            assert ended.totals.cost == round((90 * COST + prompts * 0.001) * 10**9)

    run_threads_at_once(main(), 0.003)
    assert stack.repeated == set(), "a line with a stored result was sent again"
    assert set(stack.responses) == set(NAMES)
    check_faults(stack)


def check_faults(stack: FailingStack) -> None:
    """Everything that was to fail has failed; otherwise the test would show nothing."""
    first = {"plan", "finish", *range(1, SHARDS)}
    assert {what for what, count in stack.kills.items() if count} >= first
    assert stack.timed_out >= 1
    assert stack.throttled >= SHARDS
    assert stack.outages >= 1
    refused = sum(stack.refusals.values(), Counter[int]())
    assert refused == sum((Counter(stack.planned_refusals(text)) for text in NAMES), Counter[int]())
    assert min(refused[429], refused[503]) >= 30


async def _note(started: list[str], job_id: str) -> None:
    started.append(job_id)


async def _make_key(stack: FailingStack) -> str:
    """A virtual key in a team; returns its account."""
    manager = GroupManager(stack.ledger(), "master", TEAMS)
    team = await manager.create("t", {"max_budget": 50 * 10**9})
    fields = {"max_budget": 40 * 10**9, "team_id": "t"}
    _, item = await KeyManager(stack.ledger(), "master").create(fields)
    assert team["id"] == "team:t"
    return str(item["id"])


async def _check_charges(stack: FailingStack, key: str, cost: int) -> None:
    """Both accounts have paid exactly what the stored lines have cost, whatever was killed."""
    ledger = stack.ledger(later=2 * LEASE)  # no worker can be alive any more
    for account in (key, "team:t"):
        where = row_partition(account, ledger.now())
        rows = [row for key, row in stack.keys.stored.items() if key.partition == where]
        assert len(rows) > SHARDS
        assert sum(row["cost"] for row in rows) == cost
        for row in rows:
            tokens = row.get("prompt_tokens", 0), row.get("completion_tokens", 0)
            assert row["cost"] == tokens[0] * 1_000_000 + tokens[1] * 2_000_000
        item = await ledger.store.get(account_key(account))
        assert item is not None
        assert item["available"] <= item["max_budget"] - cost
        await ledger.sweep(item)
        item = await ledger.store.get(account_key(account))
        assert item is not None
        assert (item["spent"], item["reserved"]) == (cost, 0)
        assert item["available"] == item["max_budget"] - cost


async def _create(service: AWSBatchService, account: str | None) -> Job:
    async def chunks() -> Any:
        yield jsonl(line(name, max_tokens=20) for name in NAMES)

    key = service.files.new_key()
    await service.files.blobs.write(key, chunks())
    file = await service.files.register(key, "in.jsonl", "batch", "master")
    new = NewJob(input_file_id=file.id, endpoint="/v1/chat/completions")
    return await service.jobs.create(new, "master", account=account)
