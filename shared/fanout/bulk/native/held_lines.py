"""The numbers of the lines that wait for batches, so that no other lane sends them. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf

from ..activity import Wait
from .ledger import BatchEntry
from .numbers import ranges

NO_DEPLOYMENT = (
    "the config does not have the deployment of the batch any more: add it again, with the same "
    "address, model and key's name"
)
"""Without it, the batch can neither be fetched nor cancelled."""


class LineRanges:
    """
    The lines of some texts of numbers, from the line `first` on and before the line `end`.

    A line may be in several texts: in that of a batch, and of the one that follows it.
    """

    def __init__(self, texts: Iterable[str], first: int = 0, end: float = inf) -> None:
        found = _joined(
            sorted(
                one for text in texts for one in ranges(text) if one[1] >= first and one[0] < end
            )
        )
        self._firsts = [one[0] for one in found]
        self._lasts = [one[1] for one in found]
        self._before = [0, *accumulate(last - first + 1 for first, last in found)]

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._firsts, number) - 1
        return index >= 0 and number <= self._lasts[index]

    def count(self, first: int, end: float) -> int:
        """How many of them are from `first` on and before `end`."""
        return self._below(end) - self._below(first)

    def _below(self, number: float) -> int:
        """How many of them are before this one."""
        index = bisect_left(self._firsts, number)
        over = max(0, self._lasts[index - 1] + 1 - int(number)) if index and number < inf else 0
        return self._before[index] - over


class HeldLines(LineRanges):
    """The lines that wait for the batches of some rows."""

    def __init__(self, rows: Iterable[BatchEntry], first: int = 0, end: float = inf) -> None:
        super().__init__((row.lines for row in rows if row.holds_its_lines), first, end)


def _joined(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same lines in ranges that have none in common; those of `found` ascend."""
    joined: list[tuple[int, int]] = []
    for first, last in found:
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def batch_wait(rows: Sequence[BatchEntry]) -> Wait:
    """What says that lines of these rows wait."""
    held = [row for row in rows if row.holds_its_lines]
    models = {row.model for row in held}
    model = models.pop() if len(models) == 1 else None
    lines = HeldLines(held).count(0, inf)
    why = "their provider's batch has not ended"
    if gone := sum(row.count for row in held if row.is_gone):
        why = NO_DEPLOYMENT if gone == lines else f"{why}; of {gone} of them, {NO_DEPLOYMENT}"
    return Wait("native_batch", why, model, lines=lines)
