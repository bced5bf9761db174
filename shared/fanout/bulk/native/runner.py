"""
Runs a job whose lines may go by native batches, in one process: a task steps the merger, and
beside it the workers send all other lines, and later those that the batches have not answered.

While all lines that are left wait for batches, nothing runs but a look at the job's state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import TypeAlias

from msgspec import Struct

from ...concurrency import first_error
from ..activity import ActivityTracker
from ..input.planner import Shard
from ..store import JobProgress, Stop
from ..work.spec import WorkResult
from .held_lines import HeldLines, LineRanges, batch_wait
from .ledger import BatchEntry, BatchLedger
from .merge import ResultMerger
from .merger import Merger

CHECK_INTERVAL = 5.0
"""Seconds between two looks at whether the job is cancelled, while its lines wait for batches."""

SETTLE = 900.0
"""Seconds for which the batches of a cancelled job are waited for, so that their rows count."""

SETTLE_EXPIRED = 60.0
"""The same for a job whose window is over."""

IsHeld: TypeAlias = Callable[[int], bool]
Work: TypeAlias = Callable[[Sequence[Shard], IsHeld], Awaitable[WorkResult]]
"""Sends the lines of shards that have no result and are not held."""

NOTHING = WorkResult(0, 0, 0, None)


class RunnerParts(Struct, frozen=True):
    """
    What a runner uses; `shards` are all of the job's, `ledger` is not the merger's own.

    `refresh` reads how many lines have results, from which follows when batches are given up.
    """

    merger: Merger
    results: ResultMerger
    ledger: BatchLedger
    progress: JobProgress
    shards: Sequence[Shard]
    work: Work
    activity: ActivityTracker
    now: Callable[[], float]
    refresh: Callable[[], Awaitable[None]]


class NativeRunner:
    """One job's lines, from their first batch to their last result."""

    def __init__(self, parts: RunnerParts) -> None:
        self._parts = parts
        self._rows: Sequence[BatchEntry] = ()
        self._is_ending = False
        self._changed = asyncio.Event()
        self._wake = asyncio.Event()
        self._passed: set[int] = set()

    async def run(self) -> WorkResult:
        """Get a result for each line, or stop as the job does."""
        return await self._beside_the_steps(self._run())

    async def settle(self, seconds: float = SETTLE) -> None:
        """End the batches of a job that sends nothing more, and merge what they have."""
        await self._beside_the_steps(self._end(NOTHING, seconds))

    async def _beside_the_steps(self, running: Awaitable[WorkResult]) -> WorkResult:
        self._rows = await self._parts.ledger.rows()
        try:
            async with asyncio.TaskGroup() as group:
                stepping = group.create_task(self._step())
                try:
                    return await running
                finally:
                    stepping.cancel()
        except BaseExceptionGroup as raised:
            failure = first_error(raised)
        raise failure  # here, so that it keeps its own cause

    async def _step(self) -> None:
        """Step the merger whenever something is due."""
        while True:
            self._wake.clear()
            await self._parts.refresh()
            status = await self._parts.merger.step(is_ending=self._is_ending)
            self._rows = status.rows
            self._changed.set()
            due = status.next_at
            pause = None if due is None else max(0.0, due - self._parts.now())
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _run(self) -> WorkResult:
        parts, todo = self._parts, self._parts.shards
        self._passed = {row.number for row in self._rows if not row.holds_its_lines}
        while True:
            await self._merge()
            if todo:
                result = await parts.work(todo, self._held())
                if result.stop is not None or result.remaining:
                    return await self._end(result, SETTLE)
            rows = await self._merge()
            todo = self._freed(rows)
            if not todo:
                if not any(row.holds_its_lines for row in rows):
                    return NOTHING
                stop = await self._wait(rows)
                if stop is not None:
                    return await self._end(WorkResult(0, 0, 1, stop), SETTLE)

    def _held(self) -> IsHeld:
        """Whether a line waits for a batch, as it is now."""
        return HeldLines(self._rows).__contains__

    async def _merge(self) -> Sequence[BatchEntry]:
        """Merge what is stored; the rows after that."""
        rows = await self._parts.ledger.rows()
        if stored := [row for row in rows if row.state == "stored"]:
            await self._parts.results.merge(stored, self._parts.shards)
            rows = await self._parts.ledger.rows()
        self._rows = rows
        return rows

    def _freed(self, rows: Sequence[BatchEntry]) -> list[Shard]:
        """The shards with lines that another lane may send since the last look."""
        new = [row for row in rows if not row.holds_its_lines and row.number not in self._passed]
        self._passed |= {row.number for row in new}
        freed = LineRanges(row.lines for row in new if row.missing or row.hedged)
        shards = self._parts.shards
        ends = [*(shard.first for shard in shards[1:]), inf]
        return [
            shard for shard, end in zip(shards, ends, strict=True) if freed.count(shard.first, end)
        ]

    async def _wait(self, rows: Sequence[BatchEntry]) -> Stop | None:
        """Wait until the ledger changes, or return why the job stops."""
        parts = self._parts
        wait = batch_wait(rows)
        with parts.activity.waiting(wait):
            while True:
                await parts.progress.sync()
                stop = parts.progress.reserve(0)
                if stop is None:
                    parts.progress.release(0)
                elif stop != "wait" and stop != "capped":  # noqa: PLR1714 -- for the type
                    return stop
                if self._changed.is_set():
                    self._changed.clear()
                    return None
                try:
                    async with asyncio.timeout(CHECK_INTERVAL):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _end(self, result: WorkResult, seconds: float) -> WorkResult:
        """End the batches, unless another process goes on with the job, and merge their rows."""
        if result.stop == "time":
            return result
        seconds = SETTLE_EXPIRED if result.stop == "expired" else seconds
        until = self._parts.now() + seconds
        self._is_ending = True
        self._wake.set()
        while True:
            rows = await self._merge()
            if not any(row.state != "merged" for row in rows) or self._parts.now() >= until:
                return result
            self._changed.clear()
            try:
                async with asyncio.timeout(CHECK_INTERVAL):
                    await self._changed.wait()
            except TimeoutError:
                continue
