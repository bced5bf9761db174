"""
The rate limits that a stack's workers share: one item for each model in DynamoDB, and leases of it.

A lease is a range of the model's time that no other worker has: leases change who goes first, but
not the rate. A worker takes one with a single `UpdateItem` that moves the model's times on
(`lease_update.py`), so workers do not compete for the item, however many there are. A worker leases
as many permits as it uses in about a second, of the mean size of its last ones; the more workers
write the item, the longer are their leases, so that all of them together write it about
`TARGET_WRITES` times a second. What a lease has left, or has used in excess, is settled with the
next lease or by `flush`, and at once if leases are for one permit. A killed worker loses at most
its lease. The limits that a worker learns are in the item as well: it writes them with its next
lease, which is its next permit, because the old lease had other limits.

Times are from the workers' own clocks, which differ by milliseconds on AWS. If a clock is ahead,
the other workers wait that much longer once, and no limit is exceeded.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from ..pacing.estimated_limit import CALLS
from ..pacing.limits import Limits, add_learned, read_learned
from ..pacing.rate_limit_state import Reservation, State
from .clients import BotoCoreError, ClientError, error_code
from .lease import IDLE_SPANS, MIN_SPAN, Lease, lease_reservations, lease_size, next_span
from .lease_update import PAUSE, WRITES, burst_attribute, lease_update, settle_update
from .number_update import Condition, NumberUpdate, Sum

KIND = "rate-limit"
MAX_WAIT = 60.0
"""Seconds for which an item that DynamoDB throttles, or whose state changes, is tried again."""

FIRST_DELAY, MAX_DELAY = 0.02, 2.0
"""Seconds between two attempts: up to the first, later up to the second, at random."""

CACHE_SECONDS = 1.0
"""Seconds for which a worker without a lease of a model uses what it last read of its item."""

MIN_PAUSE_CHANGE = 0.1
"""Seconds by which a pause must be longer than the stored one to be written."""

ITEM_TTL = 24 * 3600
"""Seconds after its last write at which DynamoDB may delete a model's item."""

THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
}
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"""


NOTED = "noted"
"""The attribute with the time of the last note."""


class Table(Protocol):
    """The methods of `DynamoTable` that are used here."""

    async def numbers(self, kind: str, key: str) -> State: ...

    async def update_numbers(
        self, kind: str, key: str, update: NumberUpdate, *, ttl: int
    ) -> tuple[bool, State]: ...


class RateLimitStoreBusy(OSError):
    """A model's item could not be written for a minute: DynamoDB throttles it."""


class DynamoRateLimitStore:
    """One worker's `RateLimitStore` for all models of a stack."""

    has_workers = True

    def __init__(self, table: Table, draw: Callable[[], float] = random.random) -> None:
        self._table = table
        self._draw = draw
        self._spans: dict[str, float] = {}
        self._leases: dict[str, Lease] = {}
        self._flushed: dict[str, Lease] = {}
        self._known: dict[str, State] = {}
        self._read_at: dict[str, float] = {}
        self._unwritten: dict[str, dict[str, tuple[Limits, float]]] = {}
        self._noted: dict[str, State] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def reserve(
        self, model: str, reservations: list[Reservation], now: float, waiting: int = 0
    ) -> float:
        """Use a permit of the lease, or of a new one."""
        if not reservations:
            return max(now, (await self._recent_state(model, now)).get(PAUSE, 0.0))
        lease = self._leases.get(model)
        start = lease.take(reservations, now) if lease else None
        if start is None:
            async with self._lock(model):
                start = await self._lease(model, reservations, now, waiting)
        return start

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Extend the lease, or shorten it; a lease of one permit is settled at once."""
        lease = self._leases.get(model)
        if lease and reservation.kind in lease.ends:
            lease.ends[reservation.kind] += reservation.amount / reservation.rate
            if lease.size == 1 and lease.used:
                async with self._lock(model):
                    await self._settle(model)

    async def _settle(self, model: str) -> None:
        """Return what a lease has left, or owes; if that fails, the next lease does it."""
        lease = self._leases.get(model)
        left = lease.left if lease else {}
        if not lease or not any(left.values()):
            return  # another permit has settled it
        calls = lease.calls_left
        lease.ends = dict(lease.state)
        try:
            settle = partial(_settle, left, calls)
            await self._update(model, settle, lease.leased_at)
        except (OSError, BotoCoreError, ClientError):
            for kind, seconds in left.items():
                lease.ends[kind] += seconds

    async def pause(self, model: str, until: float) -> None:
        """Store the later of two pauses; the other workers use their leases for a second or so."""
        async with self._lock(model):
            known = self._known.get(model, {}).get(PAUSE, 0.0)
            if known < until - MIN_PAUSE_CHANGE:
                await self._store_pause(model, until)
                known = self._known[model].get(PAUSE, 0.0)
        if lease := self._leases.get(model):
            lease.pause = known

    async def _store_pause(self, model: str, until: float) -> None:
        """Write it unless the item has a later one."""

        def later(state: State) -> NumberUpdate | None:
            there = state.get(PAUSE)
            if there is not None and there >= until:
                return None
            missing = Condition(PAUSE, "missing")
            condition = missing if there is None else Condition(PAUSE, "<", until)
            return NumberUpdate({PAUSE: Sum(None, until)}, conditions=(condition,))

        await self._update(model, later, until)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Read them from the item as it was at the lease, or without one a second ago."""
        if model in self._leases:
            state = self._known.get(model, {})
        else:
            state = await self._recent_state(model, now)
        return read_learned(self._with_unwritten(model, state), now)

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """Keep new limits until the next write of the item."""
        state = self._with_unwritten(model, self._known.get(model, {}))
        if add_learned(state, deployment_id, limits, now) != state:
            unwritten = self._unwritten.get(model, {})
            before, _ = unwritten.get(deployment_id, (Limits(), now))
            new = (limits.or_else(before), now)
            self._unwritten[model] = {**unwritten, deployment_id: new}

    async def state(self, model: str, now: float) -> State:
        """Read the item again."""
        self._read_at.pop(model, None)
        return self._with_unwritten(model, await self._recent_state(model, now))

    def note(self, model: str, numbers: Mapping[str, float], now: float) -> None:
        """Keep them until the next write; what is noted of calls ends the lease of them."""
        bursts = {burst_attribute(CALLS): numbers[CALLS]} if CALLS in numbers else {}
        if bursts:
            self._leases.pop(model, None)
        self._noted[model] = {**self._noted.get(model, {}), **numbers, **bursts, NOTED: now}

    async def flush(self) -> None:
        """Return the unused parts of all leases, and write the learned limits."""
        for model in self._leases.keys() | self._unwritten.keys() | self._noted.keys():
            lease = self._leases.pop(model, None)
            left = lease.left if lease else {}
            if any(left.values()) or model in self._unwritten or model in self._noted:
                at = lease.leased_at if lease else self._latest(model)
                settle = partial(_settle, left, lease.calls_left if lease else 0.0)
                await self._update(model, settle, at)
            if lease is not None:
                self._flushed[model] = lease

    # ---- leases ----

    async def _lease(
        self, model: str, reservations: list[Reservation], now: float, waiting: int
    ) -> float:
        """
        Settle the old lease and take a new one; the time from which its first permit may be used.

        If it fails, the rest of the old lease is lost, as it is if the worker is killed.
        """
        old = self._leases.pop(model, None)
        left = old.left if old else {}
        before = old or self._flushed.pop(model, None)
        span = self._spans.get(model, MIN_SPAN)
        size = lease_size(before, now, span, waiting, is_new=old is None)
        ahead = lease_reservations(before, reservations, size)
        calls_left = old.calls_left if old else 0.0
        moved = await self._update(
            model, lambda state: lease_update(state, ahead, left, now, calls_left), now
        )
        lease = Lease(
            {r.kind: moved[r.kind] - r.amount / r.rate for r in ahead},
            {r.kind: moved[r.kind] for r in ahead},
            {r.kind: r.rate for r in ahead},
            moved.get(PAUSE, 0.0),
            now,
            now,
            now,
            size,
            moved[WRITES],
        )
        lease.starts = max(now, *lease.state.values())
        lease.until = lease.starts + IDLE_SPANS * span
        self._leases[model] = lease
        if before is not None:
            self._spans[model] = next_span(span, before, lease)
        return lease.take(reservations, now) or now  # a new lease has room for it

    # ---- the item ----

    def _lock(self, model: str) -> asyncio.Lock:
        return self._locks.setdefault(model, asyncio.Lock())

    async def _recent_state(self, model: str, now: float) -> State:
        """The state of a model without a lease, read at most a second ago."""
        if not 0 <= now - self._read_at.get(model, -CACHE_SECONDS) < CACHE_SECONDS:
            self._known[model] = await self._table.numbers(KIND, model)
            self._read_at[model] = now
        return self._known.get(model, {})

    def _with_unwritten(self, model: str, state: State) -> State:
        """The state with what this worker has learned or noted and not written yet."""
        for deployment_id, (limits, at) in self._unwritten.get(model, {}).items():
            state = add_learned(state, deployment_id, limits, at)
        return {**state, **self._noted[model]} if model in self._noted else state

    def _latest(self, model: str) -> float:
        """When this worker learned or noted what it has not written yet."""
        learned = [at for _, at in self._unwritten.get(model, {}).values()]
        return max([*learned, self._noted.get(model, {}).get(NOTED, 0.0)])

    async def _update(
        self, model: str, plan: Callable[[State], NumberUpdate | None], now: float
    ) -> State:
        """
        Update a model's item by what `plan` makes of the known state; returns the new state.

        If the known state is too old for the plan's conditions, DynamoDB returns the present one.
        DynamoDB rejects an update that writes an attribute twice: if the plan changes what is
        learned or noted, that is written first, and the plan is made for the new state.
        It raises `RateLimitStoreBusy` after a minute of failed attempts.
        """
        waited, delay = 0.0, 0.0
        while (update := plan(self._known.get(model, {}))) is not None:
            unwritten, noted = self._unwritten.get(model), self._noted.get(model)
            known = self._known.get(model, {})
            learned = dict(self._with_unwritten(model, known).items() - known.items())
            is_first = not learned.keys().isdisjoint(update.set.keys() | update.add.keys())
            rest = NumberUpdate() if is_first else update
            sets = {**rest.set, **{key: Sum(None, value) for key, value in learned.items()}}
            update = replace(rest, set=sets)
            try:
                done, self._known[model] = await self._table.update_numbers(
                    KIND, model, update, ttl=int(now) + ITEM_TTL
                )
            except ClientError as error:
                if error_code(error) not in THROTTLED:
                    raise
                done = False
            if done:
                if unwritten is self._unwritten.get(model):
                    self._unwritten.pop(model, None)
                if noted is self._noted.get(model):
                    self._noted.pop(model, None)
                if is_first:
                    continue
                break
            if waited > MAX_WAIT:
                raise RateLimitStoreBusy(f"DynamoDB throttles the rate limits of `{model}`")
            pause = self._draw() * delay
            waited, delay = waited + pause, min(MAX_DELAY, max(FIRST_DELAY, 2 * delay))
            await asyncio.sleep(pause)
        return self._known[model]


def _settle(left: Mapping[str, float], calls_left: float, _state: State) -> NumberUpdate:
    return settle_update(left, calls_left)
