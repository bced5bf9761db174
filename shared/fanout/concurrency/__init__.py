"""
Structured concurrency: `race`, `race_streams`, `map_all`, `map_each`, `merge_streams`, time limits,
and the limits that requests share (`FairLimiter`, `MemoryBudget`).

Does not depend on HTTP, providers or configuration. Every task started here has finished, or has
been cancelled and awaited, before its function returns or its block ends.
"""

from .fair_limiter import FairLimiter, Share, WaitingCall, release_all
from .map import Ended, first_error, map_all, map_each, map_in_order, merge_streams
from .memory_budget import MemoryBudget, MemoryReservation
from .outcomes import (
    Call,
    Cancelled,
    Failure,
    Opener,
    Outcome,
    RaceOutcome,
    RaceResult,
    Success,
    TaskGroup,
    attempt,
    failure_of,
)
from .race import Delays, Stagger, prepend, race, race_streams
from .timeouts import (
    TIMER_ERROR,
    Deadline,
    EarlyEnd,
    RepeatedTimeout,
    optional_timeout,
    with_deadline,
    within,
)

__all__ = [
    "TIMER_ERROR",
    "Call",
    "Cancelled",
    "Deadline",
    "Delays",
    "EarlyEnd",
    "Ended",
    "Failure",
    "FairLimiter",
    "MemoryBudget",
    "MemoryReservation",
    "Opener",
    "Outcome",
    "RaceOutcome",
    "RaceResult",
    "RepeatedTimeout",
    "Share",
    "Stagger",
    "Success",
    "TaskGroup",
    "WaitingCall",
    "attempt",
    "failure_of",
    "first_error",
    "map_all",
    "map_each",
    "map_in_order",
    "merge_streams",
    "optional_timeout",
    "prepend",
    "race",
    "race_streams",
    "release_all",
    "with_deadline",
    "within",
]
