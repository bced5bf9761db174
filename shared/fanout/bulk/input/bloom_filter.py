"""An approximate set of names that needs little memory. Pure."""

from __future__ import annotations

from array import array


class BloomFilter:
    """
    An approximate set of names: `add` returns whether a name may have been added before.

    It does a Bloom filter's job with a hash table of 32-bit fingerprints (open addressing, linear
    probing), so that two different names in a million are rarely taken for one. A table takes
    16 MiB for up to two million names. When it is half full, one of four times the size is added.
    """

    SLOTS, GROWTH = 1 << 22, 4

    def __init__(self, slots: int = SLOTS) -> None:
        self._full: list[array[int]] = []
        self._add_table(slots)

    def _add_table(self, slots: int) -> None:
        self._table = array("I", [0]) * slots
        self._mask = slots - 1
        self._free = slots >> 1

    def add(self, name: str) -> bool:
        """Add `name`; `True` if it may have been added before."""
        hashed = hash(name)
        fingerprint = hashed >> 24 & 0xFFFFFFFF or 1  # 0 is a free slot
        for full in self._full:
            mask = len(full) - 1
            slot = hashed & mask
            while found := full[slot]:
                if found == fingerprint:
                    return True
                slot = (slot + 1) & mask
        table, mask = self._table, self._mask
        slot = hashed & mask
        while found := table[slot]:
            if found == fingerprint:
                return True
            slot = (slot + 1) & mask
        table[slot] = fingerprint
        self._free -= 1
        if not self._free:
            self._full.append(table)
            self._add_table(len(table) * self.GROWTH)
        return False
