"""Whether a name may have come before, in memory that hardly grows. Pure."""

from __future__ import annotations

from array import array

PATTERNS = tuple(
    sum({1 << (n & 63), 1 << (n >> 6), 1 << (n * 0x9E3779B1 >> 20 & 63), 1 << (n * 7 >> 3 & 63)})
    for n in range(4096)
)
"""Up to four bits of a word, in as many ways as twelve bits of a hash can choose."""


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
        place, bits = mark >> 12, PATTERNS[mark & 0xFFF]
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
