"""The groups of lines with the same beginning that are being sent, and how a model caches."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from msgspec import Struct, field

from ..input.line_order import LinePosition, PrefixGroup

MAX_WAIT = 10.0
"""Seconds after the start of a warming call at which its group stops waiting."""

USUAL_CALLS = 5
"""Warming calls after which their first tokens say how long a group waits."""

PATIENCE = 2.0
"""The wait is so many times the time in which 95 % of the first tokens came, at least `LEAST`."""

LEAST_WAIT = 1.0


class CacheRules(Struct, frozen=True):
    """
    How a model caches: the calls that make an entry, and its seconds after the last use.

    It may need `marks`, or have a key for requests with the same beginning. `is_known` says whether
    its provider documents a cache.
    """

    calls: int = 1
    seconds: float = 270.0
    marks: bool = False
    has_key: bool = False
    is_known: bool = False
    needs_marks: bool = False


class ModelGroups(Struct, eq=False):
    """One model's groups that are not sent yet; `waiting` lines have not started a call."""

    rules: CacheRules
    unread: AsyncIterator[PrefixGroup]
    ready: deque[SentGroup] = field(default_factory=deque)
    parked: list[SentGroup] = field(default_factory=list)
    waiting: int = 0
    has_more: bool = True
    first_tokens: deque[float] = field(default_factory=lambda: deque(maxlen=40))
    hopeless: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether all its groups are sent."""
        return not (self.has_more or self.ready or self.parked)

    def wait(self) -> float:
        """Seconds after its start that a warming call has."""
        if len(self.first_tokens) < USUAL_CALLS:
            return MAX_WAIT
        times = sorted(self.first_tokens)
        return min(MAX_WAIT, max(LEAST_WAIT, PATIENCE * times[int(0.95 * (len(times) - 1))]))


class SentGroup(Struct, eq=False):
    """A group that is being sent; `given` of its lines are, times are in seconds."""

    model: ModelGroups
    shared: PrefixGroup
    places: deque[LinePosition] = field(default_factory=deque)
    given: int = 0
    warming: int = 0
    warmed: int = 0
    failures: int = 0
    misses: int = 0
    is_free: bool = False
    has_cache: bool = False
    picked: float = 0.0
    started: float | None = None
    used: float = 0.0

    @property
    def has_lines(self) -> bool:
        """Whether it has lines that are not given yet."""
        return self.given < self.shared.lines

    def is_warm(self, now: float) -> bool:
        """Whether its lines need not wait."""
        rules = self.model.rules
        return self.is_free or (self.warmed >= rules.calls and now - self.used < rules.seconds)
