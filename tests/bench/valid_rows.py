"""
Measures jobs whose rows must fit a JSON schema, with scripted models of known error rates.

`python -m tests.bench.valid_rows [LINES]` prints the table of docs/bulk.md. Each round runs one job
without a schema and one for each error rate, with a provider in the process that takes the same
time for every call. Speeds are provider calls a second, relative to the job without a schema of the
same round; the median of the rounds counts.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from msgspec import Struct

from fanout.bulk.local.batch_service import LocalBatchService
from fanout.bulk.local.lazy_service import open_local_batches
from fanout.bulk.service.new_job import NewJob
from fanout.bulk.steps.host import RunnerOptions
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.schema.json_schema import validator_for
from fanout.settings import Settings
from fanout.transport.engine import Incoming, Outgoing
from fanout.wire.http import WireResponse

RATES = (0.0, 0.05, 0.2, 0.5)
"""How often the first model's response does not fit; the second model's is a fifth of it."""

ROUNDS, WAIT, AT_ONCE = 1, 0.5, 20
SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["good", "bad", "mixed"]},
        "score": {"type": "integer", "minimum": 0, "maximum": 10},
        "topics": {"type": "array", "items": {"type": "string"}},
        "date": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
    },
    "required": ["label", "score", "topics", "date"],
    "additionalProperties": False,
}
VALID = '{"label": "good", "score": 7, "topics": ["battery", "screen"], "date": "2026-11-30"}'
INVALID = (
    '{"label": "great", "score": 7, "topics": ["battery"], "date": null}',
    '{"label": "good", "score": "7", "topics": ["battery"], "date": null}',
    "Here is the JSON you asked for: " + VALID,
    VALID[:40],
)
USAGE = {"prompt_tokens": 150, "completion_tokens": 60, "total_tokens": 210}


class Scripted:
    """An engine whose responses take `WAIT` seconds and do not fit at these rates, by model."""

    def __init__(self, rates: dict[str, float]) -> None:
        self.rates = rates
        self.calls: Counter[str] = Counter()
        self._random = random.Random(1)  # noqa: S311 -- the same responses in each run

    async def send(self, request: Outgoing) -> WireResponse:
        model = json.loads(request.body)["model"]
        self.calls[model] += 1
        await asyncio.sleep(WAIT)
        is_bad = self._random.random() < self.rates[model]
        text = self._random.choice(INVALID) if is_bad else VALID
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"object": "chat.completion", "model": model, "choices": [choice], "usage": USAGE}
        return WireResponse(200, {}, json.dumps(body).encode())

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        raise NotImplementedError
        yield

    async def aclose(self) -> None:
        """There is nothing to close."""


class Run(Struct):
    """One job: its calls by model, calls a second, CPU seconds a call, rows by kind."""

    calls: Counter[str]
    speed: float
    cpu: float
    invalid: int
    failed: int


async def run(lines: int, rate: float | None) -> Run:
    """Run one job; without a rate, its lines have no schema."""
    engine = Scripted({"small": rate or 0.0, "large": (rate or 0.0) / 5})
    entries = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "k"}}
        for name in engine.rates
    ]
    catalog = resolve(check({"model_list": entries}, {}), {})
    options = RunnerOptions(max_concurrency=AT_ONCE, initial_concurrency=AT_ONCE)
    with tempfile.TemporaryDirectory() as home:
        async with (
            open_gateway(Settings(), catalog=catalog, engine=engine) as gateway,
            open_local_batches(gateway, Path(home), resume=False, options=options) as lazy,
        ):
            bulk: LocalBatchService = lazy.service
            new = NewJob(
                input_file_id=await _input(bulk, lines, rate), endpoint="/v1/chat/completions"
            )
            file = await bulk.files.find(new.input_file_id, None)
            job = bulk.jobs.draft(new, file, "anyone")
            await bulk.jobs.registry.create(job.id, job)
            job = await bulk.runner.plan(job)
            began, cpu = time.perf_counter(), time.process_time()
            job = await bulk.runner.work(job)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            job = await bulk.runner.finish(job)
            assert job.totals is not None
            calls = engine.calls.total()
            rows = await _texts(bulk, job.output_file_id)
            assert len(rows) + job.totals.failed == lines
            problem = validator_for(SCHEMA, "schema").problem
            invalid = sum(problem(text) is not None for text in rows)
            return Run(engine.calls, calls / seconds, cpu / calls, invalid, job.totals.failed)


async def _input(bulk: LocalBatchService, lines: int, rate: float | None) -> str:
    body: dict[str, Any] = {"model": "small", "max_tokens": 100}
    body["messages"] = [{"role": "user", "content": "Classify this review, please. " * 30}]
    if rate is not None:
        body["fanout"] = {"schema": SCHEMA, "attempts": 2, "escalate": ["large"]}
    rest = json.dumps({"method": "POST", "url": "/v1/chat/completions", "body": body})[1:]

    async def pieces() -> AsyncIterator[bytes]:
        yield "".join(f'{{"custom_id":"row-{n}",{rest}\n' for n in range(lines)).encode()

    key = bulk.files.new_key()
    await bulk.files.blobs.write(key, pieces())
    return (await bulk.files.register(key, "in.jsonl", "batch", "anyone")).id


async def _texts(bulk: LocalBatchService, file_id: str | None) -> list[str]:
    if file_id is None:
        return []
    record = await bulk.files.find(file_id, None)
    data = b"".join([chunk async for chunk in bulk.files.content(record)])
    bodies = [json.loads(line)["response"]["body"] for line in data.splitlines()]
    return [body["choices"][0]["message"]["content"] for body in bodies]


def main() -> None:
    """Measure, and print the table."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    found: dict[float | None, list[Run]] = {rate: [] for rate in (None, *RATES)}
    for _ in range(ROUNDS):
        for rate, runs in found.items():
            runs.append(uvloop.run(run(lines, rate)))
    plain = found[None]
    print("| responses of the model that do not fit | calls for 100 rows | of them to the second "
          "model | invalid rows in the output | rows in the error file | calls a second, "
          "relative | CPU a call |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for rate in RATES:
        runs = found[rate]
        calls = sum((one.calls for one in runs), Counter[str]())
        rows = lines * ROUNDS
        speed = statistics.median(a.speed / b.speed for a, b in zip(runs, plain, strict=True))
        cpu = statistics.median(one.cpu for one in runs) * 1000
        cells = (
            f"{rate:.0%}",
            f"{100 * calls.total() / rows:.1f}",
            f"{100 * calls['large'] / rows:.1f}",
            str(sum(one.invalid for one in runs)),
            f"{sum(one.failed for one in runs)} of {rows:,}",
            f"{speed:.2f}",
            f"{cpu:.2f} ms",
        )
        print(f"| {' | '.join(cells)} |")
    without = statistics.median(one.cpu for one in plain) * 1000
    print(f"\nWithout a schema, a call takes {without:.2f} ms of CPU.")


if __name__ == "__main__":
    main()
