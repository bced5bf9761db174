"""
The worker: takes shards, sends their lines and stores the results.

It reads each shard once and does not send a line again that has a stored result. It keeps as many
lines in flight as the providers allow, and starts no more when its time or the job ends. Prompts
and responses leave it only for the providers and the result store.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import suppress

from msgspec import Struct, field

from ...concurrency import first_error
from ...errors import StorageFull, detail_of
from ..input import lines
from ..input.lines import Line
from ..input.planner import Shard
from ..input.splitter import iter_lines
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.line_retry import LineDeferred, LineRetry
from ..pacing.rate_limiter import RateLimitUnavailable
from ..store import ShardResults, Stop
from ..totals import Totals, count_failure, count_response
from .spec import WorkerResources, WorkResult, WorkSpec
from .stored_results import count_stored

POLL_INTERVAL = 0.1
"""Seconds after which a worker that may not start a line checks again."""

ROOM_PAUSE, MAX_ROOM_PAUSE = 0.5, 600.0
"""Seconds before a write to a full disk is tried again, at first and at most."""

END_MARGIN = 2.0
"""Seconds before a worker's own end at which it leaves the lines in flight to another worker."""


class _OpenShard(Struct, eq=False):
    """A shard with lines in flight, or not read to its end."""

    shard: Shard
    results: ShardResults
    stored: set[str]
    totals: Totals
    in_flight: int = 0
    is_read: bool = False


class _ReadyLine(Struct, eq=False):
    """
    A line that may be sent now; `estimate` nanodollars are reserved for it.

    `received` has the response's body, once it is there. `is_settled` is set when it is counted.
    """

    opened: _OpenShard
    number: int
    line: Line
    size: int
    estimate: int
    request_id: str
    received: list[object] = field(default_factory=list)
    is_settled: bool = False


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
        self._concurrency = AdaptiveConcurrency(
            clock=time.perf_counter, initial=spec.initial_concurrency, maximum=spec.max_concurrency
        )
        self._changed = asyncio.Event()
        self._in_flight = self._bytes_in_flight = 0
        self._open: dict[int, _OpenShard] = {}
        self._lines = 0
        self._total = Totals()
        self._stop: Stop | None = None
        self._last_id = random.getrandbits(64)
        self._line_retry = LineRetry(
            resources.send,
            self._concurrency,
            resources.retry,
            spec.give_up_after,
            self._deadline,
            lambda: self._stop is not None,
            self._loop.time,
        )

    async def run(self, shards: AsyncIterable[Shard]) -> WorkResult:
        ending = asyncio.timeout(None)
        source = aiter(shards)
        ready = self._ready_lines(source)
        try:
            async with ending, asyncio.TaskGroup() as group:
                syncing = group.create_task(self._sync(ending))
                try:
                    await self._run_all(ready)
                finally:
                    syncing.cancel()
        except TimeoutError:
            self._stop = self._stop or "time"
        except BaseExceptionGroup as raised:
            raise first_error(raised) from None
        finally:
            await ready.aclose()
            for opened in list(self._open.values()):
                await opened.results.close()
            await self._resources.progress.close()
        async for shard in source:
            self._lines += shard.lines  # of a shard that was not opened
        total = self._total
        return WorkResult(total.done, total.failed, self._lines - total.lines, self._stop)

    async def _run_all(self, ready: AsyncIterator[_ReadyLine]) -> None:
        """Run each line in a task; what a task raises is the store's error, not the line's."""
        async with asyncio.TaskGroup() as group:
            async for one in ready:
                group.create_task(self._run_line(one))

    # ---- reading lines ----

    async def _ready_lines(self, shards: AsyncIterator[Shard]) -> AsyncGenerator[_ReadyLine, None]:
        """The lines that have no stored result, each as soon as it may be sent."""
        async for shard in shards:
            self._lines += shard.lines
            opened = await self._open_shard(shard)
            if opened is None:
                continue
            async for one in self._read_shard(opened):
                yield one
            if self._stop:
                return
            opened.is_read = True
            await self._close_if_done(opened)

    async def _open_shard(self, shard: Shard) -> _OpenShard | None:
        """Open the shard's results and count what is stored; `None` if it is complete."""
        resources = self._resources
        if (totals := await resources.progress.completed_totals(shard.index)) is not None:
            self._total.add(totals)
            return None
        pause = ROOM_PAUSE
        while True:
            try:
                results = await resources.results.open(shard.index)
                break
            except StorageFull:
                if self._stop:
                    raise
                pause = await self._wait_for_room(pause)
        stored, totals = await count_stored(results, resources.cost)
        resources.progress.begin_shard(shard.index, totals)
        self._total.add(totals)
        opened = self._open[shard.index] = _OpenShard(shard, results, stored, totals)
        return opened

    async def _read_shard(self, opened: _OpenShard) -> AsyncIterator[_ReadyLine]:
        shard = opened.shard
        if opened.totals.lines >= shard.lines:
            return
        source = self._resources.blobs.read(self._spec.input_key, shard.start, shard.end)
        async for number, _, _, data in iter_lines(source, shard.start, shard.first):
            if not data:
                continue
            line = lines.parse_line(data, number, self._spec.default_model)
            if line.custom_id in opened.stored:
                continue
            estimate = self._resources.estimate(line, len(data))
            self._stop = self._stop or await self._wait_to_start(len(data), estimate)
            if self._stop:
                return
            opened.in_flight += 1
            self._last_id += 1
            request_id = f"req_{self._last_id & (2**64 - 1):016x}"
            yield _ReadyLine(opened, number, line, len(data), estimate, request_id)

    async def _wait_to_start(self, size: int, estimate: int) -> Stop | None:
        """Wait until a line of that size may start, or return why none may start any more."""
        while True:
            if self._deadline is not None and self._loop.time() >= self._deadline:
                return "time"
            if self._has_room(size):
                stop = self._resources.progress.reserve(estimate)
                if stop is None:
                    self._in_flight += 1
                    self._bytes_in_flight += size
                if stop != "wait":
                    return stop
            self._changed.clear()
            try:
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._changed.wait()
            except TimeoutError:
                if self._stop:
                    return self._stop

    def _has_room(self, size: int) -> bool:
        if self._resources.calls.waiting_for_room:
            return False
        if not self._in_flight:
            return True
        fits = self._bytes_in_flight + size <= self._spec.max_bytes_in_flight
        return fits and self._in_flight < int(self._concurrency.limit)

    # ---- one line ----

    async def _run_line(self, ready: _ReadyLine) -> None:
        opened = ready.opened
        try:
            await self._store(ready, *await self._send(ready))
        except LineDeferred:
            pass
        except asyncio.CancelledError:
            if ready.received and not ready.is_settled:  # it is paid for
                with suppress(StorageFull):
                    await self._put(ready, *self._response(ready))
            raise
        finally:
            self._in_flight -= 1
            self._bytes_in_flight -= ready.size
            self._changed.set()
            if not ready.is_settled:
                self._resources.progress.release(ready.estimate)
            opened.in_flight -= 1
        await self._close_if_done(opened)

    async def _send(self, ready: _ReadyLine) -> tuple[bytes, bool, Totals]:
        """The line's result to store, whether it is a failure, and its totals."""
        line, request_id = ready.line, ready.request_id
        try:
            body = await self._line_retry.run(line, ready.size, request_id, ready.received.append)
            ready.received = [body]
        except (LineDeferred, RateLimitUnavailable):
            if not ready.received:
                raise  # not the line's failure
        except Exception as error:  # noqa: BLE001 -- a line's failure is its result
            if not ready.received:
                detail = detail_of(error)
                cause = detail.code or type(error).__name__
                totals = count_failure(cause, line.custom_id, ready.number, detail.message)
                return lines.error_line(line.custom_id, request_id, error), True, totals
        return self._response(ready)

    def _response(self, ready: _ReadyLine) -> tuple[bytes, bool, Totals]:
        """The result and totals of a line whose response is there."""
        body = ready.received[-1]
        totals = count_response(body, self._resources.cost(body))
        return lines.response_line(ready.line.custom_id, ready.request_id, body), False, totals

    async def _store(self, ready: _ReadyLine, result: bytes, failed: bool, totals: Totals) -> None:  # noqa: FBT001
        """Store and count a line's result; on a full disk, keep it until there is room."""
        pause = ROOM_PAUSE
        while True:
            try:
                return await self._put(ready, result, failed, totals)
            except StorageFull:
                pause = await self._wait_for_room(pause)

    async def _put(self, ready: _ReadyLine, result: bytes, failed: bool, totals: Totals) -> None:  # noqa: FBT001
        try:
            await ready.opened.results.put(result, failed=failed)
        except asyncio.CancelledError:
            self._settle(ready, totals)  # the result is stored when the shard is closed
            raise
        self._settle(ready, totals)

    async def _wait_for_room(self, pause: float) -> float:
        """Wait so many seconds, in which no line starts; returns the seconds of the next wait."""
        self._resources.calls.waiting_for_room += 1
        try:
            await asyncio.sleep(pause)
        finally:
            self._resources.calls.waiting_for_room -= 1
        return min(2 * pause, MAX_ROOM_PAUSE)

    def _settle(self, ready: _ReadyLine, totals: Totals) -> None:
        self._resources.progress.settle(ready.opened.shard.index, ready.estimate, totals)
        ready.is_settled = True
        ready.opened.totals.add(totals)
        self._total.add(totals)

    # ---- the end of a shard, and of the worker ----

    async def _close_if_done(self, opened: _OpenShard) -> None:
        if opened.is_read and not opened.in_flight and opened.shard.index in self._open:
            del self._open[opened.shard.index]
            await opened.results.close()
            if opened.totals.lines >= opened.shard.lines:
                self._resources.progress.complete_shard(opened.shard.index)

    async def _sync(self, ending: asyncio.Timeout) -> None:
        """Every `sync_interval`: flush results, sync the progress, and end if the job stops."""
        if self._deadline is not None:
            ending.reschedule(self._deadline)
        while True:
            await asyncio.sleep(self._spec.sync_interval)
            for opened in list(self._open.values()):
                await opened.results.flush()
            await self._resources.progress.sync()
            if self._stop is None:
                stop = self._resources.progress.reserve(0)
                self._stop = None if stop == "wait" else stop
            if self._stop not in {None, "capped"}:
                self._end_within(self._spec.grace, ending)

    def _end_within(self, seconds: float, ending: asyncio.Timeout) -> None:
        """End after so many seconds, or at an earlier end that is already set."""
        end, known = self._loop.time() + seconds, ending.when()
        if known is None or end < known:
            ending.reschedule(end)
