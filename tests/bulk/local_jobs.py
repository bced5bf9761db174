"""Jobs in this process: a real gateway over a provider that echoes each prompt and counts calls."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from fanout.bulk.local.batch_service import LocalBatchService
from fanout.bulk.local.lazy_service import SERVER, open_local_batches
from fanout.bulk.service.new_job import NewJob
from fanout.bulk.service.records import Job
from fanout.bulk.service.webhooks import Webhook
from fanout.bulk.steps.host import RunnerOptions
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.gateway.gateway import Gateway
from fanout.settings import Settings
from fanout.transport.engine import Incoming, Outgoing
from fanout.wire.http import WireResponse
from tests.support.gateway_server import RecordingObserver
from tests.support.patience import PATIENCE

T = TypeVar("T")

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
SYNC_INTERVAL = 0.1
"""Seconds between two syncs of a worker; the usual second would make tests wait."""


class EchoProvider:
    """
    A provider that responds with the last message, prefixed by its model.

    `calls` counts the calls by (model, message). `headers` are sent with each response. `before`
    may wait, or return the status and headers of an error, whose text is `message` if it is set.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.before: Callable[[str, str], Awaitable[tuple[int, Mapping[str, str]] | None]] | None
        self.before = None
        self.headers: Mapping[str, str] = {}
        self.message = ""

    async def send(self, request: Outgoing) -> WireResponse:
        body = json.loads(request.body)
        model, text = body["model"], body["messages"][-1]["content"]
        self.calls[model, text] += 1
        error = await self.before(model, text) if self.before else None
        if error:
            status, headers = error
            text = self.message or f"status {status}"
            wire = {"error": {"message": text, "type": "t", "code": None}}
            return WireResponse(status, headers, json.dumps(wire).encode())
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

KNOWN_LIMIT: dict[str, Any] = {"rpm": 60_000}
"""A limit that a job does not reach: finding an unknown one takes ten seconds for fifty lines."""

CONFIG_WITH_LIMIT: dict[str, Any] = {
    **CONFIG,
    "model_list": [
        {**entry, "litellm_params": entry["litellm_params"] | KNOWN_LIMIT}
        for entry in CONFIG["model_list"]
    ],
}
"""The same with a known limit."""

COST = 5 * 0.001 + 7 * 0.002
"""Dollars that each response costs."""


def line(name: str, model: str | None = "a", text: str | None = None, **more: Any) -> bytes:
    """A batch line whose message is its `custom_id`, or `text`."""
    messages = [{"role": "user", "content": text or name}]
    body = {"messages": messages, **({"model": model} if model else {}), **more}
    return json.dumps(
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    ).encode()


def jsonl(lines: Iterable[bytes]) -> bytes:
    return b"".join(one + b"\n" for one in lines)


def with_key(models: list[str] | None, config: Mapping[str, Any] = CONFIG) -> dict[str, Any]:
    """The config with a key `team` for these models, without one for `None`, and another key."""
    keys: list[dict[str, Any]] = [{"name": "other", "key": "sk-other"}]
    if models is not None:
        keys.append({"name": "team", "key": "sk-team", "models": models})
    return {**config, "general_settings": {"keys": keys}}


class LocalJobs:
    """The jobs of one process, which another one may resume."""

    def __init__(
        self,
        service: LocalBatchService,
        provider: EchoProvider,
        observer: RecordingObserver,
        gateway: Gateway,
    ) -> None:
        self.service = service
        self.gateway = gateway
        self.provider = provider
        self.observer = observer

    async def upload(self, data: bytes, owner: str = "master") -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        files = self.service.files
        key = files.new_key()
        await files.blobs.write(key, chunks())
        return (await files.register(key, "in.jsonl", "batch", owner)).id

    async def create(self, data: bytes, owner: str = "master", **more: Any) -> Job:
        return await self.create_from(await self.upload(data, owner), owner, **more)

    async def create_from(
        self, file_id: str, owner: str = "master", webhook: Webhook | None = None, **more: Any
    ) -> Job:
        new = NewJob(input_file_id=file_id, endpoint="/v1/chat/completions", **more)
        return await self.service.jobs.create(new, owner, webhook)

    async def job(self, job: Job) -> Job:
        return await self.service.jobs.find(job.id, None)

    async def wait_until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await condition():  # noqa: ASYNC110 -- it is in a file
                await asyncio.sleep(0.01)

    async def wait(self, job: Job) -> Job:
        """Wait for the end of the job; its last record."""

        async def over() -> bool:
            return (await self.job(job)).is_over

        await self.wait_until(over)
        return await self.job(job)

    async def content(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of an output file, sorted by `custom_id`."""
        if file_id is None:
            return []
        record = await self.service.files.find(file_id, None)
        data = b"".join([chunk async for chunk in self.service.files.content(record)])
        assert data.endswith(b"\n")
        return sorted(map(json.loads, data.splitlines()), key=lambda one: str(one["custom_id"]))

    async def responses(self, job: Job) -> dict[str, str]:
        """The text of each response, by `custom_id`; each appears once."""
        output = await self.content(job.output_file_id)
        found = {
            one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
            for one in output
        }
        assert len(found) == len(output)
        return found

    async def error_codes(self, job: Job) -> dict[str, Any]:
        """The code of each failed line, by `custom_id`."""
        output = await self.content(job.error_file_id)
        found = {
            one["custom_id"]: (one["error"] or one["response"]["body"]["error"])["code"]
            for one in output
        }
        assert len(found) == len(output)
        return found


def open_jobs(
    home: Path,
    provider: EchoProvider | None = None,
    *,
    now: Callable[[], float] = time.time,
    config: Mapping[str, Any] = CONFIG,
    env: Any = None,
    **options: Any,
) -> AbstractAsyncContextManager[LocalJobs]:
    """A process that runs jobs in this folder, for the block; the next one resumes what is left."""
    return _open_process(home, provider or EchoProvider(), SERVER, now, config, options, env or {})


def open_view(home: Path) -> AbstractAsyncContextManager[LocalJobs]:
    """A process that only looks at the jobs in this folder, for the block."""
    return _open_process(home, EchoProvider(), "view", time.time, CONFIG, {})


@asynccontextmanager
async def _open_process(
    home: Path,
    engine: EchoProvider,
    name: str,
    now: Callable[[], float],
    config: Mapping[str, Any],
    options: Mapping[str, Any],
    env: Mapping[str, str] = {},
) -> AsyncIterator[LocalJobs]:
    observer, catalog = RecordingObserver(), resolve(check(config, env), env)
    all_options = replace(RunnerOptions(grace=0.3, sync_interval=SYNC_INTERVAL), **options)
    async with (
        open_gateway(Settings(), catalog=catalog, engine=engine, observer=observer) as gateway,
        open_local_batches(
            gateway, home, name=name, observer=observer, now=now, options=all_options
        ) as lazy,
    ):
        yield LocalJobs(lazy.service, engine, observer, gateway)
    assert observer.unexpected_errors == []


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)
