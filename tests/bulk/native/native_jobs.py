"""Jobs on this machine whose providers are doubles of batch APIs, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from fanout.bulk.input.planner import LARGE_SHARDS, ShardSize
from fanout.bulk.service.new_job import BatchOptions
from fanout.bulk.service.records import Job
from fanout.transport.engine import Incoming, Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.local_jobs import EchoProvider, LocalJobs, jsonl, line, open_jobs
from tests.support.native_doubles.anthropic_double import AnthropicDouble
from tests.support.native_doubles.bedrock_double import BedrockDouble
from tests.support.native_doubles.bill import Bill
from tests.support.native_doubles.clock import EPOCH
from tests.support.native_doubles.double import Double, Outcome, succeed
from tests.support.native_doubles.gemini_double import GeminiDouble
from tests.support.native_doubles.mistral_double import MistralDouble
from tests.support.native_doubles.mounted import DoubleEngine, streamed
from tests.support.native_doubles.openai_double import OpenAIDouble
from tests.support.native_doubles.script import Script, Scripts
from tests.support.virtual_clock import now as virtual_now
from tests.support.virtual_clock import run_threads_at_once

PRICES = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}
"""Those of the doubles' bill."""

MODELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-haiku-5-5",
    "gemini": "gemini/gemini-2.5-flash",
    "mistral": "mistral/mistral-small-latest",
    "bedrock": "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
}
OPTIONS = {
    "bedrock": {
        "api_key": None,
        "aws_access_key_id": "k",
        "aws_secret_access_key": "s",
        "aws_region_name": "us-east-1",
        "s3_bucket_name": "our-batches",
        "aws_batch_role_arn": "arn:aws:iam::111122223333:role/batches",
    }
}
"""What the entries of some vendors have besides; the others have a key."""

HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "api.mistral.ai": "mistral",
    "bedrock-runtime.us-east-1.amazonaws.com": "bedrock",
    "bedrock.us-east-1.amazonaws.com": "bedrock",
    "s3.us-east-1.amazonaws.com": "bedrock",
}
KINDS: Mapping[str, type[Double]] = {
    "openai": OpenAIDouble,
    "anthropic": AnthropicDouble,
    "gemini": GeminiDouble,
    "mistral": MistralDouble,
    "bedrock": BedrockDouble,
}
LEAST = 100
"""Lines of a job of Bedrock's."""


def now() -> float:
    return EPOCH + virtual_now()


def config(**more: Any) -> dict[str, Any]:
    """A model of each vendor at its own address."""
    models = [
        {"model_name": name, "litellm_params": _params(name, model, more)}
        for name, model in MODELS.items()
    ]
    return {"model_list": models, "router_settings": {"num_retries": 0}}


def _params(name: str, model: str, more: Mapping[str, Any]) -> dict[str, Any]:
    found = {"model": model, "api_key": "k", **PRICES, **more, **OPTIONS.get(name, {})}
    return {key: value for key, value in found.items() if value is not None}


class Providers(EchoProvider):
    """The doubles of all vendors, with one bill; `scripts` has those of some vendors' batches."""

    def __init__(
        self,
        scripts: Mapping[str, Scripts | Script] | None = None,
        outcome: Outcome = succeed,
        seconds: float = 1.0,
    ) -> None:
        super().__init__()
        self.bill = Bill()
        scripts = scripts or {}
        self.doubles = {
            name: kind(
                clock=now,
                bill=self.bill,
                script=scripts.get(name),
                outcome=outcome,
                seconds=seconds,
            )
            for name, kind in KINDS.items()
        }
        self.engine = DoubleEngine({host: self.doubles[name] for host, name in HOSTS.items()})

    async def send(self, request: Outgoing) -> WireResponse:
        return await self.engine.send(request)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The response in small parts."""
        async with streamed(await self.send(request)) as incoming:
            yield incoming

    @property
    def batches(self) -> int:
        """Batches that exist at the vendors."""
        return sum(len(double.batches) for double in self.doubles.values())

    def settle(self) -> None:
        """Bill all that the batches still execute."""
        for double in self.doubles.values():
            double.settle()


class Ended(Struct):
    """A job after its end, its responses and errors by `custom_id`, and its virtual seconds."""

    job: Job
    responses: dict[str, dict[str, Any]]
    errors: dict[str, Any]
    seconds: float

    @property
    def lanes(self) -> dict[str, int]:
        """Lines by lane."""
        assert self.job.totals is not None
        return {name: lane.lines for name, lane in self.job.totals.by_lane.items() if lane.lines}


def lines_of(models: Sequence[str], count: int, **more: Any) -> bytes:
    """So many lines, of these models in turn."""
    return jsonl(line(f"n{n}", models[n % len(models)], **more) for n in range(count))


def lines_of_all(count: int) -> bytes:
    """So many lines of the vendors in turn, and `LEAST` of the one whose batches need that many."""
    others = sorted(MODELS.keys() - {"bedrock"})
    data = lines_of(others, count)
    return data + jsonl(line(f"n{n}", "bedrock") for n in range(count, count + LEAST))


async def ended(jobs: LocalJobs, job: Job, began: float) -> Ended:
    """The job after its end."""
    while not (job := await jobs.job(job)).is_over:
        assert jobs.observer.unexpected_errors == []
        await asyncio.sleep(60.0)
    seconds = now() - began
    responses = {
        one["custom_id"]: one["response"] for one in await jobs.content(job.output_file_id)
    }
    errors = await jobs.error_codes(job)
    assert not responses.keys() & errors.keys()
    return Ended(job, responses, errors, seconds)


def run_jobs(
    home: Path,
    providers: Providers,
    jobs: Sequence[tuple[bytes, float, Mapping[str, Any]]],
    settings: Mapping[str, Any],
) -> list[Ended]:
    """Run jobs to their ends: the lines of each, the seconds before it begins, its options."""

    async def main() -> list[Ended]:
        async with open_jobs(
            home, providers, now=now, config=settings, sync_interval=5.0
        ) as process:

            async def one(data: bytes, delay: float, options: Mapping[str, Any]) -> Ended:
                await asyncio.sleep(delay)
                began, more = now(), {**options}
                fanout = BatchOptions(lane=more.pop("lane", "native"))
                job = await process.create(data, fanout=fanout, **more)
                return await ended(process, job, began)

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(*job)) for job in jobs]
            providers.settle()
            return [task.result() for task in tasks]

    return run_threads_at_once(main(), 0.0)


def run_job(
    home: Path,
    providers: Providers,
    data: bytes,
    *,
    lane: str = "native",
    native: str | None = None,
    cache: str | None = None,
    shard_size: ShardSize = LARGE_SHARDS,
    meanwhile: Callable[[LocalJobs, Job], Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Ended:
    """Run a job to its end; each of its lines has exactly one result."""

    async def main() -> Ended:
        async with open_jobs(
            home,
            providers,
            now=now,
            config=settings or config(),
            sync_interval=5.0,
            shard_size=shard_size,
        ) as jobs:
            began = now()
            fanout = BatchOptions(lane=lane, native=native, cache=cache)
            job = await jobs.create(data, fanout=fanout, **options)
            if meanwhile is not None:
                await meanwhile(jobs, job)
            found = await ended(jobs, job, began)
            names = {json.loads(one)["custom_id"] for one in data.splitlines()}
            assert found.responses.keys() | found.errors.keys() == names
            providers.settle()
            return found

    return run_threads_at_once(main(), 0.0)
