"""Python's garbage collector runs less often while many calls are in flight."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fanout.concurrency.garbage import NEW_CONTAINERS, collecting_rarely, threshold_for


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_the_threshold_is_higher_in_the_block_and_as_before_after_it() -> None:
    gc.set_threshold(700, 11, 12)
    with collecting_rarely():
        assert gc.get_threshold() == (NEW_CONTAINERS, 11, 12)
    assert gc.get_threshold() == (700, 11, 12)
    with pytest.raises(ZeroDivisionError), collecting_rarely():
        raise ZeroDivisionError
    assert gc.get_threshold() == (700, 11, 12)


def test_of_blocks_that_overlap_the_last_one_restores_it() -> None:
    gc.set_threshold(700, 10, 10)
    first, second = collecting_rarely(), collecting_rarely()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == NEW_CONTAINERS
    second.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)


def test_with_more_calls_in_flight_it_runs_less_often() -> None:
    gc.set_threshold(700, 10, 10)
    assert threshold_for(1) == NEW_CONTAINERS
    assert NEW_CONTAINERS < threshold_for(1_000) < threshold_for(10_000)
    few, many = collecting_rarely(10), collecting_rarely(5_000)
    few.__enter__()
    assert gc.get_threshold()[0] == NEW_CONTAINERS
    many.__enter__()
    assert gc.get_threshold() == (threshold_for(5_000), 10, 10)
    many.__exit__(None, None, None)
    few.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("threshold", [0, NEW_CONTAINERS, NEW_CONTAINERS + 1])
def test_a_collector_that_is_off_or_runs_less_often_is_left_alone(threshold: int) -> None:
    gc.set_threshold(threshold, 10, 10)
    with collecting_rarely():
        assert gc.get_threshold() == (threshold, 10, 10)
    assert gc.get_threshold() == (threshold, 10, 10)


def test_a_threshold_that_is_set_in_the_block_is_kept() -> None:
    gc.set_threshold(700, 10, 10)
    with collecting_rarely():
        gc.set_threshold(5, 6, 7)
    assert gc.get_threshold() == (5, 6, 7)
