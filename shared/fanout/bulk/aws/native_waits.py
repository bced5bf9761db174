"""
How long the state machines of a job wait while its lines wait for native batches. Pure.

A wait costs nothing, but each turn costs three transitions, and an execution has at most 25,000
events. So the waits grow with the age of a job; near a deadline, and once a batch has ended, they
are short. Times are in seconds since 1970, durations in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..native.job import RETRY
from ..native.ledger import BatchEntry
from ..native.merger import BUSY
from ..native.poll import NEAR_THE_END, SETTLING

TURNS = 200
"""A turn of the batches is made at most once in this part of a job's age: 1,200 in two weeks."""

LEAST_TURN = 5.0

LEAST_HOLD, LONGEST_HOLD = 30.0, 900.0
"""Until the job itself is looked at again, to merge what its batches have: a tenth of its age."""

LOOK_AHEAD = 900.0
"""So long before a batch is given up, the job is looked at often."""

SLOW = 900.0
"""How late a turn may be, beside a hundredth of the job's age; a later one was lost."""


def is_calm(row: BatchEntry, now: float) -> bool:
    """
    Whether the row's batch runs, and neither ends nor is to be given up soon.

    So it is if its files are missing for long.
    """
    is_near = row.give_up_at is not None and now > row.give_up_at - NEAR_THE_END
    is_settled = row.cancelled_at is not None and now > row.cancelled_at + SETTLING
    runs = row.state in {"open", "parked"} or (row.state == "cancelling" and is_settled)
    is_missing = row.state == "ended" and row.next_at > now + RETRY
    return (runs or is_missing) and not is_near


def turn_wait(rows: Sequence[BatchEntry], next_at: float, now: float, age: float) -> float:
    """Seconds until the next turn of the batches, of which something is due at `next_at`."""
    working = [row for row in rows if row.state not in {"stored", "merged"}]
    least = age / TURNS if all(is_calm(row, now) for row in working) else LEAST_TURN
    ends = [row.give_up_at - now for row in working if row.give_up_at is not None]
    most = min((end for end in ends if end > 0), default=least)
    return max(LEAST_TURN, next_at - now, min(least, most))


def hold_time(rows: Sequence[BatchEntry], now: float, age: float) -> float:
    """Seconds until the job is looked at again; `rows` are those that are not merged."""
    if not all(is_calm(row, now) for row in rows):
        return LEAST_HOLD
    ends = [row.give_up_at - LOOK_AHEAD - now for row in rows if row.give_up_at is not None]
    hold = min(max(LEAST_HOLD, age / 10), LONGEST_HOLD)
    return max(LEAST_HOLD, min([hold, *ends]))


def is_lost(row: BatchEntry, now: float, age: float) -> bool:
    """Whether the row's turn is so late that nothing makes it any more."""
    due = row.next_at if row.state != "sent" else (row.sent_at or 0.0) + BUSY
    return row.state not in {"stored", "merged"} and now > due + SLOW + age / 100
