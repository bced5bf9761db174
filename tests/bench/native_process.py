"""
Measures a job whose lines go by its provider's own batches: CPU time and memory by number of lines.

`python -m tests.bench.native_process [LINES ...]` runs a job for each number of lines, each in its
own process, and prints one line of JSON a job. The provider has OpenAI's batch API and is in the
same process, with its files on the disk; its batches end at once, but are looked at after a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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
from fanout.bulk.service.new_job import BatchOptions, NewJob
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.gateway.factory import open_gateway
from fanout.settings import Settings
from fanout.transport.engine import Incoming, Outgoing, StreamedResponse
from fanout.wire.http import WireResponse

from .job_process import ANSWER, config, peak, write_input

PIECE = 1 << 16


class BatchProvider:
    """An engine with OpenAI's batch API, whose files are in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = 0

    async def send(self, request: Outgoing) -> WireResponse:
        """Store a file, or describe a batch: its id is its file's."""
        if request.url.endswith("/files"):
            self._files += 1
            name = f"file-{self._files}"
            (self._folder / name).write_bytes(request.body)
            return _reply({"id": name})
        if request.method == "POST":
            return _reply(_batch(json.loads(request.body)["input_file_id"]))
        return _reply(_batch(request.url.rpartition("/")[2]))

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        """The rows of a file's lines."""
        name = request.url.split("/")[-2]
        yield StreamedResponse(200, {}, self._rows(self._folder / name))

    async def _rows(self, path: Path) -> AsyncIterator[bytes]:
        answer, piece = json.dumps(ANSWER), bytearray()
        with path.open("rb") as file:
            for line in file:
                if line.startswith(b'{"custom_id"'):
                    name = json.loads(line)["custom_id"]
                    response = f'{{"status_code":200,"request_id":"r","body":{answer}}}'
                    row = f'{{"custom_id":"{name}","response":{response},"error":null}}\n'
                    piece += row.encode()
                if len(piece) >= PIECE:
                    yield bytes(piece)
                    piece.clear()
        yield bytes(piece)

    async def aclose(self) -> None:
        """There is nothing to close."""


def _batch(name: str) -> dict[str, Any]:
    return {"id": name, "object": "batch", "status": "completed", "output_file_id": name}


def _reply(value: dict[str, Any]) -> WireResponse:
    return WireResponse(200, {}, json.dumps(value).encode())


async def measure(lines: int, home: Path) -> dict[str, Any]:
    """Run one job: its planner, and all that follows."""
    settings = config(None)
    settings["model_list"][0]["litellm_params"]["native_batches"] = True
    catalog = resolve(check(settings, {}), {})
    folder = home / "provider"
    folder.mkdir()
    async with (
        open_gateway(Settings(), catalog=catalog, engine=BatchProvider(folder)) as gateway,
        open_local_batches(gateway, home, resume=False) as lazy,
    ):
        bulk: LocalBatchService = lazy.service
        file_id = await write_input(bulk.files, lines)
        file = await bulk.files.find(file_id, None)
        fanout = BatchOptions(lane="native")
        new = NewJob(
            input_file_id=file_id,
            endpoint="/v1/chat/completions",
            completion_window="7d",
            fanout=fanout,
        )
        job = bulk.jobs.draft(new, file, "anyone")
        await bulk.jobs.registry.create(job.id, job)
        moments, memory, began = [time.process_time()], [peak()], time.perf_counter()
        for part in (bulk.runner.plan(job), bulk.runner.run(job.id)):
            job = await part
            moments.append(time.process_time())
            memory.append(peak())
        assert job.totals is not None
        assert (job.status, job.totals.by_lane["native"].lines) == ("completed", lines)
    plan, run = (b - a for a, b in pairwise(moments))
    return {
        "lines": lines,
        "plan_s": round(plan, 2),
        "run_s": round(run, 2),
        "lines_s": round(lines / run),
        "waited_s": round(time.perf_counter() - began, 1),
        "peak_mb": [round(one, 1) for one in memory],
    }


def main() -> None:
    """Run each number of lines in its own process, so that each has its own peak memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--here", action="store_true")
    given = parser.parse_args()
    if given.here:
        with (
            tempfile.TemporaryDirectory() as home,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            print(json.dumps(runner.run(measure(given.lines[0], Path(home)))))
        return
    for lines in given.lines:
        words = [sys.executable, "-m", "tests.bench.native_process", str(lines), "--here"]
        subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
