"""Whether a name may have come before, in memory that hardly grows. Pure."""

from __future__ import annotations

from array import array


class BloomFilter:
    """
    A table of marks of names: `add` says whether one may have been there before.

    A mark is 32 bits of a hash, in the first free place behind the one that other bits choose:
    two names in a million are hardly ever taken for one. 16 MiB for up to two million names; then
    another table of four times as much beside it, for four times as many.
    """

    PLACES, GROWTH = 1 << 22, 4

    def __init__(self, places: int = PLACES) -> None:
        self._full: list[array[int]] = []
        self._begin(places)

    def _begin(self, places: int) -> None:
        self._table = array("I", [0]) * places
        self._last = places - 1
        self._room = places >> 1

    def add(self, name: str) -> bool:
        """Add `name`; `True` if it may have been added before."""
        number = hash(name)
        mark = number >> 24 & 0xFFFFFFFF or 1  # 0 is a free place
        for full in self._full:
            last = len(full) - 1
            place = number & last
            while there := full[place]:
                if there == mark:
                    return True
                place = (place + 1) & last
        table, last = self._table, self._last
        place = number & last
        while there := table[place]:
            if there == mark:
                return True
            place = (place + 1) & last
        table[place] = mark
        self._room -= 1
        if not self._room:
            self._full.append(table)
            self._begin(len(table) * self.GROWTH)
        return False
