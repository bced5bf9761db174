"""A worker over a folder, whose lines are sent by the test."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fanout.bulk.input.planner import Shard, ShardSize, plan
from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.local.job_progress import SQLiteJobProgress
from fanout.bulk.local.shard_results import FolderResultStore
from fanout.bulk.local.sqlite import Database
from fanout.bulk.pacing.adaptive_concurrency import AdaptiveConcurrency
from fanout.bulk.pacing.line_attempt import LineRequest
from fanout.bulk.work.spec import WorkerResources, WorkResult, WorkSpec
from fanout.bulk.work.worker import work
from fanout.errors import ErrorDetail
from fanout.routing.retry_policy import RetryPolicy
from tests.bulk.local_jobs import SYNC_INTERVAL, jsonl, run

RESPONSE = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
Respond = Callable[[str], Awaitable[None]]


class Deployment(Struct):
    name: str = "a"


def error(kind: Any, **more: Any) -> Any:
    return kind(Deployment(), ErrorDetail("no"), **more)


class WorkerHarness:
    """Lines in a folder, a sender that counts, and one worker after another."""

    def __init__(self, home: Path, lines: list[bytes], respond: Respond, size: int = 3) -> None:
        self.blobs = FolderBlobStore(home)
        self.database = Database(home / "jobs.sqlite")
        run(self.database.put("batch", "job", b'{"status":"in_progress"}', None))
        self.shards: list[Shard] = []
        self.sent: Counter[str] = Counter()
        self.in_flight = self.max_in_flight = 0
        self.respond = respond
        (home / "in").write_bytes(jsonl(lines))
        self.resources = WorkerResources(
            self._send,
            self.blobs,
            FolderResultStore(self.blobs, "job"),
            self.progress(),
            retry=RetryPolicy(lambda: 0.5, base=0.01, cap=0.05),
        )
        self._size = ShardSize(size, 1 << 30)

    def progress(self, **more: Any) -> SQLiteJobProgress:
        return SQLiteJobProgress(
            self.database, "job", expires_at=float("inf"), now=time.time, **more
        )

    async def _send(self, request: LineRequest, concurrency: AdaptiveConcurrency) -> object:
        self.sent[request.line.custom_id] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            await self.respond(request.line.custom_id)
        finally:
            self.in_flight -= 1
        return RESPONSE

    async def _shards(self) -> AsyncIterator[Shard]:
        if not self.shards:
            await plan(
                lambda: self.blobs.read("in"),
                self.shards.append,
                default_model=None,
                check=lambda _: None,
                size=self._size,
            )
        for shard in self.shards:
            yield shard

    async def work(self, *, seconds: float | None = None, **options: Any) -> WorkResult:
        return await work(
            replace(WorkSpec("in", grace=0.1, sync_interval=SYNC_INTERVAL), **options),
            self._shards(),
            self.resources,
            seconds=seconds,
        )

    def stored(self) -> Counter[str]:
        """The `custom_id`s of all stored lines."""
        return Counter(
            json.loads(one)["custom_id"]
            for path in self.blobs.root.rglob("job/results/*")
            for one in path.read_bytes().splitlines()
        )
