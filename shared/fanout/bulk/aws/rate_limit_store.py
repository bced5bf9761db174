"""
The rate limits that a stack's workers share: one item for each model in DynamoDB, and leases of it.

A worker leases as many permits as it uses in about a second, of the mean size of its last ones. So
it writes a model's item about once a second and not once a line, far below the 1,000 writes a
second of one DynamoDB partition. A lease is a range of the model's time that no other worker has:
leases change who goes first, but not the rate. What a lease has left, or has used in excess, is
settled with the next lease or by `flush`, and at once if leases are for one permit. A killed worker
loses at most its lease. The limits that a worker learns are in the item as well: it writes them
with its next lease, which is its next permit, because the old lease had other limits.

Times are from the workers' own clocks, which differ by milliseconds on AWS. If a clock is ahead,
the other workers wait that much longer once, and no limit is exceeded.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from msgspec import Struct

from ...wire import json
from ..pacing.limits import Limits, add_learned, read_learned
from ..pacing.rate_limiter import Reservation, advance
from .clients import BotoCoreError, ClientError

KIND = "pace"
MIN_SPAN, MAX_SPAN = 1.0, 60.0
"""Seconds of its own work that a worker leases at a time: more if many workers write the item."""

MAX_WRITES = 100
"""Attempts to write an item that other workers keep changing."""

LOW_CONTENTION, HIGH_CONTENTION = 1, 4
"""Failed writes up to which leases become shorter, and from which they become longer."""

MAX_DELAY = 0.01
"""The most seconds between two attempts."""

GROWTH = 2
IDLE_SPANS = 2.0
"""A lease that is older than this many spans is no longer used."""

CACHE_SECONDS = 1.0
"""Seconds for which a worker without a lease of a model uses what it last read of its item."""

MIN_PAUSE_CHANGE = 0.1
"""Seconds by which a pause must be longer than the stored one to be written."""

TOLERANCE = 1e-6
ITEM_TTL = 24 * 3600
"""Seconds after its last write at which DynamoDB may delete a model's item."""

State = dict[str, float]


class Table(Protocol):
    """The methods of `DynamoTable` that are used here."""

    async def get(self, kind: str, key: str) -> bytes | None: ...

    async def compare_and_swap(
        self, kind: str, key: str, new: bytes, old: bytes | None, *, ttl: int
    ) -> tuple[bool, bytes | None]: ...


class RateLimitStoreBusy(OSError):
    """A model's item could not be written: too many workers wrote it at the same time."""


class _Lease(Struct, eq=False):
    """
    For each kind of limit, the range of the model's time from `state` to `ends`.

    It has `size` permits and may be used until `until`. `used` permits had `amounts` in total.
    """

    state: State
    ends: State
    rates: State
    leased_at: float
    until: float
    size: int
    used: int = 0
    amounts: State = {}

    def take(self, reservations: list[Reservation], now: float) -> float | None:
        """
        Use one permit of the lease; the time from which it may be used.

        `None` if too little is left, the lease is too old, or the limits have changed.
        """
        if now > self.until or {r.kind: r.rate for r in reservations} != self.rates:
            return None
        moved = {r.kind: self.state[r.kind] + r.amount / r.rate for r in reservations}
        if any(moved[kind] > end + TOLERANCE for kind, end in self.ends.items()):
            return None
        start = max(now, *self.state.values())
        self.state |= moved
        self.used += 1
        for r in reservations:
            self.amounts[r.kind] = self.amounts.get(r.kind, 0.0) + r.amount
        return start

    @property
    def left(self) -> State:
        """The seconds that were not used, by kind; negative if more were."""
        return {kind: end - self.state[kind] for kind, end in self.ends.items()}


class DynamoRateLimitStore:
    """One worker's `RateLimitStore` for all models of a stack."""

    def __init__(self, table: Table, draw: Callable[[], float] = random.random) -> None:
        self._table = table
        self._draw = draw
        self._span = MIN_SPAN
        self._leases: dict[str, _Lease] = {}
        self._known: dict[str, bytes | None] = {}
        self._read_at: dict[str, float] = {}
        self._unwritten: dict[str, dict[str, tuple[Limits, float]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Use a permit of the lease, or of a new one."""
        if not reservations:
            return max(now, (await self._recent_state(model, now)).get("pause", 0.0))
        lease = self._leases.get(model)
        start = lease.take(reservations, now) if lease else None
        if start is None:
            async with self._locks.setdefault(model, asyncio.Lock()):
                start = await self._lease(model, reservations, now)
        return start

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Extend the lease, or shorten it; a lease of one permit is settled at once."""
        lease = self._leases.get(model)
        if lease and reservation.kind in lease.ends:
            lease.ends[reservation.kind] += reservation.amount / reservation.rate
            if lease.size == 1 and lease.used:
                async with self._locks.setdefault(model, asyncio.Lock()):
                    await self._settle(model)

    async def _settle(self, model: str) -> None:
        """Return what a lease has left, or owes; if that fails, the next lease does it."""
        lease = self._leases.get(model)
        left = lease.left if lease else {}
        if not lease or not any(left.values()):
            return  # another permit has settled it
        lease.ends = {kind: lease.state[kind] for kind in lease.ends}
        try:
            await self._change(model, partial(_settled, left=left), lease.leased_at)
        except (OSError, BotoCoreError, ClientError):
            for kind, seconds in left.items():
                lease.ends[kind] += seconds

    async def pause(self, model: str, until: float) -> None:
        """Store the later of two pauses; the other workers use their leases for a second or so."""

        def later_pause(state: State) -> State:
            return {**state, "pause": max(state.get("pause", 0.0), until)}

        async with self._locks.setdefault(model, asyncio.Lock()):
            pause = _decode(self._known.get(model)).get("pause", 0.0)
            if pause < until - MIN_PAUSE_CHANGE:
                pause = (await self._change(model, later_pause, until))["pause"]
        if lease := self._leases.get(model):
            lease.state["pause"] = pause

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Read them from the item as it was at the lease, or without one a second ago."""
        if model in self._leases:
            state = _decode(self._known.get(model))
        else:
            state = await self._recent_state(model, now)
        return read_learned(self._with_unwritten(model, state), now)

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """Keep new limits until the next write of the item."""
        state = self._with_unwritten(model, _decode(self._known.get(model)))
        if add_learned(state, deployment_id, limits, now) != state:
            unwritten = self._unwritten.get(model, {})
            before, _ = unwritten.get(deployment_id, (Limits(), now))
            new = (limits.or_else(before), now)
            self._unwritten[model] = {**unwritten, deployment_id: new}

    async def flush(self) -> None:
        """Return the unused parts of all leases, and write the learned limits."""
        for model in self._leases.keys() | self._unwritten.keys():
            lease = self._leases.pop(model, None)
            left = lease.left if lease else {}
            if any(left.values()) or model in self._unwritten:
                at = lease.leased_at if lease else _latest(self._unwritten[model])
                await self._change(model, partial(_settled, left=left), at)

    # ---- leases ----

    async def _lease(self, model: str, reservations: list[Reservation], now: float) -> float:
        """
        Settle the old lease and take a new one; the time from which its first permit may be used.

        If it fails, the rest of the old lease is lost, as it is if the worker is killed.
        """
        old = self._leases.pop(model, None)
        left = old.left if old else {}
        size = _size(old, now, self._span)
        ahead = _ahead(old, reservations, size)
        moved = await self._change(
            model, lambda state: advance(_settled(state, left), ahead, now)[0], now
        )
        state = {r.kind: moved[r.kind] - r.amount / r.rate for r in ahead}
        state["pause"] = moved.get("pause", 0.0)
        lease = _Lease(
            state,
            {r.kind: moved[r.kind] for r in ahead},
            {r.kind: r.rate for r in ahead},
            now,
            max(now, *state.values()) + IDLE_SPANS * self._span,
            size,
        )
        self._leases[model] = lease
        return lease.take(reservations, now) or now  # a new lease has room for it

    # ---- the item ----

    async def _recent_state(self, model: str, now: float) -> State:
        """The state of a model without a lease, read at most a second ago."""
        if not 0 <= now - self._read_at.get(model, -CACHE_SECONDS) < CACHE_SECONDS:
            self._known[model] = await self._table.get(KIND, model)
            self._read_at[model] = now
        return _decode(self._known.get(model))

    def _with_unwritten(self, model: str, state: State) -> State:
        """The state with the limits that this worker has learned and not written yet."""
        for deployment_id, (limits, at) in self._unwritten.get(model, {}).items():
            state = add_learned(state, deployment_id, limits, at)
        return state

    async def _change(self, model: str, change: Callable[[State], State], now: float) -> State:
        """
        Replace a model's state by what `change` makes of it, and return that.

        It expects the item as this worker last saw it; if another worker has changed it, DynamoDB
        returns the new one. So without contention it is one call, and no read. It raises
        `RateLimitStoreBusy` after many attempts.
        """
        known = self._known.get(model)
        for attempt in range(MAX_WRITES):
            unwritten = self._unwritten.get(model)
            changed = self._with_unwritten(model, change(_decode(known)))
            new, expiry = json.encode(changed), int(now) + ITEM_TTL
            done, there = await self._table.compare_and_swap(KIND, model, new, known, ttl=expiry)
            self._known[model] = known = new if done else there
            if done:
                self._adapt(attempt)
                if unwritten is self._unwritten.get(model):
                    self._unwritten.pop(model, None)
                return changed
            if attempt >= LOW_CONTENTION:
                await asyncio.sleep(self._draw() * MAX_DELAY)
        raise RateLimitStoreBusy(f"too many workers write the rate limits of `{model}` at once")

    def _adapt(self, failed: int) -> None:
        """Take longer leases if many workers write the item, and shorter ones if few do."""
        if failed >= HIGH_CONTENTION:
            self._span = min(MAX_SPAN, self._span * GROWTH)
        elif failed <= LOW_CONTENTION:
            self._span = max(MIN_SPAN, self._span * 0.9)


def _size(old: _Lease | None, now: float, span: float) -> int:
    """The permits of the next lease: as many as are used in `span` seconds at the last rate."""
    if old is None:
        return 1
    rate = old.used / max(now - old.leased_at, TOLERANCE)
    return max(1, min(int(rate * span), GROWTH * old.used))


def _ahead(old: _Lease | None, reservations: list[Reservation], size: int) -> list[Reservation]:
    """Reservations for all permits of a lease; later ones have the mean size of the old lease's."""
    if old is None or size == 1:
        return reservations
    mean = {kind: amount / old.used for kind, amount in old.amounts.items()}
    return [
        Reservation(r.kind, r.amount + (size - 1) * mean.get(r.kind, r.amount), r.rate, r.burst)
        for r in reservations
    ]


def _settled(state: Mapping[str, float], left: Mapping[str, float]) -> State:
    """The state, moved back by the seconds that are left of a lease."""
    return {kind: value - left.get(kind, 0.0) for kind, value in state.items()}


def _decode(raw: bytes | None) -> State:
    state: State = {} if raw is None else json.decode(raw, type=State)
    return state


def _latest(learned: Mapping[str, tuple[Limits, float]]) -> float:
    return max(at for _, at in learned.values())
