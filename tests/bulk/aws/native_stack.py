"""A stack whose state machines a test runs in virtual time, with doubles of batch APIs."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct

from fanout.bulk.aws.batch_service import AWSBatchService, Stores
from fanout.bulk.aws.dynamodb import DynamoTable
from fanout.bulk.aws.job_starter import JobStarter
from fanout.bulk.aws.native_steps import Turn
from fanout.bulk.aws.s3 import S3BlobStore
from fanout.bulk.aws.state_transitions import JobState, StateTransitions
from fanout.bulk.aws.step_handlers import StepHandlers
from fanout.bulk.input.planner import Shard, ShardSize
from fanout.bulk.input.splitter import iter_lines
from fanout.bulk.service.new_job import BatchOptions, NewJob
from fanout.bulk.service.records import Job
from fanout.bulk.steps.host import RunnerOptions
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.gateway.gateway import Gateway
from fanout.settings import Settings
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.native.native_jobs import Ended, Providers, config, now
from tests.support.gateway_server import RecordingObserver

from .failing_stack import FailingClient, Faults, Invocation
from .job_stack import FUNCTION_SECONDS

FAULT_SECONDS = 300.0
"""The wait of the batches' state machine after an invocation that has failed."""

RETRY_SECONDS = 3.0


class Killed(Providers):
    """Providers that functions call, each of which may be killed before and after a call."""

    invocation: Invocation | None = None

    async def send(self, request: Outgoing) -> WireResponse:
        invocation = self.invocation
        if invocation is not None:
            invocation.check()
        response = await super().send(request)
        if invocation is not None:
            invocation.check()
        return response


class NativeStack:
    """
    The state machines of jobs and of their batches, whose functions run one at a time.

    With `is_killing`, the first attempt of each invocation is killed at its first call of AWS or of
    a provider, the second attempt at its second call, and so on. `stop_turns` is how many turns are
    made until the batches' state machine is stopped, as an operator could do.
    """

    def __init__(
        self, s3: Any, table: DynamoTable, gateway: Gateway, providers: Killed, group: Any
    ) -> None:
        self._s3, self._table, self._gateway = s3, table, gateway
        self._group = group
        self.providers = providers
        self.observer = RecordingObserver()
        self.is_killing = False
        self.step = 1
        self.kills = Counter[str]()
        self.started: list[str] = []
        self.stop_turns: int | None = None
        self.turns = self.holds = self.writes = 0
        self._lock = asyncio.Lock()
        self.stores = self._stores(None)
        self.service = AWSBatchService(self.stores, self._execute)

    def _stores(self, invocation: Invocation | None) -> Stores:
        s3, client = self._s3, self._table.client
        if invocation is not None:
            s3, client = FailingClient(s3, invocation), FailingClient(client, invocation)
        return Stores(S3BlobStore(s3, "jobs"), DynamoTable(client, self._table.name), now)

    async def _execute(self, _job_id: str) -> None:
        """The test runs the job."""

    def _handlers(self, invocation: Invocation | None) -> StepHandlers:
        options = RunnerOptions(shard_size=ShardSize(20, 1 << 20), grace=0.3, sync_interval=5.0)
        stores = self._stores(invocation)
        return StepHandlers(
            self._gateway, stores, self.observer, options, start_batches=self._start
        )

    async def count_overdue(self) -> int:
        """What the hourly check finds."""
        return await self._handlers(None).count_overdue()

    async def invoke(self, what: str, step: Callable[[StepHandlers], Awaitable[Any]]) -> Any:
        """Run a function, and again until it is not killed."""
        attempt = 0
        while True:
            attempt += self.step
            result = await self._once(what, step, attempt if self.is_killing else None)
            if result is not None:
                return result
            await asyncio.sleep(FAULT_SECONDS if what == "turn" else RETRY_SECONDS)

    async def _once(
        self, what: str, step: Callable[[StepHandlers], Awaitable[Any]], kill_at: int | None
    ) -> Any:
        if kill_at is None:
            return await step(self._handlers(None))
        async with self._lock:  # so that the providers know who asks
            invocation = Invocation(Faults(kill_at_check=kill_at), random.Random(1))  # noqa: S311
            self.providers.invocation = invocation
            try:
                result = await step(self._handlers(invocation))
            except Exception:  # whatever it is, the state machine retries
                if not invocation.is_killed:
                    raise
                result = None
            finally:
                self.providers.invocation = None
            if invocation.is_killed:
                self.kills[what] += 1
                return None
            return result

    # ---- the state machines ----

    async def _start(self, name: str, job_id: str) -> None:
        if name not in self.started:
            self.started.append(name)
            self._group.create_task(self._run_batches(job_id))

    async def _run_batches(self, job_id: str) -> None:
        while True:
            if self.stop_turns is not None and self.turns >= self.stop_turns:
                self.stop_turns = None
                return
            self.turns += 1
            turn: Turn = await self.invoke("turn", lambda handlers: handlers.native.turn(job_id))
            if turn.next == "done":
                return
            await asyncio.sleep(turn.wait)

    async def run(self, job: Job) -> None:
        """The job's state machine, from the first state to the last."""
        planned = await self.invoke("plan", lambda handlers: handlers.plan(job.id))
        state = JobState(job.id, planned.next, manifest=planned.manifest)
        while state.next not in {"done", "fail"}:
            if state.next == "work":
                await asyncio.sleep(state.wait)
                await self._work(job, state.manifest)
            elif state.next == "hold":
                self.holds += 1
                await asyncio.sleep(state.wait)
            before = state

            async def finish(handlers: StepHandlers, before: JobState = before) -> JobState:
                return await StateTransitions(handlers, JobStarter.__new__(JobStarter)).finish(
                    before
                )

            state = await self.invoke("finish", finish)

    async def _work(self, job: Job, manifest: str) -> None:
        source = self.stores.blobs.read(manifest)
        shards = [msgspec.json.decode(raw, type=Shard) async for _, _, _, raw in iter_lines(source)]
        for shard in shards:

            async def work(handlers: StepHandlers, shard: Shard = shard) -> Any:
                return await handlers.work(job.id, shard, FUNCTION_SECONDS)

            await self.invoke("work", work)

    # ---- jobs ----

    async def create(self, data: bytes, **options: Any) -> Job:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        files = self.service.files
        key = files.new_key()
        await files.blobs.write(key, chunks())
        file = await files.register(key, "in.jsonl", "batch", "master")
        native, lane = options.pop("native", None), options.pop("lane", "native")
        new = NewJob(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            fanout=BatchOptions(lane=lane, native=native),
            **options,
        )
        return await self.service.jobs.create(new, "master", None)

    async def ended(self, job: Job, data: bytes, began: float) -> Ended:
        """The job after its end: each of its lines has exactly one result."""
        job = await self.service.jobs.find(job.id, None)
        assert job.is_over, job.status
        responses, errors = (
            await self._content(job.output_file_id),
            await self._content(job.error_file_id),
        )
        names = [json.loads(one)["custom_id"] for one in data.splitlines()]
        assert sorted([*responses, *errors]) == sorted(names)
        self.providers.settle()
        codes = {name: (one["error"] or {}).get("code") for name, one in errors.items()}
        found = {name: one["response"] for name, one in responses.items()}
        return Ended(job, found, codes, now() - began)

    async def _content(self, file_id: str | None) -> dict[str, Any]:
        if file_id is None:
            return {}
        record = await self.service.files.find(file_id, None)
        data = b"".join([chunk async for chunk in self.service.files.content(record)])
        lines = [json.loads(one) for one in data.splitlines()]
        found = {one["custom_id"]: one for one in lines}
        assert len(found) == len(lines)
        return found


class Run(Struct):
    """A job's end, and the stack that ran it."""

    found: Ended
    stack: NativeStack


@asynccontextmanager
async def open_native_stack(
    s3: Any, table: DynamoTable, providers: Killed, **limits: Any
) -> AsyncIterator[NativeStack]:
    catalog = resolve(check(config(**limits), {}), {})
    observer = RecordingObserver()
    async with (
        open_gateway(Settings(), catalog=catalog, engine=providers, observer=observer) as gateway,
        asyncio.TaskGroup() as group,
    ):
        yield NativeStack(s3, table, gateway, providers, group)


async def run_job(
    s3: Any,
    table: DynamoTable,
    providers: Killed,
    data: bytes,
    *,
    prepare: Callable[[NativeStack], object] = lambda _: None,
    meanwhile: Callable[[NativeStack, Job], Awaitable[None]] | None = None,
    **options: Any,
) -> Run:
    """Run a job to its end."""
    async with open_native_stack(s3, table, providers) as stack:
        prepare(stack)
        began = now()
        job = await stack.create(data, **options)
        async with asyncio.TaskGroup() as group:
            group.create_task(stack.run(job))
            if meanwhile is not None:
                group.create_task(meanwhile(stack, job))  # type: ignore[arg-type]
        return Run(await stack.ended(job, data, began), stack)
