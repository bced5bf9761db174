"""
The worker: shards in, results on their shelves, counts out.

It reads each shard once, passes over what is stored already, asks for the rest with as many lines
under way as the providers bear, and stops starting lines when its time is up or the job's is. No
prompt and no answer leaves it but to the shelf.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable

from msgspec import Struct

from ...concurrency import first_error
from ...errors import detail_of
from ...routing.retry_policy import Retry
from ..input import lines
from ..input.lines import Line
from ..input.planner import Shard, iter_lines
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.line_retry import Ask, LineDeferred, LineRetry
from ..pacing.rate_limiter import RateLimitUnavailable
from ..store import BlobStore, JobProgress, ResultStore, ShardResults, Stop
from ..totals import Totals, count_failure, count_response
from .stored_results import count_stored

SHARE = 64 * 1024 * 1024
"""Bytes of lines under way; one longer line is under way alone."""

GRACE = 5.0
"""Seconds that lines under way have left once the job is cancelled."""

PATIENCE = 600.0
"""Seconds for which a line is asked again while its provider is down or says 429."""

TICK = 1.0
"""Seconds between two times at which a worker stores what it holds, and hears from the others."""

LOOK = 0.1
MARGIN = 2.0
"""Seconds before a worker's own end at which the lines still under way are left to another."""


class Work(Struct, frozen=True):
    """What a worker must know of its job."""

    input_key: str
    default_model: str | None = None
    patience: float = PATIENCE
    grace: float = GRACE
    most: int = 400
    first: int = 100
    tick: float = TICK


class WorkerResources(Struct, frozen=True):
    """What a worker works with. `estimate` is the dollars that a line may cost."""

    ask: Ask
    blobs: BlobStore
    shelves: ResultStore
    ledger: JobProgress
    cost: Callable[[object], float] = lambda _: 0.0
    estimate: Callable[[Line, int], float] = lambda _line, _size: 0.0
    retry: Retry = Retry(random.random, base=1.0, cap=20.0)


class WorkResult(Struct, frozen=True):
    """What a worker says at its end: counts only. `left` lines are for another; `stop` says why."""

    done: int
    failed: int
    left: int
    stop: Stop | None


class _Open(Struct, eq=False):
    """A shard under way."""

    shard: Shard
    shelf: ShardResults
    stored: set[str]
    totals: Totals
    pending: int = 0
    is_drawn: bool = False


class _Item(Struct, frozen=True):
    opened: _Open
    number: int
    line: Line
    size: int
    estimate: float


async def work(
    job: Work, shards: AsyncIterable[Shard], tools: WorkerResources, *, seconds: float | None = None
) -> WorkResult:
    """Work on the shards until they are done, or a reason to stop, or the seconds are over."""
    return await _Worker(job, tools, seconds).run(shards)


class _Worker:
    def __init__(self, job: Work, tools: WorkerResources, seconds: float | None) -> None:
        self._job = job
        self._tools = tools
        self._loop = asyncio.get_running_loop()
        self._until = None if seconds is None else self._loop.time() + seconds - MARGIN
        self._pace = AdaptiveConcurrency(clock=time.perf_counter, first=job.first, most=job.most)
        self._changed = asyncio.Event()
        self._under_way = self._bytes = 0
        self._open: dict[int, _Open] = {}
        self._lines = 0
        self._total = Totals()
        self._stop: Stop | None = None
        self._numbers = random.getrandbits(64)
        self._insist = LineRetry(
            tools.ask,
            self._pace,
            tools.retry,
            job.patience,
            self._until,
            lambda: self._stop is not None,
            self._loop.time,
        )

    async def run(self, shards: AsyncIterable[Shard]) -> WorkResult:
        ending = asyncio.timeout(None)
        source = aiter(shards)
        drawn = self._draw(source)
        try:
            async with ending, asyncio.TaskGroup() as group:
                ticker = group.create_task(self._tick(ending))
                try:
                    await self._each(drawn)
                finally:
                    ticker.cancel()
        except TimeoutError:
            self._stop = self._stop or "time"
        except BaseExceptionGroup as raised:
            raise first_error(raised) from None
        finally:
            await drawn.aclose()
            for opened in list(self._open.values()):
                await opened.shelf.close()
            await self._tools.ledger.sync()
        async for shard in source:
            self._lines += shard.lines  # nobody has taken it up
        total = self._total
        return WorkResult(total.done, total.failed, self._lines - total.lines, self._stop)

    async def _each(self, drawn: AsyncIterator[_Item]) -> None:
        """A task for each line, drawn when there is room for it; what it raises is the store's."""
        async with asyncio.TaskGroup() as group:
            async for item in drawn:
                group.create_task(self._one(item))

    # ---- drawing ----

    async def _draw(self, shards: AsyncIterator[Shard]) -> AsyncGenerator[_Item, None]:
        """The lines that are not stored yet, each as soon as it may be started."""
        async for shard in shards:
            self._lines += shard.lines
            opened = await self._take_up(shard)
            if opened is None:
                continue
            async for item in self._draw_shard(opened):
                yield item
            if self._stop:
                return
            opened.is_drawn = True
            await self._put_down(opened)

    async def _take_up(self, shard: Shard) -> _Open | None:
        """Its shelf, with what is there; `None` if all of it is."""
        tools = self._tools
        if (totals := await tools.ledger.completed_totals(shard.index)) is not None:
            self._total.add(totals)
            return None
        shelf = await tools.shelves.open(shard.index)
        names, totals = await count_stored(shelf, tools.cost)
        tools.ledger.begin_shard(shard.index, totals)
        self._total.add(totals)
        opened = self._open[shard.index] = _Open(shard, shelf, names, totals)
        return opened

    async def _draw_shard(self, opened: _Open) -> AsyncIterator[_Item]:
        shard = opened.shard
        if opened.totals.lines >= shard.lines:
            return
        source = self._tools.blobs.read(self._job.input_key, shard.start, shard.end)
        async for number, _, _, data in iter_lines(source, shard.start, shard.first):
            if not data:
                continue
            line = lines.read_line(data, number, self._job.default_model)
            if line.custom_id in opened.stored:
                continue
            estimate = self._tools.estimate(line, len(data))
            self._stop = self._stop or await self._turn(len(data), estimate)
            if self._stop:
                return
            opened.pending += 1
            yield _Item(opened, number, line, len(data), estimate)

    async def _turn(self, size: int, estimate: float) -> Stop | None:
        """Wait until a line of that size may start; or why none may."""
        while True:
            if self._until is not None and self._loop.time() >= self._until:
                return "time"
            if self._has_room(size):
                stop = self._tools.ledger.reserve(estimate)
                if stop is None:
                    self._under_way += 1
                    self._bytes += size
                if stop != "wait":
                    return stop
            self._changed.clear()
            try:
                async with asyncio.timeout(LOOK):
                    await self._changed.wait()
            except TimeoutError:
                if self._stop:
                    return self._stop

    def _has_room(self, size: int) -> bool:
        if not self._under_way:
            return True
        return self._under_way < int(self._pace.limit) and self._bytes + size <= SHARE

    # ---- one line ----

    async def _one(self, item: _Item) -> None:
        opened, ledger = item.opened, self._tools.ledger
        settled = False
        try:
            line, failed, totals = await self._answered(item)
            await opened.shelf.put(line, failed=failed)
            ledger.settle(opened.shard.index, item.estimate, totals)
            settled = True
            opened.totals.add(totals)
            self._total.add(totals)
        except LineDeferred:
            pass
        finally:
            self._under_way -= 1
            self._bytes -= item.size
            self._changed.set()
            if not settled:
                ledger.release(item.estimate)
            opened.pending -= 1
        await self._put_down(opened)

    async def _answered(self, item: _Item) -> tuple[bytes, bool, Totals]:
        line, size = item.line, item.size
        self._numbers += 1
        request_id = f"req_{self._numbers & (2**64 - 1):016x}"
        try:
            body = await self._insist.answer(line, size, request_id)
        except (LineDeferred, RateLimitUnavailable):
            raise  # not the line's failure
        except Exception as error:  # noqa: BLE001 -- a line's failure is its result
            said = detail_of(error)
            cause = said.code or type(error).__name__
            totals = count_failure(cause, line.custom_id, item.number, said.message)
            return lines.failed(line.custom_id, request_id, error), True, totals
        cost = self._tools.cost(body)
        return lines.answered(line.custom_id, request_id, body), False, count_response(body, cost)

    # ---- the end of a shard, and of it all ----

    async def _put_down(self, opened: _Open) -> None:
        if opened.is_drawn and not opened.pending and opened.shard.index in self._open:
            del self._open[opened.shard.index]
            await opened.shelf.close()
            if opened.totals.lines >= opened.shard.lines:
                self._tools.ledger.complete_shard(opened.shard.index)

    async def _tick(self, ending: asyncio.Timeout) -> None:
        """Each tick: flush, hear from the others, and see whether it is time to end."""
        if self._until is not None:
            ending.reschedule(self._until)
        while True:
            await asyncio.sleep(self._job.tick)
            for opened in list(self._open.values()):
                await opened.shelf.flush()
            await self._tools.ledger.sync()
            if self._stop is None:
                stop = self._tools.ledger.reserve(0.0)
                self._stop = None if stop == "wait" else stop
            if self._stop not in {None, "capped"}:
                self._end_within(self._job.grace, ending)

    def _end_within(self, seconds: float, ending: asyncio.Timeout) -> None:
        """Unless the end is sooner than that."""
        end, known = self._loop.time() + seconds, ending.when()
        if known is None or end < known:
            ending.reschedule(end)
