"""
The pace of a stack's workers, in DynamoDB: one record a model, and leases of it.

A worker leases as many turns as it takes in about a second, at the mean size of its last ones, so
a model's record is written about once a second by each worker and not once a line: far below the
1,000 writes a second that one DynamoDB partition bears. Each stretch of a model's time has one
owner, so leases change who goes first and not the rate. What a lease has left, or took in excess,
is settled with the next one, at once where leases are of one turn, and by `flush`; a killed worker
takes at most its lease with it. What a worker learns of a model's limits is in the record too, told
with its next lease, which is its next turn, as the old one was of other limits.

Times are the workers' own clocks (within milliseconds of each other on AWS). A clock that is ahead
makes the marks run ahead with it: others wait that much longer once, and no limit is exceeded.
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
SPAN, LONGEST = 1.0, 60.0
"""Seconds of its own work that a worker leases at a time; the more, the more they contend."""

ATTEMPTS = 100
"""Times that a record is tried for; each time somebody else was faster."""

FEW, CROWD = 1, 4
WAIT = 0.01
"""The most seconds between two attempts: what is known of a record is soon old."""

GROWTH = 2
IDLE = 2.0
"""Times the seconds that a lease is meant for after which what is left of it is not to be used."""

LOOK = 1.0
"""Seconds for which it is known, without a lease, if a model pauses and what was learned of it."""

ALIKE = 0.1
"""Seconds by which a pause must be longer than the last one to be told."""

SLACK = 1e-6
KEPT = 24 * 3600
"""Seconds after which the record of a model that nobody asks is DynamoDB's to delete."""

Marks = dict[str, float]


class Records(Protocol):
    """What is used of `DynamoTable`."""

    async def get(self, kind: str, key: str) -> bytes | None: ...

    async def compare_and_swap(
        self, kind: str, key: str, new: bytes, old: bytes | None, *, ttl: int
    ) -> tuple[bool, bytes | None]: ...


class RateLimitStoreBusy(OSError):
    """A model's record could not be written: too many wrote it at the same time."""


class _Lease(Struct, eq=False):
    """Stretches of a model's time by kind, from the marks to the ends, to be used `until` then."""

    marks: Marks
    ends: Marks
    rates: Marks
    taken_at: float
    until: float
    size: int
    turns: int = 0
    amounts: Marks = {}

    def take(self, reservations: list[Reservation], now: float) -> float | None:
        """
        One turn of it, and when that is; `None` where too little is left, or it lay idle.

        Until then nothing of it lapses: the stretches of a kind that there is plenty of lie behind.
        """
        if (
            now > self.until
            or {reservation.kind: reservation.rate for reservation in reservations} != self.rates
        ):
            return None
        moved = {c.kind: self.marks[c.kind] + c.amount / c.rate for c in reservations}
        if any(moved[kind] > end + SLACK for kind, end in self.ends.items()):
            return None
        start = max(now, *self.marks.values())
        self.marks |= moved
        self.turns += 1
        for reservation in reservations:
            self.amounts[reservation.kind] = (
                self.amounts.get(reservation.kind, 0.0) + reservation.amount
            )
        return start

    @property
    def left(self) -> Marks:
        """Seconds that were not needed, by kind; below zero, where more were."""
        return {kind: end - self.marks[kind] for kind, end in self.ends.items()}


class DynamoRateLimitStore:
    """A worker's hand in the marks of all models of a stack."""

    def __init__(self, table: Records, chance: Callable[[], float] = random.random) -> None:
        self._table = table
        self._chance = chance
        self._span = SPAN
        self._leases: dict[str, _Lease] = {}
        self._known: dict[str, bytes | None] = {}
        self._looked: dict[str, float] = {}
        self._found: dict[str, dict[str, tuple[Limits, float]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """A turn of the lease, or of a new one."""
        if not reservations:
            return max(now, (await self._look(model, now)).get("pause", 0.0))
        lease = self._leases.get(model)
        start = lease.take(reservations, now) if lease else None
        if start is None:
            async with self._locks.setdefault(model, asyncio.Lock()):
                start = await self._lease(model, reservations, now)
        return start

    async def refund(self, model: str, reservation: Reservation) -> None:
        """It lengthens the lease, or shortens it; where leases are of one turn, it is told now."""
        lease = self._leases.get(model)
        if lease and reservation.kind in lease.ends:
            lease.ends[reservation.kind] += reservation.amount / reservation.rate
            if lease.size == 1 and lease.turns:
                async with self._locks.setdefault(model, asyncio.Lock()):
                    await self._settle(model)

    async def _settle(self, model: str) -> None:
        """Tell what a lease has left or owes; if AWS does not hear, the next one will."""
        lease = self._leases.get(model)
        left = lease.left if lease else {}
        if not lease or not any(left.values()):
            return  # another turn told it along with its own
        lease.ends = {kind: lease.marks[kind] for kind in lease.ends}
        try:
            await self._change(model, partial(_settled, left=left), lease.taken_at)
        except (OSError, BotoCoreError, ClientError):
            for kind, seconds in left.items():
                lease.ends[kind] += seconds

    async def pause(self, model: str, until: float) -> None:
        """Keep the later time; leases in other hands last a second or so yet."""

        def hold(marks: Marks) -> Marks:
            return {**marks, "pause": max(marks.get("pause", 0.0), until)}

        async with self._locks.setdefault(model, asyncio.Lock()):
            later = _read(self._known.get(model)).get("pause", 0.0)
            if later < until - ALIKE:
                later = (await self._change(model, hold, until))["pause"]
        if lease := self._leases.get(model):
            lease.marks["pause"] = later

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Of the record as it was when the lease was taken, else a second ago."""
        is_leased = model in self._leases
        marks = _read(self._known.get(model)) if is_leased else await self._look(model, now)
        return read_learned(self._with_found(model, marks), now)

    def record_limits(self, model: str, place: str, limits: Limits, now: float) -> None:
        """It waits for the next lease, if it is new."""
        marks = self._with_found(model, _read(self._known.get(model)))
        if add_learned(marks, place, limits, now) != marks:
            untold = self._found.get(model, {})
            before, _ = untold.get(place, (Limits(), now))
            self._found[model] = {**untold, place: (limits.or_else(before), now)}

    async def flush(self) -> None:
        """What was leased and not used is everybody's again, and what was learned."""
        for model in self._leases.keys() | self._found.keys():
            lease = self._leases.pop(model, None)
            left = lease.left if lease else {}
            if any(left.values()) or model in self._found:
                at = lease.taken_at if lease else _latest(self._found[model])
                await self._change(model, partial(_settled, left=left), at)

    # ---- leases ----

    async def _lease(self, model: str, reservations: list[Reservation], now: float) -> float:
        """
        Settle the old lease and take a new one; when its first turn is.

        A fault loses the old one, as its worker's death would.
        """
        old = self._leases.pop(model, None)
        left = old.left if old else {}
        size = _size(old, now, self._span)
        ahead = _ahead(old, reservations, size)
        moved = await self._change(
            model, lambda marks: advance(_settled(marks, left), ahead, now)[0], now
        )
        marks = {c.kind: moved[c.kind] - c.amount / c.rate for c in ahead}
        marks["pause"] = moved.get("pause", 0.0)
        lease = _Lease(
            marks,
            {c.kind: moved[c.kind] for c in ahead},
            {c.kind: c.rate for c in ahead},
            now,
            max(now, *marks.values()) + IDLE * self._span,
            size,
        )
        self._leases[model] = lease
        return lease.take(reservations, now) or now  # it has room for what it was taken for

    # ---- the record ----

    async def _look(self, model: str, now: float) -> Marks:
        """The marks as of a second ago, of a model that nothing is leased of."""
        if not 0 <= now - self._looked.get(model, -LOOK) < LOOK:
            self._known[model] = await self._table.get(KIND, model)
            self._looked[model] = now
        return _read(self._known.get(model))

    def _with_found(self, model: str, marks: Marks) -> Marks:
        """With what this worker has learned and not told yet."""
        for place, (limits, at) in self._found.get(model, {}).items():
            marks = add_learned(marks, place, limits, at)
        return marks

    async def _change(self, model: str, change: Callable[[Marks], Marks], now: float) -> Marks:
        """
        Put what `change` makes of the marks in their place, and return it.

        What is there is guessed to be what was last seen, and told by DynamoDB where it is not:
        one call where nobody else writes, and no read. `RateLimitStoreBusy` after many attempts.
        """
        known = self._known.get(model)
        for attempt in range(ATTEMPTS):
            told = self._found.get(model)
            changed = self._with_found(model, change(_read(known)))
            new, expiry = json.encode(changed), int(now) + KEPT
            done, there = await self._table.compare_and_swap(KIND, model, new, known, ttl=expiry)
            self._known[model] = known = new if done else there
            if done:
                self._adapt(attempt)
                if told is self._found.get(model):
                    self._found.pop(model, None)
                return changed
            if attempt >= FEW:
                await asyncio.sleep(self._chance() * WAIT)
        raise RateLimitStoreBusy(f"the pace of `{model}` is written by too many at once")

    def _adapt(self, attempts: int) -> None:
        """Longer leases where many contend, shorter ones where few do."""
        if attempts >= CROWD:
            self._span = min(LONGEST, self._span * GROWTH)
        elif attempts <= FEW:
            self._span = max(SPAN, self._span * 0.9)


def _size(old: _Lease | None, now: float, span: float) -> int:
    """The turns of the next lease: as many as the last one's pace would need in `span` seconds."""
    if old is None:
        return 1
    pace = old.turns / max(now - old.taken_at, SLACK)
    return max(1, min(int(pace * span), GROWTH * old.turns))


def _ahead(old: _Lease | None, reservations: list[Reservation], size: int) -> list[Reservation]:
    """The reservations, and those of the turns behind, each as large as the last lease's were."""
    if old is None or size == 1:
        return reservations
    mean = {kind: amount / old.turns for kind, amount in old.amounts.items()}
    return [
        Reservation(c.kind, c.amount + (size - 1) * mean.get(c.kind, c.amount), c.rate, c.burst)
        for c in reservations
    ]


def _settled(marks: Mapping[str, float], left: Mapping[str, float]) -> Marks:
    """The marks, moved back by the seconds that are left of a lease."""
    return {kind: mark - left.get(kind, 0.0) for kind, mark in marks.items()}


def _read(raw: bytes | None) -> Marks:
    marks: Marks = {} if raw is None else json.decode(raw, type=Marks)
    return marks


def _latest(found: Mapping[str, tuple[Limits, float]]) -> float:
    return max(at for _, at in found.values())
