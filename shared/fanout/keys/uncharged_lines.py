"""
What the lines of a job have used and no spend row has, in whole lines.

So the tokens of each row are those of its cost. Pure.
"""

from __future__ import annotations

from collections import deque

from .job_rows import NOTHING_USED, Used


class UnchargedLines:
    """
    The lines that no row has: those whose results are stored, and the others.

    `charged` is what closed rows have, `counted` that with all lines so far. `due` is what the
    stored lines have cost, in nanodollars.
    """

    def __init__(self, charged: Used = NOTHING_USED) -> None:
        self.charged = self.counted = charged
        self.due = 0
        self._stored: deque[Used] = deque()
        self._new: list[Used] = []

    @property
    def owed(self) -> int:
        """What all lines have cost that no row has, in nanodollars."""
        return self.counted.cost - self.charged.cost

    def add(self, used: Used) -> None:
        """Add a line whose result may not be stored yet."""
        self._new.append(used)
        self.counted = self.counted.plus(used)

    def count(self, total: Used) -> None:
        """
        All lines so far have used this, and count as stored.

        Those of earlier runs that no row has count together.
        """
        rest = total.minus(self.counted)
        for one in self._new:
            self._store(one)
        self._new = []
        if rest != NOTHING_USED:
            self._store(rest)
        self.counted = total

    def take(self, most: int | None = None) -> Used:
        """
        Take the first stored lines, at least one, that cost at most so much together.

        A job that has lost results owes less than is charged: then there is nothing to take until
        more lines have cost as much.
        """
        found, count = NOTHING_USED, 0
        for one in self._stored:
            more = found.plus(one)
            if count and found.cost >= 0 and most is not None and more.cost > most:
                break
            found, count = more, count + 1
        if found.cost < 0:
            return NOTHING_USED
        for _ in range(count):
            self.due -= self._stored.popleft().cost
        return found

    def give_back(self, used: Used) -> None:
        """What was taken is in no row."""
        if used != NOTHING_USED:
            self._stored.appendleft(used)
            self.due += used.cost

    def charge(self, taken: Used, charged: Used) -> None:
        """A row was closed with `charged`, which is all that was taken unless others closed it."""
        self.charged = self.charged.plus(charged)
        self.give_back(taken.minus(charged))

    def _store(self, used: Used) -> None:
        self._stored.append(used)
        self.due += used.cost
