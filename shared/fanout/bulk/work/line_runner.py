"""Sends one line and stores its result, which is its response or its error."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from functools import partial

from msgspec import Struct, field

from ...errors import FanoutError, StorageError, StorageFull, detail_of
from ...routing.leg import HeldSlots
from ..input.line_parser import Line
from ..pacing.line_attempt import LineRequest, PricedCall
from ..pacing.line_retry import LineDeferred, LineRetry, is_not_sent
from ..pacing.prefix_groups import PrefixCall
from ..pacing.rate_limit_state import RateLimitUnavailable
from ..paid_calls import PaidCalls, paid_line
from ..totals import Totals, paid_calls, without_paid
from .full_disk import write_later
from .open_shards import OpenShard
from .rejections import Rejections
from .result_lines import error_line, lists_calls, response_line
from .spec import WorkerResources
from .stopping import WorkerStop
from .stored_results import count_error, count_paid, count_success

HELD_INTERVAL = 0.1
"""Seconds after which a line that may not be sent now checks again."""


MAX_HELD = 1.0
"""Seconds that a line waits, amid its calls, while others hold the budget for its next one."""


class ReadyLine(Struct, eq=False):
    """
    A line that may be sent now; `estimate` nanodollars are reserved for it.

    `received` has the response's body, once it is there, and `held` the slots of its call until it
    is stored: so a kill loses at most the calls in flight. `is_settled` is set when it is counted.
    `calls` are those that cost something; `paid` has what is counted of them already.
    `stored` is the number of those that are stored, `failures` that of the failed ones of which the
    cost is reserved or counted. It `is_released` if not all of its calls are reserved any more. Its
    `position` differs from its number if the lines are not sent in the order of the file; `prefix`
    is the beginning that it shares with others.
    """

    opened: OpenShard
    number: int
    line: Line
    size: int
    estimate: int
    request_id: str
    received: list[object] = field(default_factory=list)
    held: HeldSlots = field(default_factory=HeldSlots)
    is_settled: bool = False
    calls: PaidCalls = field(default_factory=PaidCalls)
    paid: Totals = field(default_factory=Totals)
    stored: int = 0
    failures: int = 0
    is_released: bool = False
    position: int | None = None
    prefix: PrefixCall | None = None


class LineRunner(Struct, frozen=True):
    """Sends the lines of one worker, and counts their results in `total` and in the progress."""

    resources: WorkerResources
    retry: LineRetry
    rejections: Rejections
    stop: WorkerStop
    total: Totals

    async def run(self, ready: ReadyLine) -> None:
        """
        Send a line and store its result; a line that is deferred has none.

        If this is cancelled, a response that is there is stored, because it is paid for. So are the
        calls of a line without a result.
        """
        try:
            result = await self._send(ready)
            try:
                await self._put(ready, *result)
            except StorageFull as error:
                await ready.held.release()  # no call starts before there is room
                put = partial(self._put, ready, *result)
                await write_later(self.resources.activity, put, error)
        except LineDeferred:
            pass
        except asyncio.CancelledError:
            if ready.received and not ready.is_settled:
                with suppress(StorageFull):
                    await self._put(ready, *self._response(ready))
            raise
        finally:
            await ready.held.release()
            if ready.prefix is not None:
                ready.prefix.ended()
            if not ready.is_settled:
                await self._keep_calls(ready)
                self.resources.progress.release(ready.estimate)

    async def _keep_calls(self, ready: ReadyLine) -> None:
        """Count and store the calls that a line without a result has paid for."""
        if not ready.calls.charged:
            return
        self._count_paid(ready)
        await self._store_calls(ready)

    async def _store_calls(self, ready: ReadyLine) -> None:
        """Store the calls that the line has paid for so far, so that a kill does not lose them."""
        if (count := len(ready.calls.charged)) > ready.stored:
            with suppress(StorageError):
                line = paid_line(ready.line.custom_id, ready.calls)
                await ready.opened.results.put_paid(line)
                ready.stored = count

    async def _send(self, ready: ReadyLine) -> tuple[bytes, bool, Totals]:
        """The line's result to store, whether it is a failure, and its totals."""
        line, request_id = ready.line, ready.request_id
        try:
            ready.received = [await self._response_body(ready)]
        except (LineDeferred, RateLimitUnavailable):
            if not ready.received:
                raise  # not the line's failure
        except Exception as error:  # noqa: BLE001 -- a line's failure is its result
            if not ready.received:
                self.rejections.failed(line, detail_of(error))
                self.stop.check_rejections()
                paid = ready.calls
                calls = paid.beside_response if lists_calls(error) else paid.charged
                result, stored = error_line(line.custom_id, request_id, error, calls)
                cost = self.resources.cost
                return result, True, count_error(stored, line.custom_id, ready.number, cost)
        return self._response(ready)

    async def _response_body(self, ready: ReadyLine) -> object:
        """Send the line, but not while no call may start."""
        request = LineRequest(
            ready.line,
            ready.request_id,
            None,
            ready.size,
            ready.received.append,
            ready.held,
            ready.calls,
            partial(self._pay, ready),
            pay_again=partial(self._pay_again, ready),
            failed=partial(self._store_calls, ready),
            restart=partial(self._restart, ready),
            prefix=ready.prefix,
        )
        while True:
            try:
                return await self.retry.run(request, ready.position or ready.number)
            except FanoutError as error:
                if not is_not_sent(error):
                    raise
                if self.stop.is_ending():
                    raise LineDeferred from None
            while self.resources.activity.is_held:
                if self.stop.is_set():
                    raise LineDeferred
                await asyncio.sleep(HELD_INTERVAL)

    async def _pay(
        self, ready: ReadyLine, call: PricedCall, others: Collection[PricedCall] = ()
    ) -> None:
        """
        Count what the calls of a line have cost, and reserve the cost of another one.

        Of what the line has reserved, only the part of the `others` stays so while it waits, which
        end without a further reservation: lines that wait for each other's would wait forever.
        """
        self._count_paid(ready, others)
        ready.is_released = True
        await self._store_calls(ready)
        estimate = self.resources.estimate(*call)
        while True:
            if self.stop.reason not in {None, "capped"}:
                raise LineDeferred
            stop = self.resources.progress.reserve(estimate)
            if stop is None:
                ready.estimate += estimate
                return
            if stop != "wait":
                self.stop.set(stop)  # also if no further line is there to meet the cap
                raise LineDeferred
            await asyncio.sleep(HELD_INTERVAL)
            if self._kept(ready, others) < ready.estimate:
                self._count_paid(ready, others)

    async def _restart(self, ready: ReadyLine) -> bool:
        """Count what failed calls have cost before all are made again, and reserve these."""
        if len(ready.calls.failures) > ready.failures or ready.is_released:
            await self._pay(ready, (ready.line, ready.size))
            ready.is_released = False
        return True

    async def _pay_again(self, ready: ReadyLine) -> bool:
        """
        Reserve what failed calls have cost, beside the estimate: other calls may be in flight.

        `False` if others hold the budget for long: such a line may hold slots that they wait for.
        """
        failures = ready.calls.failures
        if len(failures) <= ready.failures:
            return True
        await self._store_calls(ready)
        new = failures[ready.failures :]
        cost = self.resources.cost(paid_calls(new)).nanodollars
        for _ in range(round(MAX_HELD / HELD_INTERVAL)):
            stop = self.resources.progress.reserve(cost)
            if stop is None:
                ready.estimate += cost
                ready.failures = len(failures)
                return True
            if stop != "wait":
                self.stop.set(stop)
                raise LineDeferred
            await asyncio.sleep(HELD_INTERVAL)
        return False

    def _count_paid(self, ready: ReadyLine, others: Collection[PricedCall] = ()) -> None:
        """Count the cost of the line's calls so far; only that of the others stays reserved."""
        kept = self._kept(ready, others)
        ready.failures = len(ready.calls.failures)
        found = count_paid(ready.calls, self.resources.cost)
        ready.estimate -= kept
        self._count(ready, found)
        ready.estimate, ready.paid = kept, found

    def _kept(self, ready: ReadyLine, others: Collection[PricedCall]) -> int:
        """What stays reserved for the other calls."""
        return min(ready.estimate, sum(self.resources.estimate(*one) for one in others))

    def _response(self, ready: ReadyLine) -> tuple[bytes, bool, Totals]:
        """The result and totals of a line whose response is there."""
        self.stop.check_rejections()
        body, unlisted = ready.received[-1], ready.calls.beside_response
        totals = count_success(body, unlisted, self.resources.cost)
        line = response_line(ready.line.custom_id, ready.request_id, body, unlisted)
        return line, False, totals

    async def _put(self, ready: ReadyLine, result: bytes, failed: bool, totals: Totals) -> None:  # noqa: FBT001
        """Store and count a line's result."""
        results = ready.opened.results
        try:
            if results.is_slow:
                with self.resources.activity.writing():
                    await ready.held.release()  # no call starts meanwhile
                    await results.put(result, failed=failed)
            else:
                await results.put(result, failed=failed)
        except asyncio.CancelledError:
            self._settle(ready, totals)  # the result is stored when the shard is closed
            raise
        self._settle(ready, totals)

    def _settle(self, ready: ReadyLine, totals: Totals) -> None:
        self._count(ready, totals)
        ready.is_settled = True
        self.resources.activity.settled(succeeded=totals.done > 0)
        ready.opened.totals.add(totals)
        self.total.add(totals)

    def _count(self, ready: ReadyLine, totals: Totals) -> None:
        """Count these totals in the progress, without what is counted already."""
        paid = ready.paid
        new = without_paid(totals, paid) if paid.cost or paid.tokens_in else totals
        self.resources.progress.settle(ready.opened.shard.index, ready.estimate, new)
