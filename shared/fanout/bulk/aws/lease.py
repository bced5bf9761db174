"""
A worker's lease of a model's rate limits: permits that it uses without a write, and how many.

Leases become longer if many workers take them, so that all together take about `TARGET_WRITES` a
second.
"""

from __future__ import annotations

from msgspec import Struct

from ..pacing.estimated_limit import CALLS
from ..pacing.rate_limit_state import Reservation, State

MIN_SPAN, MAX_SPAN = 1.0, 120.0
"""Seconds of its own work that a worker leases at a time: more if many workers write the item."""

TARGET_WRITES = 100.0
"""
The leases of one model a second that all workers take together.

DynamoDB allows 1,000 writes a second of one item, rejected ones included:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html.
"""

GROWTH, SHRINKAGE = 2.0, 0.9
"""By how much a worker's span changes with one lease, at most."""

IDLE_SPANS = 2.0
"""A lease that is older than this many spans is no longer used."""

TOLERANCE = 1e-6


class Lease(Struct, eq=False):
    """
    For each kind of limit, the range of the model's time from `state` to `ends`.

    It has `size` permits and may be used until `until`. `used` permits had `amounts` in total.
    `writes` is the item's count of leases, this one included.
    """

    state: State
    ends: State
    rates: State
    pause: float
    leased_at: float
    starts: float
    until: float
    size: int
    writes: float
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
        start = max(now, self.pause, *self.state.values())
        self.state |= moved
        self.used += 1
        for r in reservations:
            self.amounts[r.kind] = self.amounts.get(r.kind, 0.0) + r.amount
        return start

    @property
    def left(self) -> State:
        """The seconds that were not used, by kind; negative if more were."""
        return {kind: end - self.state[kind] for kind, end in self.ends.items()}

    @property
    def calls_left(self) -> float:
        """The calls at an estimated rate that were leased and not made."""
        return self.left.get(CALLS, 0.0) * self.rates.get(CALLS, 0.0)


def lease_size(before: Lease | None, now: float, span: float, waiting: int, *, is_new: bool) -> int:
    """
    The permits of the next lease: as many as are used in `span` seconds at the last rate.

    The first lease of a worker is one permit, the first one after a flush is as long as before it.
    If the limit is used up, a lease has no more permits than there are lines `waiting` for them.
    """
    if before is None:
        return 1
    size = before.size
    if not is_new:
        rate = before.used / max(now - before.leased_at, TOLERANCE)
        size = max(1, min(int(rate * span), int(GROWTH * before.used)))
    return min(size, 1 + waiting) if before.starts > before.leased_at else size


def lease_reservations(
    before: Lease | None, reservations: list[Reservation], size: int
) -> list[Reservation]:
    """Reservations for all permits of a lease; later ones have the mean size of the old lease's."""
    if before is None or size == 1:
        return reservations
    mean = {kind: amount / before.used for kind, amount in before.amounts.items()}
    return [
        Reservation(r.kind, r.amount + (size - 1) * mean.get(r.kind, r.amount), r.rate, r.burst)
        for r in reservations
    ]


def next_span(span: float, before: Lease, lease: Lease) -> float:
    """The span with which all workers together would write about `TARGET_WRITES` times a second."""
    seconds = max(lease.leased_at - before.leased_at, TOLERANCE)
    needed = span * (lease.writes - before.writes) / seconds / TARGET_WRITES
    return min(MAX_SPAN, max(MIN_SPAN, span * SHRINKAGE, min(needed, span * GROWTH)))
