"""One job's merger on a clock that a test moves, with a provider that fails, and with kills."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from fanout.bulk.input.planner import Shard
from fanout.bulk.native.eligibility import Eligibility, Routes
from fanout.bulk.native.input_lines import InputLine, InputLines
from fanout.bulk.native.job import NativeJob
from fanout.bulk.native.ledger import BatchEntry, BatchLedger
from fanout.bulk.native.merger import Merger
from fanout.bulk.native.numbers import unpack
from fanout.bulk.native.planned import Choice, plan_batches
from fanout.bulk.native.realtime import line_backlog
from fanout.bulk.native.result_parts import part_lines
from fanout.bulk.work.result_lines import read_result
from fanout.config.catalog import Catalog, ClientKey
from fanout.config.deployment import Deployment
from fanout.errors import ErrorDetail, Unreachable
from fanout.transport.engine import Incoming
from fanout.wire.http import WireRequest, WireResponse
from tests.bulk.local_jobs import line
from tests.bulk.native.native_jobs import KINDS
from tests.support.native_doubles.bill import RECEIVED, Bill, Entry, tokens_of
from tests.support.native_doubles.clock import Clock
from tests.support.native_doubles.mounted import streamed
from tests.support.native_doubles.script import Script, Scripts, in_turn


class Killed(BaseException):
    """The process ends here."""


class MemoryRecords:
    """Records in memory."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], bytes] = {}
        self.writes = 0

    async def get(self, kind: str, key: str) -> bytes | None:
        return self.values.get((kind, key))

    async def put(self, kind: str, key: str, new: bytes, old: bytes | None) -> bool:
        if self.values.get((kind, key)) != old:
            return False
        self.values[kind, key] = new
        self.writes += 1
        return True

    async def put_all(self, changes: Sequence[Any]) -> bool:
        raise NotImplementedError

    async def delete(self, kind: str, key: str) -> bool:
        return self.values.pop((kind, key), None) is not None

    async def list(
        self, kind: str, *, after: str | None, limit: int, newest_first: bool = True
    ) -> Sequence[tuple[str, bytes]]:
        assert not newest_first
        found = sorted((k, v) for (own, k), v in self.values.items() if own == kind)
        return [one for one in found if after is None or one[0] > after][:limit]


class MemoryBlobs:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        yield self.values[key][start:end]

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        self.values[key] = b"".join([chunk async for chunk in chunks])
        return len(self.values[key])

    async def join(self, parts: Sequence[str], key: str) -> int:
        raise NotImplementedError

    async def size(self, key: str) -> int | None:
        return len(self.values[key]) if key in self.values else None

    async def delete(self, prefix: str) -> None:
        raise NotImplementedError


class SimulatedJob:
    """
    A job of `count` lines of one vendor, with a window in hours.

    The first batch follows `script`, or each the one that `script` has for it.
    `results` has the lane of each line's result. `hedged` are the lines of batches that the ledger
    reports as such, `unclear` the numbers of those that a batch may have run without a row. The
    process is killed at a part `kills` of its calls, before or after the provider has done what it
    was asked for. A line takes `seconds` in real time, and has these `max_tokens`.
    """

    def __init__(
        self, catalog: Catalog, vendor: str, hours: float, count: int, script: Script | Scripts,
        seed: int, kills: float = 0.05, *, seconds: float = 1.0, max_tokens: int = 100,
    ) -> None:  # fmt: skip
        self.backlog, self.seconds = line_backlog(catalog), seconds
        self.chance = random.Random(seed)  # noqa: S311 -- no secret
        self.clock, self.bill = Clock(), Bill()
        after = Script(queue=self.chance.uniform(60, 3600))
        scripts = script if callable(script) else in_turn(script, after)
        self.double = KINDS[vendor](clock=self.clock, bill=self.bill, script=scripts)
        self.kills = kills
        self.began = self.clock()
        self.window = hours * 3600
        self.deadline = self.began + self.window
        self.names = [f"{vendor}-{seed}-{n}" for n in range(count)]
        data = b"".join(line(name, vendor, max_tokens=max_tokens) + b"\n" for name in self.names)
        self.blobs, self.records = MemoryBlobs(), MemoryRecords()
        self.blobs.values["in"] = data
        self.eligibility = Eligibility(
            Routes(catalog), lambda request, _: request, ClientKey("master", None)
        )
        self.shards = [Shard(0, 0, len(data), 1, count)]
        self.lines = InputLines(self.blobs, "in", None, self.shards)
        self.results: dict[str, str] = {}
        self.hedged: set[str] = set()
        self.unclear: set[int] = set()
        self.ended_at = self.began

    async def send(self, deployment: Deployment, request: WireRequest) -> WireResponse:
        """One call; the process may be killed before or after it."""
        dies = self.chance.random() < self.kills
        if dies and self.chance.random() < 0.5:
            raise Killed
        try:
            response = await self.double(request)
        except ConnectionResetError:
            raise Unreachable(deployment, ErrorDetail("the connection broke")) from None
        if dies:
            raise Killed
        return response

    @asynccontextmanager
    async def open(self, deployment: Deployment, request: WireRequest) -> AsyncIterator[Incoming]:
        """One call for a file."""
        async with streamed(await self.send(deployment, request)) as incoming:
            yield incoming

    def process(self) -> tuple[Merger, NativeJob]:
        """What a new process has."""
        native = NativeJob(
            id="batch_00000000simulate",
            folder="jobs/x",
            expires_at=self.deadline,
            window=self.window,
            ledger=BatchLedger(self.records, "batch_00000000simulate"),
            eligibility=self.eligibility,
            lines=self.lines,
            blobs=self.blobs,
            send=self.send,
            open=self.open,
            now=self.clock,
            open_lines=lambda: len(self.names) - len(self.results),
        )
        return Merger(native), native

    async def begin(self) -> tuple[Merger, NativeJob]:
        """A process that has planned the batches."""
        merger, native = self.process()
        if not await native.ledger.is_planned():
            choice = Choice(
                self.clock(),
                self.window,
                self.deadline,
                lambda one: self.backlog(one.line, one.size),
                lambda _: 1_000_000_000,
            )
            lines = self.lines.all()
            plan = await plan_batches(lines, self.eligibility, choice, native.line_id)
            await native.ledger.plan(list(plan.rows(native.id).values()), plan.time)
        return merger, native

    async def run(self) -> None:
        """Run it to its end, through all kills."""
        while True:
            try:
                await self._run_process()
            except Killed:
                self.clock.advance(self.chance.uniform(1, 120))
            else:
                self.double.settle()
                return

    async def _run_process(self) -> None:
        merger, native = await self.begin()
        while True:
            rows = await native.ledger.rows()
            for row in rows:
                if row.state == "stored":
                    await self._merge(native, row)
            status = await merger.step()
            due = self.clock() if status.stored else status.next_at
            await self._realtime(await native.ledger.rows(), due)
            if len(self.results) == len(self.names):
                return
            if due is not None and due > self.clock():
                self.clock.advance(max(1.0, due - self.clock()))

    async def _merge(self, native: NativeJob, row: BatchEntry) -> None:
        for shard in row.shards:
            async for one in part_lines(self.blobs, "jobs/x", row, shard):
                result = read_result(one, failed=False)
                assert result is not None
                self.results.setdefault(result.custom_id, "native")
        await native.ledger.write(replace(row, state="merged"))
        self.ended_at = max(self.ended_at, self.clock())

    async def _realtime(self, rows: Sequence[BatchEntry], until: float | None) -> None:
        """Send what no batch holds, one line after the other, as far as there is time."""
        held = {n for row in rows if row.holds_its_lines for n in row.numbers}
        self.unclear |= {n for row in rows for n in unpack(row.unclear)}
        self.hedged |= {self.names[n - 1] for row in rows if row.hedged for n in row.numbers}
        for number, name in enumerate(self.names, 1):
            if until is not None and self.clock() >= until:
                return
            if number not in held and name not in self.results:
                self.clock.advance(self.seconds)
                tokens = tokens_of(name)
                entry = Entry(self.double.vendor, "realtime", name, tokens, RECEIVED, self.clock())
                self.bill.add(entry)
                self.results[name] = "realtime"
                self.ended_at = self.clock()


def run_all(jobs: Sequence[SimulatedJob]) -> None:
    """Run the jobs, one after the other."""

    async def main() -> None:
        for job in jobs:
            await job.run()

    asyncio.run(main())


__all__ = ["InputLine", "SimulatedJob", "run_all"]
