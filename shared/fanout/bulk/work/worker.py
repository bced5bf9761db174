"""
The worker: takes shards, sends their lines and stores the results.

It reads each shard once and does not send a line again that has a stored result. It keeps as many
lines in flight as the providers allow, and starts no more when its time or the job ends. Prompts
and responses leave it only for the providers and the result store.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from functools import partial

from ...concurrency import first_error
from ..input.line_order import LineOrder
from ..input.line_parser import parse_line
from ..input.planner import Shard
from ..input.prefixes import LEAST
from ..input.splitter import iter_lines
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.line_retry import LineRetry
from ..pacing.prefix_groups import PrefixGroups
from ..totals import Totals
from .full_disk import write_when_there_is_room
from .line_runner import LineRunner, ReadyLine
from .line_slots import LineSlots
from .open_shards import OpenShard, OpenShards
from .ordered_lines import FoundLine, OrderedLines, Read, order_of_shard, read_from
from .rejections import Rejections
from .spec import WorkerResources, WorkResult, WorkSpec
from .stopping import WorkerStop
from .stored_results import count_paid

LONG_WAIT = 60.0
"""Seconds for which all lines of a worker must wait for it to leave them to a later one."""

END_MARGIN = 2.0
"""Seconds before a worker's own end at which it leaves the lines in flight to another worker."""


async def work(
    spec: WorkSpec,
    shards: AsyncIterable[Shard],
    resources: WorkerResources,
    *,
    seconds: float | None = None,
) -> WorkResult:
    """Work on the shards until they are done, the job stops, or the seconds are over."""
    return await _Worker(spec, resources, seconds).run(shards)


class _Worker:
    def __init__(self, spec: WorkSpec, resources: WorkerResources, seconds: float | None) -> None:
        self._spec = spec
        self._resources = resources
        self._loop = asyncio.get_running_loop()
        self._deadline = None if seconds is None else self._loop.time() + seconds - END_MARGIN
        concurrency = AdaptiveConcurrency(
            initial=spec.initial_concurrency, maximum=spec.max_concurrency
        )
        self._is_read = self._is_blocked = False
        self._lines = self._held = 0
        self._total = Totals()
        self._last_id = random.getrandbits(64)
        rejections = Rejections(spec.models, resources.activity)
        self._stop = WorkerStop(resources.progress, rejections)
        resources.activity.is_stopping = self._stop.is_ending
        self._slots = LineSlots(spec, resources, concurrency, self._stop, self._deadline)
        self._shards = OpenShards(resources, self._stop, self._total)
        retry = LineRetry(
            resources.send,
            concurrency,
            resources.retry,
            spec.give_up_after,
            self._deadline,
            self._stop.is_set,
            self._loop.time,
            resources.activity,
            spec.expires_at,
            flex=resources.flex,
            pause=self._slots.wait_to_retry,
            is_end=lambda: self._is_read,
        )
        self._runner = LineRunner(resources, retry, rejections, self._stop, self._total)

    async def run(self, shards: AsyncIterable[Shard]) -> WorkResult:
        ending = asyncio.timeout(None)
        source = aiter(shards)
        ready = self._ready_lines(source)
        failure: BaseException | None = None
        try:
            async with ending, asyncio.TaskGroup() as group:
                syncing = group.create_task(self._sync(ending))
                try:
                    await self._run_all(ready)
                finally:
                    syncing.cancel()
        except TimeoutError:
            self._stop.set("time")
        except BaseExceptionGroup as raised:
            failure = first_error(raised)
        finally:
            await ready.aclose()
            await self._shards.close_all()
            await self._resources.progress.close()
        if failure is not None:
            raise failure  # here, so that it keeps its own cause
        async for shard in source:
            self._lines += shard.lines  # of a shard that was not opened
        return self._result()

    def _result(self) -> WorkResult:
        total, stop = self._total, self._stop
        left = self._lines - total.lines - self._held
        if left and not stop.is_set() and stop.is_ending():
            # All lines were read, and those that waited to be sent were left.
            stop.check_progress()
        # The last line may bring a job to its cost cap, or end after its time: nothing is left.
        # A rejection ends the other shards of the job, too.
        reason = stop.reason if left or stop.rejection else None
        return WorkResult(total.done, total.failed, left, reason, stop.rejection, self._held)

    async def _run_all(self, ready: AsyncIterator[ReadyLine]) -> None:
        """Run each line in a task; what a task raises is the store's error, not the line's."""
        async with asyncio.TaskGroup() as group:
            async for one in ready:
                group.create_task(self._run_line(one))

    async def _run_line(self, ready: ReadyLine) -> None:
        opened = ready.opened
        try:
            await self._runner.run(ready)
        finally:
            self._slots.ended(ready.size)
            opened.in_flight -= 1
        if ready.position is not None:
            await self._shards.use(opened)
        await self._shards.close_if_done(opened)

    # ---- reading lines ----

    async def _ready_lines(self, shards: AsyncIterator[Shard]) -> AsyncGenerator[ReadyLine, None]:
        """The lines that have no stored result, each as soon as it may be sent."""
        if (order := self._resources.order) is not None:
            opened_shards = await self._shards.open_all(self._counted(shards))
            read = partial(self._resources.blobs.read, self._spec.input_key)
            async for one in self._in_order(order, read, opened_shards):
                yield one
            self._is_read = not self._stop.is_set()
            return
        async for shard in self._counted(shards):
            opened = await self._shards.open(shard)
            if opened is None:
                continue
            async for one in self._read_shard(opened):
                yield one
            if self._stop.is_set():
                return
            opened.is_read = True
            await self._shards.close_if_done(opened)
        self._is_read = True

    async def _counted(self, shards: AsyncIterator[Shard]) -> AsyncIterator[Shard]:
        async for shard in shards:
            self._lines += shard.lines
            yield shard

    async def _read_shard(self, opened: OpenShard) -> AsyncIterator[ReadyLine]:
        shard = opened.shard
        if opened.totals.lines >= shard.lines:
            return
        source = self._resources.blobs.read(self._spec.input_key, shard.start, shard.end)
        if self._spec.cache != "off" and shard.lines > 1 and shard.end - shard.start >= 2 * LEAST:
            data = b"".join([chunk async for chunk in source])
            order = order_of_shard(data, opened, self._spec.default_model)
            read = read_from(data, shard.start)
            if order is not None:
                opened.unread = shard.lines
                async for one in self._in_order(order, read, {shard.index: opened}):
                    yield one
                return
            source = read(shard.start, shard.end)
        async for number, _, _, data in iter_lines(source, shard.start, shard.first):
            if (ready := await self._ready(opened, number, data)) is not None:
                yield ready
            if self._stop.is_set():
                return

    async def _in_order(
        self, order: LineOrder, read: Read, opened: Mapping[int, OpenShard]
    ) -> AsyncIterator[ReadyLine]:
        """The lines of these shards, in this order."""
        groups = PrefixGroups(
            order,
            self._resources.cache_rules,
            self._loop.time,
            self._slots.changed.set,
            mark=self._spec.cache == "auto",
        )
        first = min((one.shard.first - 1 for one in opened.values()), default=0)
        ordered = OrderedLines(groups, read, opened, self._wait_for_groups, first)
        async for found in ordered.lines(lambda: self._slots.has_room(0)):
            one = await self._ready(found.opened, found.number, found.data, found)
            if one is None:
                if found.call is not None:
                    found.call.skipped()
                if self._stop.is_set():
                    return
            else:
                yield one
            await self._shards.looked_at(found.opened)

    async def _wait_for_groups(self) -> bool:
        """Wait until another line may be sent; `False` if none may start any more."""
        if self._deadline is not None and self._loop.time() >= self._deadline:
            self._stop.set("time")
        self._stop.check_progress()
        if self._stop.is_set():
            return False
        self._is_blocked = True
        await self._slots.pause()
        self._is_blocked = False
        return True

    async def _ready(
        self, opened: OpenShard, number: int, data: bytes, found: FoundLine | None = None
    ) -> ReadyLine | None:
        """
        The line when it may be sent; `None` if it has a result, or none may start any more.

        Also `None` if it waits for a native batch, or is not there.
        """
        if not data:
            return None
        line = parse_line(data, number, self._spec.default_model)
        if line.custom_id in opened.stored:
            return None
        if self._resources.is_held(number):
            self._held += 1
            return None
        estimate = self._resources.estimate(line, len(data))
        if opened.results.is_full:
            await write_when_there_is_room(
                self._resources.activity, opened.results.check_room, self._stop.is_set
            )
        self._stop.set(await self._slots.wait_to_start(len(data), estimate))
        if self._stop.is_set():
            return None
        opened.in_flight += 1
        self._last_id += 1
        request_id = f"req_{self._last_id & (2**64 - 1):016x}"
        ready = ReadyLine(opened, number, line, len(data), estimate, request_id)
        if (calls := opened.paid.pop(line.custom_id, None)) is not None:
            ready.calls, ready.stored = calls, len(calls.charged)
            ready.failures = len(calls.failures)
            ready.paid = count_paid(calls, self._resources.cost)
        if found is not None:
            ready.position, ready.prefix = found.position, found.call
        return ready

    # ---- the end of the worker ----

    async def _sync(self, ending: asyncio.Timeout) -> None:
        """Every `sync_interval`: flush results, sync the progress, and end if the job stops."""
        if self._deadline is not None:
            ending.reschedule(self._deadline)
        spec, stop = self._spec, self._stop
        pause = spec.sync_interval if spec.first_sync is None else spec.first_sync
        while True:
            await asyncio.sleep(pause)
            pause = spec.sync_interval
            await self._shards.flush()
            await self._resources.progress.sync()
            stop.check_progress()
            stop.check_rejections()
            if not stop.is_set() and self._only_waits():
                self._resources.activity.leave(self._lines - self._total.lines - self._held)
                stop.set("paused")
                self._end_within(0.0, ending)
            elif stop.rejection is not None and not self._resources.activity.waiting_for_room:
                self._end_within(0.0, ending)  # no call is in flight
            elif stop.reason not in {None, "capped"}:
                self._end_within(spec.grace, ending)

    def _only_waits(self) -> bool:
        """Whether a worker with an end can do nothing for long, so that a later one may go on."""
        is_ready = self._slots.has_room(0) and not self._is_blocked
        if self._deadline is None or (is_ready and not self._is_read):
            return False
        activity = self._resources.activity
        until = activity.now() + LONG_WAIT
        return 0 < self._slots.in_flight <= activity.lines_waiting_until(until)

    def _end_within(self, seconds: float, ending: asyncio.Timeout) -> None:
        """End after so many seconds, or at an earlier end that is already set."""
        end, known = self._loop.time() + seconds, ending.when()
        if known is None or end < known:
            ending.reschedule(end)
