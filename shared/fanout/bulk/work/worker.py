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
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from msgspec import Struct, field

from ...concurrency import first_error
from ...errors import FanoutError, StorageFull, detail_of
from ...routing.leg import HeldSlots
from ..input import lines
from ..input.lines import Line
from ..input.planner import LineError, Shard
from ..input.splitter import iter_lines
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.line_retry import LineDeferred, LineRetry, is_not_sent
from ..pacing.rate_limiter import RateLimitUnavailable
from ..store import ShardResults, Stop
from ..totals import Totals, count_response
from .full_disk import write_later, write_when_there_is_room
from .rejections import Rejections
from .result_lines import error_line, response_line
from .spec import WorkerResources, WorkResult, WorkSpec
from .stored_results import count_error, count_stored

T = TypeVar("T")

POLL_INTERVAL = 0.1
"""Seconds after which a worker that may not start a line checks again."""

LONG_WAIT = 60.0
"""Seconds for which all lines of a worker must wait for it to leave them to a later one."""

END_MARGIN = 2.0
"""Seconds before a worker's own end at which it leaves the lines in flight to another worker."""


class _OpenShard(Struct, eq=False):
    """A shard with lines in flight, or not read to its end, or not closed yet."""

    shard: Shard
    results: ShardResults
    stored: set[str]
    totals: Totals
    in_flight: int = 0
    is_read: bool = False
    closing: asyncio.Future[None] | None = None


class _ReadyLine(Struct, eq=False):
    """
    A line that may be sent now; `estimate` nanodollars are reserved for it.

    `received` has the response's body, once it is there, and `held` the slots of its call until it
    is stored: so a kill loses at most the calls in flight. `is_settled` is set when it is counted.
    """

    opened: _OpenShard
    number: int
    line: Line
    size: int
    estimate: int
    request_id: str
    received: list[object] = field(default_factory=list)
    held: HeldSlots = field(default_factory=HeldSlots)
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
        self._is_read = False
        self._rejections = Rejections(spec.models, resources.activity)
        self._rejection: LineError | None = None
        self._open: dict[int, _OpenShard] = {}
        self._lines = 0
        self._total = Totals()
        self._stop: Stop | None = None
        self._last_id = random.getrandbits(64)
        resources.activity.is_stopping = self._is_ending
        self._line_retry = LineRetry(
            resources.send,
            self._concurrency,
            resources.retry,
            spec.give_up_after,
            self._deadline,
            lambda: self._stop is not None,
            self._loop.time,
            resources.activity,
            spec.expires_at,
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
                await self._close(opened)
            await self._resources.progress.close()
        async for shard in source:
            self._lines += shard.lines  # of a shard that was not opened
        total = self._total
        left = self._lines - total.lines
        if left and self._stop is None and self._is_ending():
            # All lines were read, and those that waited to be sent were left.
            self._stop = self._progress_stop()
        # The last line may bring a job to its cost cap, or end after its time: nothing is left.
        # A rejection ends the other shards of the job, too.
        stop = self._stop if left or self._rejection else None
        return WorkResult(total.done, total.failed, left, stop, self._rejection)

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
        self._is_read = True

    async def _open_shard(self, shard: Shard) -> _OpenShard | None:
        """Open the shard's results and count what is stored; `None` if it is complete."""
        resources = self._resources
        totals = await resources.progress.completed_totals(shard.index)
        if totals is not None and await resources.results.is_whole(shard.index, totals.lines):
            self._total.add(totals)
            return None
        results = await self._write(partial(resources.results.open, shard.index))
        try:
            stored, totals = await count_stored(results, resources.cost)
        except BaseException:
            await results.close()
            raise
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
            if opened.results.is_full:
                await self._write(opened.results.check_room)
            stop = await self._wait_to_start(len(data), estimate)
            self._stop = self._stop or stop
            if self._stop:
                return
            opened.in_flight += 1
            self._last_id += 1
            request_id = f"req_{self._last_id & (2**64 - 1):016x}"
            yield _ReadyLine(opened, number, line, len(data), estimate, request_id)

    async def _wait_to_start(self, size: int, estimate: int) -> Stop | None:
        """Wait until a line of that size may start, or return why none may start any more."""
        while self._stop is None:
            if self._deadline is not None and self._loop.time() >= self._deadline:
                return "time"
            if self._has_room(size):
                stop = self._resources.progress.reserve(estimate)
                if stop is None:
                    self._in_flight += 1
                    self._bytes_in_flight += size
                self._resources.activity.is_capped = stop == "wait"
                if stop != "wait":
                    return stop
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL):
                    await self._changed.wait()
        return self._stop

    def _has_room(self, size: int) -> bool:
        if self._resources.activity.is_held:
            return False
        if not self._in_flight:
            return True
        fits = self._bytes_in_flight + size <= self._spec.max_bytes_in_flight
        return fits and self._in_flight < int(self._concurrency.limit)

    # ---- one line ----

    async def _run_line(self, ready: _ReadyLine) -> None:
        opened = ready.opened
        try:
            result = await self._send(ready)
            try:
                await self._put(ready, *result)
            except StorageFull as error:
                await ready.held.release()  # no call starts before there is room
                put = partial(self._put, ready, *result)
                await write_later(self._resources.activity, put, error)
        except LineDeferred:
            pass
        except asyncio.CancelledError:
            if ready.received and not ready.is_settled:  # it is paid for
                with suppress(StorageFull):
                    await self._put(ready, *self._response(ready))
            raise
        finally:
            await ready.held.release()
            self._in_flight -= 1
            self._bytes_in_flight -= ready.size
            self._changed.set()
            if not ready.is_settled:
                self._resources.progress.release(ready.estimate)
            opened.in_flight -= 1
        if opened.is_read:
            await self._close_if_done(opened)

    async def _send(self, ready: _ReadyLine) -> tuple[bytes, bool, Totals]:
        """The line's result to store, whether it is a failure, and its totals."""
        line, request_id = ready.line, ready.request_id
        try:
            ready.received = [await self._response_body(ready)]
        except (LineDeferred, RateLimitUnavailable):
            if not ready.received:
                raise  # not the line's failure
        except Exception as error:  # noqa: BLE001 -- a line's failure is its result
            if not ready.received:
                self._rejections.failed(line, detail_of(error))
                self._check_rejections()
                result, stored = error_line(line.custom_id, request_id, error)
                return result, True, count_error(stored, line.custom_id, ready.number)
        return self._response(ready)

    async def _response_body(self, ready: _ReadyLine) -> object:
        """Send the line, but not while no call may start."""
        send = self._line_retry.run
        while True:
            try:
                return await send(
                    ready.line, ready.size, ready.request_id, ready.received.append, ready.held
                )
            except FanoutError as error:
                if not is_not_sent(error):
                    raise
                if self._is_ending():
                    raise LineDeferred from None
            while self._resources.activity.is_held:
                if self._stop:
                    raise LineDeferred
                await asyncio.sleep(POLL_INTERVAL)

    def _check_rejections(self) -> None:
        """Stop if every call was rejected, and none is in flight."""
        if self._stop is None and (error := self._rejections.check()) is not None:
            self._stop, self._rejection = "refused", error

    def _response(self, ready: _ReadyLine) -> tuple[bytes, bool, Totals]:
        """The result and totals of a line whose response is there."""
        self._check_rejections()
        body = ready.received[-1]
        totals = count_response(body, self._resources.cost(body))
        return response_line(ready.line.custom_id, ready.request_id, body), False, totals

    async def _put(self, ready: _ReadyLine, result: bytes, failed: bool, totals: Totals) -> None:  # noqa: FBT001
        """Store and count a line's result."""
        results = ready.opened.results
        try:
            if results.is_slow:
                with self._resources.activity.writing():
                    await ready.held.release()  # no call starts meanwhile
                    await results.put(result, failed=failed)
            else:
                await results.put(result, failed=failed)
        except asyncio.CancelledError:
            self._settle(ready, totals)  # the result is stored when the shard is closed
            raise
        self._settle(ready, totals)

    async def _write(self, write: Callable[[], Awaitable[T]]) -> T:
        """What `write` returns; it waits for room on a full disk, unless the job stops."""
        activity = self._resources.activity
        return await write_when_there_is_room(activity, write, lambda: self._stop is not None)

    def _settle(self, ready: _ReadyLine, totals: Totals) -> None:
        self._resources.progress.settle(ready.opened.shard.index, ready.estimate, totals)
        ready.is_settled = True
        self._resources.activity.settled(succeeded=totals.done > 0)
        ready.opened.totals.add(totals)
        self._total.add(totals)

    # ---- the end of a shard, and of the worker ----

    async def _close_if_done(self, opened: _OpenShard) -> None:
        if opened.is_read and not opened.in_flight and opened.shard.index in self._open:
            await self._close(opened)

    async def _close(self, opened: _OpenShard) -> None:
        """
        Close a shard's results; the shard is open until that has succeeded.

        If the worker ends meanwhile, it waits for this: results that are not written are paid for.
        """
        if opened.closing is None or opened.closing.done():
            opened.closing = asyncio.ensure_future(opened.results.close())
        await asyncio.shield(opened.closing)
        self._open.pop(opened.shard.index, None)
        if opened.totals.lines >= opened.shard.lines:
            self._resources.progress.complete_shard(opened.shard.index)

    async def _sync(self, ending: asyncio.Timeout) -> None:
        """Every `sync_interval`: flush results, sync the progress, and end if the job stops."""
        if self._deadline is not None:
            ending.reschedule(self._deadline)
        spec = self._spec
        pause = spec.sync_interval if spec.first_sync is None else spec.first_sync
        while True:
            await asyncio.sleep(pause)
            pause = spec.sync_interval
            for opened in list(self._open.values()):
                await opened.results.flush()
            await self._resources.progress.sync()
            if self._stop is None:
                self._stop = self._progress_stop()
            self._check_rejections()
            if self._stop is None and self._only_waits():
                self._resources.activity.leave(self._lines - self._total.lines)
                self._stop = "paused"
                self._end_within(0.0, ending)
            elif self._rejection is not None and not self._resources.activity.waiting_for_room:
                self._end_within(0.0, ending)  # no call is in flight
            elif self._stop not in {None, "capped"}:
                self._end_within(self._spec.grace, ending)

    def _is_ending(self) -> bool:
        """Whether lines that are not sent yet are left; at a cost cap, those that fit are sent."""
        return (self._stop or self._progress_stop()) not in {None, "capped"}

    def _progress_stop(self) -> Stop | None:
        """Why the job's progress lets no line start any more, if it does not."""
        stop = self._resources.progress.reserve(0)
        return None if stop == "wait" else stop

    def _only_waits(self) -> bool:
        """Whether a worker with an end can do nothing for long, so that a later one may go on."""
        if self._deadline is None or not (self._is_read or not self._has_room(0)):
            return False
        activity = self._resources.activity
        until = activity.now() + LONG_WAIT
        return 0 < self._in_flight <= activity.lines_waiting_until(until)

    def _end_within(self, seconds: float, ending: asyncio.Timeout) -> None:
        """End after so many seconds, or at an earlier end that is already set."""
        end, known = self._loop.time() + seconds, ending.when()
        if known is None or end < known:
            ending.reschedule(end)
