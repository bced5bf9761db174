"""How a big object is made of others: S3's rules for parts, whatever the sizes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fanout.bulk.aws.multipart_copy import MOST, SMALLEST, Range, pieces_of, target_of

SIZES = st.lists(st.integers(0, 60), max_size=12).map(
    lambda sizes: [(f"k{number}", size) for number, size in enumerate(sizes)]
)


@given(SIZES, st.integers(1, 25))
def test_every_byte_is_there_once_in_order(sizes: list[tuple[str, int]], target: int) -> None:
    pieces = list(pieces_of(sizes, target, largest=50))
    found = [(one.key, byte) for piece in pieces for one in piece for byte in _bytes(one)]
    assert found == [(key, byte) for key, size in sizes for byte in range(size)]


@given(SIZES, st.integers(1, 25))
def test_every_part_but_the_last_is_large_enough(sizes: list[tuple[str, int]], target: int) -> None:
    pieces = list(pieces_of(sizes, target, largest=50))
    totals = [sum(one.size for one in piece) for piece in pieces]
    assert all(total >= target for total in totals[:-1])
    assert all(total > 0 for total in totals)


@given(SIZES, st.integers(1, 25))
def test_what_goes_through_us_fits_into_memory(sizes: list[tuple[str, int]], target: int) -> None:
    for piece in pieces_of(sizes, target, largest=50):
        assert len(piece) == 1 or sum(one.size for one in piece) < 2 * target
        assert sum(one.size for one in piece) <= max(50, 2 * target)


def test_what_is_large_is_copied_whole_and_what_is_small_is_filled_up_from_the_next() -> None:
    sizes = [("big", 30), ("small", 4), ("next", 40), ("tail", 3)]
    assert list(pieces_of(sizes, 10)) == [
        (Range("big", 0, 30),),
        (Range("small", 0, 4), Range("next", 0, 6)),
        (Range("next", 6, 40),),
        (Range("tail", 0, 3),),
    ]


def test_no_rest_is_left_that_would_be_too_small_to_copy() -> None:
    assert list(pieces_of([("small", 4), ("next", 15)], 10)) == [
        (Range("small", 0, 4), Range("next", 0, 15))
    ]


def test_parts_grow_with_the_whole_so_that_there_are_not_too_many() -> None:
    assert target_of(1) == SMALLEST
    terabyte = 1024**4
    assert terabyte / target_of(terabyte) <= MOST


def _bytes(one: Range) -> range:
    return range(one.start, one.end)
