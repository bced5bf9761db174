"""
Structured fan-out: `race`, `race_streams`, `map_all`, `map_each`, `merge_streams`, `within`; and
what many share: `FairLimiter`, `MemoryBudget`.

Knows nothing of HTTP, providers or configuration. Every task started here has finished, or has
been cancelled and awaited, before its function returns or its block is left.
"""

from .fair_limiter import FairLimiter, Share
from .map import Ended, first_error, map_all, map_each, merge_streams
from .memory_budget import MemoryBudget, MemoryReservation
from .outcomes import (
    Call,
    Cancelled,
    Failure,
    Fate,
    Opener,
    Outcome,
    RaceResult,
    Success,
    attempt,
)
from .race import race, race_streams
from .timeouts import in_time, within

__all__ = [
    "Call",
    "Cancelled",
    "Ended",
    "Failure",
    "FairLimiter",
    "Fate",
    "MemoryBudget",
    "MemoryReservation",
    "Opener",
    "Outcome",
    "RaceResult",
    "Share",
    "Success",
    "attempt",
    "first_error",
    "in_time",
    "map_all",
    "map_each",
    "merge_streams",
    "race",
    "race_streams",
    "within",
]
