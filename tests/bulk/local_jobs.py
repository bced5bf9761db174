"""Jobs in this process: a real gateway over an engine that answers what it is asked, and counts."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from fanout.bulk.local.batch_service import LocalBatchService, open_local_batches
from fanout.bulk.runner import RunnerOptions
from fanout.bulk.service.batches import NewJob
from fanout.bulk.service.records import Job
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from fanout.transport.engine import Incoming, Outgoing
from fanout.wire.http import WireResponse
from tests.support.gateway_server import RecordingObserver

T = TypeVar("T")

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
PATIENCE = 10.0
SYNC_INTERVAL = 0.1
"""Of a worker, in seconds: a tenth of the usual one, which tests would wait for."""


class EchoProvider:
    """
    A provider that says back the last message, prefixed by its model.

    `calls` counts the calls by (model, message). `before` may wait, or return a refusal: a status
    and headers. `most` is the most calls at a time; `headers` come with every answer.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.before: Callable[[str, str], Awaitable[tuple[int, Mapping[str, str]] | None]] | None
        self.before = None
        self.in_flight = self.most = 0
        self.headers: Mapping[str, str] = {}

    async def send(self, request: Outgoing) -> WireResponse:
        body = json.loads(request.body)
        model, text = body["model"], body["messages"][-1]["content"]
        self.calls[model, text] += 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            refusal = await self.before(model, text) if self.before else None
        finally:
            self.in_flight -= 1
        if refusal:
            status, headers = refusal
            said = {"error": {"message": f"status {status}", "type": "t", "code": None}}
            return WireResponse(status, headers, json.dumps(said).encode())
        message = {"role": "assistant", "content": f"{model}: {text}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
        return WireResponse(
            200, self.headers, json.dumps({**head, "choices": [choice], "usage": USAGE}).encode()
        )

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        raise NotImplementedError
        yield

    async def aclose(self) -> None:
        """Nothing is open."""


CONFIG: dict[str, Any] = {
    "model_list": [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{name}",
                "api_base": "http://provider.test/v1",
                "api_key": "k",
                "input_cost_per_token": 0.001,
                "output_cost_per_token": 0.002,
            },
        }
        for name in ("a", "b")
    ],
    "router_settings": {"num_retries": 0},
}
COST = 5 * 0.001 + 7 * 0.002
"""What each answer costs."""


def line(name: str, model: str | None = "a", text: str | None = None, **more: Any) -> bytes:
    """A batch line whose message is its name, unless it says something else."""
    messages = [{"role": "user", "content": text or name}]
    body = {"messages": messages, **({"model": model} if model else {}), **more}
    return json.dumps(
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    ).encode()


def jsonl(lines: Iterable[bytes]) -> bytes:
    return b"".join(one + b"\n" for one in lines)


class LocalJobs:
    """One life of a process that runs jobs."""

    def __init__(
        self, bulk: LocalBatchService, provider: EchoProvider, observer: RecordingObserver
    ) -> None:
        self.bulk = bulk
        self.provider = provider
        self.observer = observer

    async def file(self, data: bytes) -> str:
        async def pieces() -> AsyncIterator[bytes]:
            yield data

        files = self.bulk.files
        key = files.new_key()
        await files.blobs.write(key, pieces())
        return (await files.register(key, "in.jsonl", "batch", "master")).id

    async def create(self, data: bytes, allowed: list[str] | None = None, **more: Any) -> Job:
        file_id = await self.file(data)
        asked = NewJob(input_file_id=file_id, endpoint="/v1/chat/completions", **more)
        return await self.bulk.jobs.create(asked, "master", allowed)

    async def job(self, job: Job) -> Job:
        return await self.bulk.jobs.find(job.id, None)

    async def until(self, fact: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await fact():  # noqa: ASYNC110 -- the fact is in a file
                await asyncio.sleep(0.01)

    async def ended(self, job: Job) -> Job:
        """The job, once it is over."""

        async def over() -> bool:
            return (await self.job(job)).is_over

        await self.until(over)
        return await self.job(job)

    async def content(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of an output file, by name."""
        if file_id is None:
            return []
        record = await self.bulk.files.find(file_id, None)
        data = b"".join([piece async for piece in self.bulk.files.content(record)])
        assert data.endswith(b"\n")
        return sorted(map(json.loads, data.splitlines()), key=lambda said: str(said["custom_id"]))

    async def texts(self, job: Job) -> dict[str, str]:
        """What was answered, by name; each name once."""
        said = await self.content(job.output_file_id)
        found = {
            one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
            for one in said
        }
        assert len(found) == len(said)
        return found

    async def faults(self, job: Job) -> dict[str, Any]:
        """The codes of the failed lines, by name."""
        said = await self.content(job.error_file_id)
        found = {
            one["custom_id"]: (one["error"] or one["response"]["body"]["error"])["code"]
            for one in said
        }
        assert len(found) == len(said)
        return found


@asynccontextmanager
async def open_jobs(
    home: Path,
    provider: EchoProvider | None = None,
    *,
    now: Callable[[], float] = time.time,
    config: Mapping[str, Any] = CONFIG,
    **options: Any,
) -> AsyncIterator[LocalJobs]:
    """A process's life over this folder; what it leaves, the next one finds."""
    observer, over = RecordingObserver(), provider or EchoProvider()
    catalog = resolve(check(config, {}), {})
    chosen = replace(RunnerOptions(grace=0.3, sync_interval=SYNC_INTERVAL), **options)
    async with (
        open_gateway(Settings(), catalog=catalog, engine=over, observer=observer) as gateway,
        open_local_batches(gateway, home, observer=observer, now=now, options=chosen) as door,
    ):
        yield LocalJobs(door.bulk, over, observer)
    assert observer.bugs == []


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)
