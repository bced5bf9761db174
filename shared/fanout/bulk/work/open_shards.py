"""The shards that a worker works on: their stored results are read, and written to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from functools import partial

from msgspec import Struct

from ..input.planner import Shard
from ..paid_calls import PaidCalls
from ..store import ShardResults
from ..totals import Totals
from .full_disk import write_when_there_is_room
from .spec import WorkerResources
from .stopping import WorkerStop
from .stored_results import StoredIds, count_paid, count_stored, paid_lines

MAX_FILES = 64
"""Shards of which files are open, if the lines of many are sent in turn."""


class OpenShard(Struct, eq=False):
    """
    A shard with lines in flight, or not read to its end, or not closed yet.

    `paid` has the calls of lines that have no result, by `custom_id`. `unread` lines of it were not
    looked at, if its lines are sent in another order.
    """

    shard: Shard
    results: ShardResults
    stored: set[str] | StoredIds
    totals: Totals
    paid: dict[str, PaidCalls]
    in_flight: int = 0
    is_read: bool = False
    unread: int = 0
    closing: asyncio.Future[None] | None = None


class OpenShards:
    """Opens and closes shards; adds what is stored of them to `total`."""

    def __init__(self, resources: WorkerResources, stop: WorkerStop, total: Totals) -> None:
        self._resources = resources
        self._stop = stop
        self._total = total
        self._open: dict[int, OpenShard] = {}
        self._used: dict[int, OpenShard] = {}

    async def open_all(self, shards: AsyncIterable[Shard]) -> dict[int, OpenShard]:
        """Open the shards that are not complete; the lines of all of them are sent in turn."""
        found: dict[int, OpenShard] = {}
        async for shard in shards:
            opened = await self.open(shard)
            if opened is not None and opened.totals.lines >= shard.lines:
                opened.is_read = True
                await self.close_if_done(opened)
            elif opened is not None:
                if isinstance(opened.stored, set):
                    opened.stored = StoredIds(opened.stored)
                opened.unread = shard.lines
                found[shard.index] = opened
                await opened.results.rest()
            if self._stop.is_set():
                break
        return found

    async def use(self, opened: OpenShard) -> None:
        """A line of the shard has ended: files of shards that were not used lately are closed."""
        index = opened.shard.index
        if index not in self._open:
            return
        self._used.pop(index, None)
        self._used[index] = opened
        if len(self._used) > MAX_FILES:
            await self._used.pop(next(iter(self._used))).results.rest()

    async def looked_at(self, opened: OpenShard) -> None:
        """A line of the shard was sent or has a result; after its last line, it can be closed."""
        opened.unread -= 1
        if not opened.unread:
            opened.is_read = True
            await self.close_if_done(opened)

    async def open(self, shard: Shard) -> OpenShard | None:
        """Open the shard's results and count what is stored; `None` if it is complete."""
        resources = self._resources
        totals = await resources.progress.completed_totals(shard.index)
        if totals is not None and await resources.results.is_whole(shard.index, totals.lines):
            self._total.add(totals)
            return None
        # On a full disk, this waits for room unless the job stops.
        results = await write_when_there_is_room(
            resources.activity, partial(resources.results.open, shard.index), self._stop.is_set
        )
        try:
            stored, totals = await count_stored(results, resources.cost)
            paid = await paid_lines(results, stored)
        except BaseException:
            await results.close()
            raise
        for calls in paid.values():
            totals.add(count_paid(calls, resources.cost))
        resources.progress.begin_shard(shard.index, totals)
        self._total.add(totals)
        opened = self._open[shard.index] = OpenShard(shard, results, stored, totals, paid)
        return opened

    async def flush(self) -> None:
        """Write the results that are held in memory."""
        for opened in list(self._open.values()):
            await opened.results.flush()

    async def close_if_done(self, opened: OpenShard) -> None:
        """Close a shard that was read to its end, if none of its lines is in flight."""
        if opened.is_read and not opened.in_flight and opened.shard.index in self._open:
            await self._close(opened)

    async def close_all(self) -> None:
        """Close each shard, also those that are not done."""
        for opened in list(self._open.values()):
            await self._close(opened)

    async def _close(self, opened: OpenShard) -> None:
        """
        Close a shard's results; the shard is open until that has succeeded.

        If the worker ends meanwhile, it waits for this: results that are not written are paid for.
        """
        if opened.closing is None or opened.closing.done():
            opened.closing = asyncio.ensure_future(opened.results.close())
        await asyncio.shield(opened.closing)
        self._open.pop(opened.shard.index, None)
        self._used.pop(opened.shard.index, None)
        if opened.totals.lines >= opened.shard.lines:
            self._resources.progress.complete_shard(opened.shard.index)
