"""Whether a name may have come before, in memory that hardly grows. Pure."""

from __future__ import annotations

from array import array


class Seen:
    """
    A filter of names: `add` says whether one may have been there before.

    16 MiB for up to four million names, of which it is wrong about a few thousand at most; then
    another layer of four times as much, for four times as many.
    """

    WORDS, GROWTH = 1 << 21, 4
    NAMES_A_WORD = 2

    def __init__(self, words: int = WORDS) -> None:
        self._full: list[tuple[array[int], int]] = []
        self._begin(words)

    def _begin(self, words: int) -> None:
        self._words, self._last = array("Q", [0]) * words, words - 1
        self._room = words * self.NAMES_A_WORD

    def add(self, name: str) -> bool:
        """Add `name`; `True` if it may have been added before."""
        mark = hash(name)
        place = mark >> 24
        bits = 1 << (mark & 63) | 1 << (mark >> 6 & 63) | 1 << (mark >> 12 & 63)
        bits |= 1 << (mark >> 18 & 63)
        for words, last in self._full:
            if words[place & last] & bits == bits:
                return True
        word = self._words[place & self._last]
        if word & bits == bits:
            return True
        self._words[place & self._last] = word | bits
        self._room -= 1
        if not self._room:
            self._full.append((self._words, self._last))
            self._begin(len(self._words) * self.GROWTH)
        return False
