"""Result files of any size: they are never in memory as a whole."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fanout.bulk.local.file_store import FolderBlobStore
from fanout.bulk.native.input_lines import InputLines
from fanout.bulk.native.result_parts import LARGEST_PART, part_lines
from fanout.config.deployment import Deployment
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.transport.engine import Incoming, Outgoing, StreamedResponse, TooLong
from fanout.wire.http import WireRequest, WireResponse
from tests.bulk.native.native_jobs import LEAST, MODELS, Providers, config, lines_of_all, run_job
from tests.bulk.native.simulated_job import SimulatedJob
from tests.support.native_doubles.mounted import streamed
from tests.support.native_doubles.script import Script

LIMIT = 2_000
"""Bytes of a whole response here; the usual limit is 32 MB."""

COUNT = 40


class SmallResponses(Providers):
    """An engine that has no larger response as a whole."""

    async def send(self, request: Outgoing) -> WireResponse:
        response = await super().send(request)
        if len(response.body) > LIMIT:
            raise TooLong(f"more than {LIMIT} bytes")
        return response

    @asynccontextmanager
    async def stream(self, request: Outgoing) -> AsyncIterator[Incoming]:
        async with streamed(await super().send(request)) as incoming:
            yield incoming


def test_each_vendors_result_files_may_be_larger_than_any_other_response(tmp_path: Path) -> None:
    providers = SmallResponses()
    found = run_job(tmp_path, providers, lines_of_all(COUNT))
    assert (found.job.status, found.errors) == ("completed", {})
    assert found.lanes == {"native": COUNT + LEAST}
    assert providers.batches == len(MODELS)


ROWS = 250
ROW = 384_000
"""Bytes of a response's text."""


class LargeFiles(SimulatedJob):
    """A job whose batch has long responses, which arrive row by row."""

    def store_in(self, blobs: FolderBlobStore) -> None:
        """Have the blobs on the disk."""
        self.blobs: Any = blobs
        self.lines = InputLines(blobs, "in", None, self.shards)

    @asynccontextmanager
    async def open(self, deployment: Deployment, request: WireRequest) -> AsyncIterator[Incoming]:
        whole = await self.send(deployment, request)

        async def body() -> AsyncIterator[bytes]:
            for row in whole.body.splitlines(keepends=True):
                yield row.replace(b'"echo: ', b'"echo: ' + b"x" * ROW)

        yield StreamedResponse(whole.status, whole.headers, body())


def test_a_result_file_of_a_hundred_megabytes_is_never_in_memory(tmp_path: Path) -> None:
    catalog = resolve(check(config(), {}), {})
    script = Script(queue=60.0, shuffled=True)
    job = LargeFiles(catalog, "openai", 6, ROWS, script, 1, kills=0.0)
    data, blobs = job.blobs.values["in"], FolderBlobStore(tmp_path)

    async def content() -> AsyncIterator[bytes]:
        yield data

    async def main() -> tuple[int, int, int]:
        await blobs.write("in", content())
        job.store_in(blobs)
        merger, native = await job.begin()
        while (await merger.step()).rows[0].state != "ended":
            job.clock.advance(60)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        await merger.step()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        (row,) = await native.ledger.rows()
        sizes = [
            len(line)
            for shard in row.shards
            async for line in part_lines(blobs, native.folder, row, shard)
        ]
        assert max(row.parts.values()) > 1
        return peak - before, len(sizes), sum(sizes)

    peak, lines, size = asyncio.run(main())
    assert (lines, size > 90_000_000) == (ROWS, True)
    assert peak < LARGEST_PART + 15_000_000
