"""The states of the state machine, which a test runs one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fanout.bulk.aws.job_starter import Execution, JobStarter
from fanout.bulk.aws.state_transitions import JobState, StateTransitions
from fanout.bulk.aws.worker_slots import WorkerLimits
from fanout.bulk.input.line_checks import check_model
from fanout.bulk.service.webhooks import WebhookRules
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.transport.address_rules import AddressRules
from functions.bulk.start_events import read_start
from tests.bulk.local_jobs import CONFIG

from .job_stack import FUNCTION_SECONDS, JobStack

STARTED = datetime(2026, 11, 25, 12, 0, 0, 250_000, UTC)
BUCKET = "jobs"


def execution(name: str) -> Execution:
    return Execution(f"arn:aws:states:eu-west-1:1:execution:Jobs:{name}", STARTED)


def s3_event(key: str, sequencer: str = "1", **detail: object) -> dict[str, Any]:
    """
    EventBridge's event about a new object.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.
    """
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-11-25T12:00:00Z",
        "region": "eu-west-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": 5, "etag": "e", "sequencer": sequencer},
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
            **detail,
        },
    }


class StackSteps:
    """A stack, and the transitions between its states."""

    def __init__(self, stack: JobStack) -> None:
        self.stack = stack
        catalog = resolve(check(CONFIG, {}), {})
        checking = partial(check_model, catalog, catalog.client("master"))
        rules = WebhookRules(AddressRules(), frozenset({"HOOK"}))
        starter = JobStarter(stack.service, BUCKET, checking, rules)
        self.limits = WorkerLimits(20)
        self.transitions = StateTransitions(stack.handlers, starter, self._worker_limits)

    async def _worker_limits(self, starting: Collection[str]) -> WorkerLimits:
        self.starting = starting
        return self.limits

    async def put(self, key: str, data: bytes) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        await self.stack.stores.blobs.write(key, chunks())
        return f"s3://{BUCKET}/{key}"

    async def get(self, key: str) -> bytes:
        return b"".join([chunk async for chunk in self.stack.stores.blobs.read(key)])

    async def begin(self, given: object, run: str = "a") -> JobState:
        return await self.transitions.begin(partial(read_start, given), execution(run))

    async def run(self, given: object, run: str = "a") -> JobState:
        """Run the states to the end, as the state machine does if nothing fails."""
        state = await self.begin(given, run)
        if state.next == "work":
            for shard in await self.stack.shards(state.manifest):
                await self.stack.handlers.work(state.job, shard, FUNCTION_SECONDS)
        return state if state.next in {"refuse", "done"} else await self.transitions.finish(state)
