"""
How a big object is made of others: which ranges S3 copies by itself, and which go through us.

A part of a multipart upload has at least 5 MiB, but for the last, and there are at most 10,000.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from msgspec import Struct

SMALLEST = 5 * 1024 * 1024
LARGEST = 5 * 1024**3
MOST = 9_000
"""Parts of an upload, with room below S3's 10,000."""


class Range(Struct, frozen=True):
    """The bytes `[start, end)` of an object."""

    key: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


Piece: TypeAlias = tuple[Range, ...]
"""One part: a single range is copied by S3 if it is large enough, several go through us."""


def target_of(total: int, *, smallest: int = SMALLEST, most: int = MOST) -> int:
    """The least size of a part, so that there are not too many."""
    return max(smallest, -(-total // most))


def pieces_of(
    sizes: Sequence[tuple[str, int]], target: int, largest: int = LARGEST
) -> Iterator[Piece]:
    """All bytes of the objects in this order; every piece but the last has at least `target`."""
    held: list[Range] = []
    lack = target
    for key, size in sizes:
        if not size:
            continue
        start = 0
        if held:  # what is small before it is filled up from its beginning
            start = size if size - lack < target else lack
            held.append(Range(key, 0, start))
            lack -= start
        elif size < target:
            start = size
            held.append(Range(key, 0, size))
            lack -= size
        if lack <= 0:
            yield tuple(held)
            held, lack = [], target
        if start < size:
            yield from _split(key, start, size, largest)
    if held:
        yield tuple(held)


def _split(key: str, start: int, end: int, largest: int) -> Iterator[Piece]:
    """A range in even pieces of at most `largest`."""
    count = -(-(end - start) // largest)
    edges = [start + (end - start) * number // count for number in range(count + 1)]
    for one, next_ in pairwise(edges):
        yield (Range(key, one, next_),)
