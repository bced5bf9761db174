"""The parts of a joined object keep S3's rules, whatever the sizes of the objects."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fanout.bulk.aws.multipart_copy import MAX_PARTS, MIN_PART, Range, part_size, plan_parts

SIZES = st.lists(st.integers(0, 60), max_size=12).map(
    lambda sizes: [(f"k{number}", size) for number, size in enumerate(sizes)]
)


@given(SIZES, st.integers(1, 25))
def test_every_byte_is_in_one_part_and_in_order(sizes: list[tuple[str, int]], target: int) -> None:
    parts = list(plan_parts(sizes, target, largest=50))
    found = [(one.key, byte) for part in parts for one in part for byte in _bytes(one)]
    assert found == [(key, byte) for key, size in sizes for byte in range(size)]


@given(SIZES, st.integers(1, 25))
def test_every_part_but_the_last_is_large_enough(sizes: list[tuple[str, int]], target: int) -> None:
    parts = list(plan_parts(sizes, target, largest=50))
    totals = [sum(one.size for one in part) for part in parts]
    assert all(total >= target for total in totals[:-1])
    assert all(total > 0 for total in totals)


@given(SIZES, st.integers(1, 25))
def test_parts_that_must_be_uploaded_fit_into_memory(
    sizes: list[tuple[str, int]], target: int
) -> None:
    for part in plan_parts(sizes, target, largest=50):
        assert len(part) == 1 or sum(one.size for one in part) < 2 * target
        assert sum(one.size for one in part) <= max(50, 2 * target)


def test_a_large_object_is_copied_and_a_small_one_is_filled_up_from_the_next() -> None:
    sizes = [("big", 30), ("small", 4), ("next", 40), ("tail", 3)]
    assert list(plan_parts(sizes, 10)) == [
        (Range("big", 0, 30),),
        (Range("small", 0, 4), Range("next", 0, 6)),
        (Range("next", 6, 40),),
        (Range("tail", 0, 3),),
    ]


def test_a_rest_that_would_be_too_small_to_copy_joins_the_part_before_it() -> None:
    assert list(plan_parts([("small", 4), ("next", 15)], 10)) == [
        (Range("small", 0, 4), Range("next", 0, 15))
    ]


def test_parts_of_a_larger_object_are_larger_so_that_there_are_not_too_many() -> None:
    assert part_size(1) == MIN_PART
    terabyte = 1024**4
    assert terabyte / part_size(terabyte) <= MAX_PARTS


def _bytes(one: Range) -> range:
    return range(one.start, one.end)
