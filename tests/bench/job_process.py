"""
Measures planner, worker and finisher: lines a second on one core, and memory by number of lines.

`python -m tests.bench.job_process [LINES ...]` runs a job for each number of lines, each in its own
process, and prints one line of JSON a job. By default the provider is in the same process and
responds at once. With `--wait SECONDS` it responds after that time, and `ideal` is the measured
time divided by the least possible time for 400 lines at once. With `--url URL` the provider is the
server at that URL. Speeds are per second of CPU time, so other load on the machine does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import uvloop

from fanout.bulk.local.batch_service import LocalBatchService
from fanout.bulk.local.lazy_service import open_local_batches
from fanout.bulk.service.files import FileService
from fanout.bulk.service.new_job import NewJob
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from fanout.transport.engine import Incoming, Outgoing
from fanout.wire.http import WireResponse

AT_ONCE = 400
PROMPT = "Say something about the weather in one sentence, please. " * 14
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It is sunny. " * 20},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 150, "completion_tokens": 60, "total_tokens": 210},
}


class Instant:
    """An engine that responds after `wait` seconds."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._body = json.dumps(ANSWER).encode()

    async def send(self, request: Outgoing) -> WireResponse:
        await asyncio.sleep(self._wait)
        return WireResponse(200, {}, self._body)

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        raise NotImplementedError
        yield

    async def aclose(self) -> None:
        """There is nothing to close."""


def config(url: str | None) -> dict[str, Any]:
    """A config with one model that has a price."""
    params = {
        "model": "openai/m",
        "api_base": url or "http://provider.test/v1",
        "api_key": "k",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
    }
    return {"model_list": [{"model_name": "m", "litellm_params": params}]}


async def write_input(files: FileService, lines: int) -> str:
    """Write a job's input, about 1 kB a line."""
    body = {"model": "m", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 100}
    rest = json.dumps({"method": "POST", "url": "/v1/chat/completions", "body": body})[1:]

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, lines, 1_000):
            numbers = range(start, min(start + 1_000, lines))
            yield "".join(f'{{"custom_id":"request-{n}",{rest}\n' for n in numbers).encode()

    key = files.new_key()
    await files.blobs.write(key, pieces())
    return (await files.register(key, "in.jsonl", "batch", "anyone")).id


async def measure(lines: int, wait: float, url: str | None, home: Path) -> dict[str, Any]:
    """Run one job and measure its three parts."""
    catalog = resolve(check(config(url), {}), {})
    engine = None if url else Instant(wait)
    async with (
        open_gateway(Settings(), catalog=catalog, engine=engine) as gateway,
        open_local_batches(gateway, home, resume=False) as lazy,
    ):
        bulk: LocalBatchService = lazy.service
        file_id = await write_input(bulk.files, lines)
        file = await bulk.files.find(file_id, None)
        new_job = NewJob(input_file_id=file_id, endpoint="/v1/chat/completions")
        job = bulk.jobs.draft(new_job, file, "anyone")
        await bulk.jobs.registry.create(job.id, job)
        moments, walls, memory = [time.process_time()], [time.perf_counter()], [peak()]
        for part in (bulk.runner.plan, bulk.runner.work, bulk.runner.finish):
            job = await part(job)
            moments.append(time.process_time())
            walls.append(time.perf_counter())
            memory.append(peak())
        assert job.totals is not None
        assert (job.status, job.totals.done) == ("completed", lines)
    plan, work, finish = (b - a for a, b in pairwise(moments))
    waited = walls[2] - walls[1]
    return {
        "lines": lines,
        "mb": round(file.bytes / 1e6, 1),
        "plan_mb_s": round(file.bytes / 1e6 / plan, 1),
        "work_lines_s": round(lines / work),
        "finish_s": round(finish, 2),
        "plan_s": round(plan, 2),
        "ideal": round(waited / (wait * lines / AT_ONCE), 2) if wait else None,
        "peak_mb": [round(one, 1) for one in memory],
    }


def peak() -> float:
    """The peak memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run each number of lines in its own process, so that each has its own peak memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--wait", type=float, default=0.0)
    parser.add_argument("--url")
    parser.add_argument("--here", action="store_true")
    given = parser.parse_args()
    if given.here:
        with tempfile.TemporaryDirectory() as home:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(measure(given.lines[0], given.wait, given.url, Path(home)))
            print(json.dumps(found))
        return
    for lines in given.lines:
        words = [str(lines), "--wait", str(given.wait), "--here"]
        words += ["--url", given.url] if given.url else []
        subprocess.run([sys.executable, "-m", "tests.bench.job_process", *words], check=True)


if __name__ == "__main__":
    main()
