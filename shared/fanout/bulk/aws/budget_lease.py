"""
A worker's lease of a job's budget, its `max_cost_usd`; the arithmetic, without DynamoDB. Pure.

A worker starts lines only with money that it has leased. The job's account has what is `spent` and
what is `committed` (spent or leased). `committed` exceeds the cap only by what lines cost more than
their estimates, so the job ends within the cost of the lines that are in flight then.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

LEASES_PER_BUDGET = 100
"""A worker leases at least this fraction of the cap at a time."""


class Posting(Struct, frozen=True):
    """
    What one write changes: `cost` is added to what is spent, and the lease becomes `lease`.

    `committed` is added to what is committed; if `most` is set, only while no more than that is
    committed.
    """

    cost: int
    lease: int
    committed: int
    most: int | None


class BudgetLease:
    """One worker's lease, in nanodollars."""

    def __init__(self, max_cost: int) -> None:
        self._max = max_cost
        self._stored = 0  # the lease as it is in the account
        self._leased = 0  # of it, what lines may use
        self._reserved = self._short = 0
        self._spent = self._unposted = 0

    def reserve(self, estimate: int, *, is_whole: bool = False) -> Literal["capped", "wait"] | None:
        """
        Reserve a line's estimate; `None` if the line may start.

        If nothing else is in flight, whatever is left of the lease is enough for one more line,
        unless its estimate must fit as a whole.
        """
        if self._spent + self._unposted >= self._max:
            return "capped"
        if estimate:
            left = self._leased - self._unposted
            missing = self._reserved + estimate - left
            if missing > 0 and (is_whole or not (left > 0 and not self._reserved)):
                self._short = missing
                return "wait"
        self._reserved += estimate
        return None

    def release(self, estimate: int) -> None:
        """Release the estimate of a line that has ended."""
        self._reserved -= estimate

    def charge(self, cost: int) -> None:
        """Take the cost of lines from the lease."""
        self._unposted += cost

    def lower(self, cost: int) -> None:
        """Lower the cap by what is for none of the lines."""
        self._max = max(0, self._max - cost)

    def end(self) -> None:
        """Release all estimates: no line is in flight, and none will start."""
        self._reserved = self._short = 0

    @property
    def is_waiting(self) -> bool:
        """Whether lines wait, and there is no lease and nothing in flight that would free some."""
        return self._short > 0 and not self._reserved and self._leased <= self._unposted

    def begin_posting(self, spent: int, committed: int, cost: int) -> Posting:
        """
        What to write now: this much cost, and a lease. `finish_posting` must follow.

        `spent` and `committed` are those of the account.
        """
        lease = max(0, self._stored - max(0, cost))
        added = 0
        if self._short:
            room = self._max - committed - (cost + lease - self._stored)
            wanted = max(self._max // LEASES_PER_BUDGET, self._short, self._reserved)
            added = max(0, min(wanted, room))
        elif not self._reserved:
            lease = 0  # nothing is in flight
        change = cost + lease + added - self._stored
        most = self._max - change if added else None
        # Until it is written, new lines may use only what they may use in any case.
        self._leased, self._spent = lease, spent + cost
        self._unposted -= cost
        return Posting(cost, lease + added, change, most)

    def finish_posting(self, posting: Posting, *, is_done: bool) -> None:
        """Note whether the posting was written."""
        if is_done:
            self._leased = self._stored = posting.lease
            self._short = 0
        else:
            self._leased = self._stored
            self._unposted += posting.cost
            self._spent -= posting.cost

    def correct(self, stored: int, unposted: int) -> None:
        """Set the lease and the costs that are not posted to what was read."""
        self._stored = self._leased = stored
        self._unposted = unposted
