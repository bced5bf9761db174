"""The numbers of the lines that wait for batches, so that no other lane sends them. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf

from ..activity import Wait
from .ledger import NativeRow
from .numbers import ranges

NO_DEPLOYMENT = (
    "the config does not have the deployment of the batch any more: add it again, with the same "
    "address, model and key's name"
)
"""Without it, the batch can neither be fetched nor cancelled."""


class HeldLines:
    """Those of some rows, from the line `first` on and before the line `end`."""

    def __init__(self, rows: Iterable[NativeRow], first: int = 0, end: float = inf) -> None:
        found = sorted(
            one
            for row in rows
            if row.holds_its_lines
            for one in ranges(row.lines)
            if one[1] >= first and one[0] < end
        )
        self._firsts = [one[0] for one in found]
        self._lasts = [one[1] for one in found]
        self._before = [0, *accumulate(last - first + 1 for first, last in found)]

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._firsts, number) - 1
        return index >= 0 and number <= self._lasts[index]

    def count(self, first: int, end: float) -> int:
        """How many of the lines from `first` on and before `end` wait."""
        return self._below(end) - self._below(first)

    def _below(self, number: float) -> int:
        """How many lines before this one wait."""
        index = bisect_left(self._firsts, number)
        over = max(0, self._lasts[index - 1] + 1 - int(number)) if index and number < inf else 0
        return self._before[index] - over


def batch_wait(rows: Sequence[NativeRow]) -> Wait:
    """What says that lines of these rows wait."""
    held = [row for row in rows if row.holds_its_lines]
    models = {row.model for row in held}
    model = models.pop() if len(models) == 1 else None
    lines = sum(row.count for row in held)
    why = "their provider's batch has not ended"
    if gone := sum(row.count for row in held if row.is_gone):
        why = NO_DEPLOYMENT if gone == lines else f"{why}; of {gone} of them, {NO_DEPLOYMENT}"
    return Wait("native_batch", why, model, lines=lines)
