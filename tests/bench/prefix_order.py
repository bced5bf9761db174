"""
Measures jobs whose lines share long beginnings, against a double with the cache rules of providers.

`python -m tests.bench.prefix_order [LINES]` prints the table of docs/bulk.md: cached calls and time
of a job in the order of the file and in that of the beginnings, in virtual time, so that a run has
the same figures each time. `python -m tests.bench.prefix_order --memory LINES …` plans files of so
many lines, each in its own process, and prints the peak memory.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from fanout.bulk.input.order_writer import OrderWriter
from fanout.bulk.input.planner import LARGE_SHARDS, plan
from fanout.bulk.lanes import CacheChoice
from fanout.bulk.local.batch_service import LocalBatchService
from fanout.bulk.local.lazy_service import open_local_batches
from fanout.bulk.service.new_job import BatchOptions, NewJob
from fanout.bulk.service.records import Job
from fanout.bulk.steps.host import RunnerOptions
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from tests.bulk.caching_provider import CHARACTERS, CachingProvider
from tests.support.virtual_clock import run_threads_at_once


class Case(Struct, frozen=True):
    """So many prefixes of so many tokens, lines of each, and calls at a time."""

    prefixes: int
    lines: int
    tokens: int = 8_000
    at_once: int = 400
    marks: bool = False
    seconds: float = 3.0
    initial: int = 100

    @property
    def ideal(self) -> int:
        """Calls that can be read from the cache: all but the first with each prefix."""
        return self.prefixes * (self.lines - 1)


class Run(Struct, frozen=True):
    """A job's cached calls, its seconds of virtual time, its streamed calls, and CPU seconds."""

    cached: int
    seconds: float
    streamed: int
    cpu: float


def input_lines(case: Case, seed: int = 1) -> Iterator[bytes]:
    """The lines of a job, shuffled."""
    shuffled = [n % case.prefixes for n in range(case.prefixes * case.lines)]
    random.Random(seed).shuffle(shuffled)  # noqa: S311 -- the same order in each run
    texts = [
        f"{number:0{CHARACTERS}}" + "word " * (case.tokens - 1) for number in range(case.prefixes)
    ]
    for number, prefix in enumerate(shuffled):
        system = {"role": "system", "content": texts[prefix]}
        user = {"role": "user", "content": f"What about {number}?"}
        body = {"model": "m", "messages": [system, user], "max_tokens": 100}
        line = {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions"}
        yield json.dumps({**line, "body": body}).encode() + b"\n"


async def _chunks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


async def run_job(
    case: Case,
    cache: CacheChoice,
    provider: CachingProvider,
    home: Path,
    *,
    resume: bool = False,
    **more: Any,
) -> tuple[Run, list[dict[str, Any]]]:
    """Run a job to its end, or the one that was stopped; also its output lines."""
    loop = asyncio.get_running_loop()
    params: dict[str, Any] = {"model": "openrouter/m" if case.marks else "openai/m", "api_key": "k"}
    params |= {"rpm": 60_000, **more}  # without limits, a job starts with one call
    catalog = resolve(
        check({"model_list": [{"model_name": "m", "litellm_params": params}]}, {}), {}
    )
    options = RunnerOptions(max_concurrency=case.at_once, initial_concurrency=case.initial)
    async with (
        open_gateway(Settings(), catalog=catalog, engine=provider) as gateway,
        open_local_batches(
            gateway, home, resume=False, options=options, now=lambda: 1e9 + loop.time()
        ) as lazy,
    ):
        bulk: LocalBatchService = lazy.service
        if resume:
            job = (await bulk.jobs.registry.all_open())[0]
        else:
            job = await _new_job(bulk, case, cache)
        began, cpu = loop.time(), time.process_time()
        job = await bulk.runner.run(job.id)
        seconds, cpu = loop.time() - began, time.process_time() - cpu
        assert job.totals is not None
        assert (job.status, job.totals.done) == ("completed", case.prefixes * case.lines), job
        record = await bulk.files.find(job.output_file_id or "", None)
        data = b"".join([chunk async for chunk in bulk.files.content(record)])
    streamed = sum(call.streamed for call in provider.calls)
    found = Run(provider.cached_calls, seconds, streamed, cpu)
    return found, [json.loads(line) for line in data.splitlines()]


async def _new_job(bulk: LocalBatchService, case: Case, cache: CacheChoice) -> Job:
    key = bulk.files.new_key()
    await bulk.files.blobs.write(key, _chunks(input_lines(case)))
    file = await bulk.files.register(key, "in.jsonl", "batch", "anyone")
    new = NewJob(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        fanout=BatchOptions(lane="realtime", cache=cache),
    )
    job = bulk.jobs.draft(new, file, "anyone")
    await bulk.jobs.registry.create(job.id, job)
    return job


def measure(case: Case, cache: CacheChoice) -> Run:
    """One job in virtual time."""
    with tempfile.TemporaryDirectory() as home:
        provider = CachingProvider(seconds=case.seconds, marks=case.marks)
        return run_threads_at_once(run_job(case, cache, provider, Path(home)), 0.0)[0]


def plan_memory(lines: int) -> None:
    """Plan a file of short lines and of long ones with 1,000 beginnings, and print the peak."""
    texts = [f"{number:05}" + "word " * 800 for number in range(1_000)]
    chosen = random.Random(1)  # noqa: S311

    async def read() -> AsyncIterator[bytes]:
        for number in range(lines):
            system = {"role": "system", "content": chosen.choice(texts)}
            messages = [system, {"role": "user", "content": f"What about {number}?"}]
            yield json.dumps({"custom_id": f"r{number}", "messages": messages}).encode() + b"\n"

    async def run() -> tuple[float, int]:
        with OrderWriter() as order:
            await plan(
                read,
                lambda _: None,
                default_model="m",
                check=lambda _: None,
                size=LARGE_SHARDS,
                order=order,
            )
            began = time.perf_counter()
            assert order.finish()
            size = sum(map(len, order.chunks()))
            return time.perf_counter() - began, size

    seconds, size = asyncio.run(run())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{lines:,} lines: peak {peak:.0f} MB, sorted in {seconds:.1f} s, order {size:,} bytes")


def main() -> None:
    """Measure, and print the table."""
    if "--here" in sys.argv:
        plan_memory(int(sys.argv[-1]))
        return
    if "--memory" in sys.argv:
        for lines in sys.argv[sys.argv.index("--memory") + 1 :]:
            words = [sys.executable, "-m", "tests.bench.prefix_order", "--here", lines]
            subprocess.run(words, check=True)
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    cases = [
        Case(5, count // 5),
        Case(5, count // 5, marks=True),
        Case(count // 15, 15, tokens=2_000, at_once=10, seconds=30.0),
        Case(count // 3, 3, tokens=2_000, at_once=40),
    ]
    print("| prefixes, lines of each, at once | cache | cached of the ideal | time | CPU |")
    print("|---|---|---|---|---|")
    for case in cases:
        plain: Run | None = None
        for cache in ("off", "auto"):
            found = measure(case, cache)
            plain = plain or found
            what = f"{case.prefixes:,} x {case.lines:,}, {case.at_once}{', marks' * case.marks}"
            cells = (
                what,
                cache,
                f"{found.cached / case.ideal:.1%}",
                f"{found.seconds / plain.seconds:.3f}",
                f"{found.cpu:.1f} s",
            )
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
