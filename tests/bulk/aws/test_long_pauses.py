"""On AWS, no worker waits for a long `Retry-After`: the state machine does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_starter import JobStarter
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.aws.state_transitions import IDLE_ROUNDS, JobState, StateTransitions
from fanout.bulk.pacing.adaptive_concurrency import FIRST_CONCURRENCY
from tests.bulk.local_jobs import EchoProvider, jsonl, line
from tests.support.patience import PATIENCE

from .job_stack import NAMES, JobStack, open_job_stack

HOUR = 3600.0


async def waits(stack: JobStack, job: Any) -> list[dict[str, Any]]:
    found = await stack.job(job)
    shown = found.to_dict(await stack.service.jobs.totals(found))["fanout"]["waits"]
    return list(shown)


def test_workers_end_and_the_state_machine_holds_the_job(
    blobs: S3BlobStore, table: DynamoTable, started: list[str]
) -> None:
    provider, ahead = EchoProvider(), [0.0]

    async def before(_model: str, _text: str) -> tuple[int, Mapping[str, str]] | None:
        return (429, {"retry-after": "3600"}) if ahead[0] < HOUR else None

    provider.before = before

    def now() -> float:
        return time.time() + ahead[0]

    async def main() -> None:
        async with open_job_stack(blobs, table, started, provider, now=now) as stack:
            transitions = StateTransitions(stack.handlers, JobStarter.__new__(JobStarter))
            job = await stack.create(jsonl(line(name) for name in NAMES[:40]))
            planned = await stack.handlers.plan(job.id)
            shards = await stack.shards(planned.manifest)
            for shard in shards:
                async with asyncio.timeout(PATIENCE):
                    result = await stack.work(job, shard)
                assert (result.stop, result.remaining) == ("paused", 20)
            state = JobState(job.id, "work", manifest=planned.manifest)
            for _ in range(IDLE_ROUNDS + 2):
                state = await transitions.finish(state)
                assert (state.next, state.wait, state.idle) == ("hold", 900, 0)
            shown = await waits(stack, job)
            assert {(wait["reason"], wait["model"]) for wait in shown} == {("rate_limit", "a")}
            assert 2 * FIRST_CONCURRENCY <= sum(wait["lines"] for wait in shown) <= 40
            assert {3500 < wait["until"] - time.time() <= 3610 for wait in shown} == {True}
            calls = sum(provider.calls.values())
            ahead[0] = HOUR + 100
            state = await transitions.finish(state)
            assert (state.next, state.wait, await waits(stack, job)) == ("work", 0, [])
            for shard in await stack.shards(state.manifest):
                assert (await stack.work(job, shard)).remaining == 0
            assert (await transitions.finish(state)).status == "completed"
            assert sum(provider.calls.values()) == calls + 40

    asyncio.run(main())
