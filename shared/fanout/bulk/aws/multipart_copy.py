"""
Plans how S3 joins objects to one: which ranges S3 copies, and which must be uploaded.

Each part of a multipart upload but the last has at least 5 MiB, and an upload has at most 10,000
parts: see https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from msgspec import Struct

MIN_PART = 5 * 1024 * 1024
MAX_PART = 5 * 1024**3
MAX_PARTS = 9_000
"""Parts of an upload, some below S3's limit."""


class Range(Struct, frozen=True):
    """The bytes `[start, end)` of an object."""

    key: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


Part: TypeAlias = tuple[Range, ...]
"""One part: S3 can copy a single range that is large enough; several ranges must be uploaded."""


def part_size(total: int, *, smallest: int = MIN_PART, most: int = MAX_PARTS) -> int:
    """The least size of a part of `total` bytes that keeps the number of parts allowed."""
    return max(smallest, -(-total // most))


def plan_parts(
    sizes: Sequence[tuple[str, int]], target: int, largest: int = MAX_PART
) -> Iterator[Part]:
    """All bytes of the objects, in order; each part but the last has at least `target` bytes."""
    held: list[Range] = []
    lack = target
    for key, size in sizes:
        if not size:
            continue
        start = 0
        if held:  # small objects before this one are filled up with its first bytes
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


def _split(key: str, start: int, end: int, largest: int) -> Iterator[Part]:
    """A range as parts of equal size, each of at most `largest` bytes."""
    count = -(-(end - start) // largest)
    edges = [start + (end - start) * number // count for number in range(count + 1)]
    for one, next_ in pairwise(edges):
        yield (Range(key, one, next_),)
