"""
How long models took to their first content lately, and how many calls a hedge may add.

Loaded for the first request that asks for a hedge by these times. Times are in buckets whose bounds
grow by a fifth, as in DDSketch (Masson et al. 2019, arXiv 1908.10693): a quantile is within 10 %,
and the counts of several processes can be added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import ceil, exp, log
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from .shared_times import SharedTimes

RATIO = 1.2
SHORTEST, LONGEST = 0.01, 300.0
"""Seconds of the first and the last bucket's bounds."""

BUCKETS = ceil(log(LONGEST / SHORTEST) / log(RATIO)) + 1

SLOT = 300.0
"""Seconds of a slot; the one before it counts, too."""

LEAST = 50
"""Times without which a model's quantile is not used."""

KEPT = 100
"""Times below which a slot goes on after its end."""

COLD = 2.0
"""Seconds until the next model starts, as long as there are too few times."""

SIZES = (8_192, 65_536, 262_144)
"""Bounds of a request's bytes, about 2,000, 16,000 and 64,000 tokens: long prompts take longer."""

LEAST_DELAY, MOST_DELAY = 1.2, 6.0
"""Bounds of a delay, as multiples of the median: more than one call in twenty may stall."""

MOST_KEYS = 2_000
"""Models and sizes whose times are kept; beyond that, those that are known for longest go."""

BUDGET = ""
"""The key of the calls and the extra calls, among those of the times."""

CALLS, HEDGES = "calls", "hedges"

FREE_HEDGES = 3
"""Extra calls that a share over 0 allows in any case, so that the first ones can be."""


class Histogram:
    """Counts of times in buckets."""

    def __init__(self, counts: Iterable[int] = ()) -> None:
        self.counts = [*counts] or [0] * BUCKETS

    def add(self, seconds: float) -> int:
        """Count a time; its bucket's number."""
        exact = ceil(log(max(seconds, SHORTEST) / SHORTEST) / log(RATIO))
        place = min(exact, BUCKETS - 1)
        self.counts[place] += 1
        return place

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> Histogram:
        """The histogram with these counts, by the bucket's number."""
        return cls(counts.get(str(place), 0) for place in range(BUCKETS))

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(a + b for a, b in zip(self.counts, other.counts, strict=True))

    @property
    def total(self) -> int:
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """The time that this share of the times does not exceed, in seconds."""
        wanted, seen = share * self.total, 0
        for place, count in enumerate(self.counts):
            if count and seen + count >= wanted:
                inside = (wanted - seen) / count
                return SHORTEST * exp((place - 1 + inside) * log(RATIO))
            seen += count
        return LONGEST


class _Slots(Struct):
    """The times of this slot, and of the one before."""

    since: float
    current: Histogram = field(default_factory=Histogram)
    previous: Histogram = field(default_factory=Histogram)

    def turn(self, now: float) -> None:
        """Begin the next slot if this one is over and has enough times."""
        if 0 <= now - self.since < SLOT or self.current.total < KEPT:
            return
        self.previous, self.current, self.since = self.current, Histogram(), now


class _Budget(Struct):
    """Calls and extra calls of this slot and of the one before."""

    since: float
    calls: int = 0
    hedges: int = 0
    earlier: tuple[int, int] = (0, 0)

    def turn(self, now: float) -> None:
        if not 0 <= now - self.since < SLOT:
            self.earlier = (self.calls, self.hedges)
            self.calls, self.hedges, self.since = 0, 0, now


class FirstTokenTimes:
    """
    The times to the first content, by model and size of the request, and the budget of hedges.

    `share` is the part of all calls that hedges may add. `now` is in seconds. With a `sharing`,
    what is counted here is also kept as changes, which that adds to the counts of other processes.
    """

    def __init__(self, share: float, now: Callable[[], float]) -> None:
        self._share = share
        self._now = now
        self._slots: dict[str, _Slots] = {}
        self._budget = _Budget(now())
        self._changes: dict[str, Counter[str]] = {}
        self.sharing: SharedTimes | None = None

    def record(self, model: str, size: int, seconds: float) -> None:
        """
        Count the time to the first content of a call; that of a cancelled one is its age.

        Without the cancelled ones, only fast calls would count, and the delay would shrink.
        """
        now = self._now()
        for key in _keys(model, size):
            slots = self._slots_of(key, now)
            slots.turn(now)
            self._change(key, str(slots.current.add(seconds)))

    def _slots_of(self, key: str, now: float) -> _Slots:
        slots = self._slots.get(key)
        if slots is None:
            while len(self._slots) >= MOST_KEYS:
                del self._slots[next(iter(self._slots))]
            slots = self._slots[key] = _Slots(now)
        return slots

    def delay(self, model: str, size: int) -> float:
        """Seconds to wait for the model before the next one starts: its 95th percentile."""
        for key in _keys(model, size):
            if (slots := self._slots.get(key)) is not None:
                times = slots.current + slots.previous
                if times.total >= LEAST:
                    median = times.quantile(0.5)
                    return min(max(times.quantile(0.95), LEAST_DELAY * median), MOST_DELAY * median)
            elif self.sharing is not None:
                self._changes.setdefault(key, Counter())  # others may know it
        return COLD

    def count_call(self) -> None:
        """Count a request that may be hedged."""
        self._budget.turn(self._now())
        self._budget.calls += 1
        self._change(BUDGET, CALLS)

    def take(self) -> bool:
        """Whether the budget allows one more extra call, which is counted."""
        budget = self._budget
        budget.turn(self._now())
        calls, hedges = budget.calls + budget.earlier[0], budget.hedges + budget.earlier[1]
        if self._share <= 0 or hedges >= max(self._share * calls, FREE_HEDGES):
            return False
        budget.hedges += 1
        self._change(BUDGET, HEDGES)
        return True

    # ---- what several processes count together ----

    def _change(self, key: str, name: str) -> None:
        if self.sharing is not None:
            self._changes.setdefault(key, Counter())[name] += 1

    @property
    def is_urgent(self) -> bool:
        """Whether a hedge was started, or a model is used whose times others may know."""
        budget = self._changes.get(BUDGET)
        return bool(budget and budget[HEDGES]) or not all(self._changes.values())

    def take_changes(self, most: int) -> dict[str, Counter[str]]:
        """
        What was counted since the last call: the budget, and the `most` keys with most changes.

        The others stay for the next call.
        """
        ordered = sorted(
            self._changes, key=lambda key: (key != BUDGET, -self._changes[key].total())
        )
        return {key: self._changes.pop(key) for key in ordered[: most + 1]}

    def put_back(self, key: str, counts: Counter[str]) -> None:
        """Keep changes that could not be added to those of other processes."""
        self._changes[key] = self._changes.get(key, Counter()) + counts

    def set_shared(
        self, key: str, since: float, current: Mapping[str, int], previous: Mapping[str, int]
    ) -> None:
        """Set what all processes have counted; what was counted here meanwhile is added."""
        newer = self._changes.get(key, Counter())
        current = Counter(current) + newer
        if key == BUDGET:
            earlier = (previous.get(CALLS, 0), previous.get(HEDGES, 0))
            self._budget = _Budget(since, current[CALLS], current[HEDGES], earlier)
        else:
            self._slots[key] = _Slots(since, Histogram.of(current), Histogram.of(previous))

    def is_over(self, key: str, since: float, current: Mapping[str, int]) -> bool:
        """Whether the next slot of this key begins: the time is over, and it has enough times."""
        is_late = not 0 <= self._now() - since < SLOT
        return is_late and (key == BUDGET or sum(current.values()) >= KEPT)


def _keys(model: str, size: int) -> tuple[str, str]:
    """The key of the model's requests of this size, and that of all its requests."""
    return f"{model}\n{sum(size >= bound for bound in SIZES)}", f"{model}\n"
