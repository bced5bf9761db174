"""Totals: exact counts, and a few examples of each cause of failure."""

from __future__ import annotations

import pytest

from fanout.bulk.totals import (
    MAX_CAUSES,
    MAX_EXAMPLES,
    MAX_MESSAGE,
    Example,
    LineCost,
    Totals,
    count_failure,
    count_response,
)
from fanout.wire import json


def failed(name: str, cause: str = "bad") -> Totals:
    return count_failure(cause, name, 7, f"{name} is {cause}")


def test_a_cause_keeps_its_first_three_lines_in_any_order_of_adding() -> None:
    one_by_one, left, right = Totals(), Totals(), Totals()
    for number in range(5):
        one_by_one.add(failed(f"n{number}"))
        (left if number < 2 else right).add(failed(f"n{number}"))
    left.add(right)
    assert one_by_one == left
    assert left.causes == {"bad": 5}
    assert left.examples == {"bad": [Example(f"n{n}", 7, f"n{n} is bad") for n in range(3)]}


def test_adding_totals_does_not_change_them() -> None:
    first, second, total = failed("a"), failed("b"), Totals()
    total.add(first)
    total.add(second)
    assert (first, second) == (failed("a"), failed("b"))
    assert [one.custom_id for one in total.examples["bad"]] == ["a", "b"]


def test_causes_beyond_the_limit_count_as_other_and_share_examples() -> None:
    total = Totals()
    for number in range(10 * MAX_CAUSES):
        total.add(failed(f"n{number}", f"cause-{number}"))
    assert total.causes["other"] == 9 * MAX_CAUSES
    assert total.causes.keys() == total.examples.keys()
    assert len(total.examples) == MAX_CAUSES + 1
    assert [one.custom_id for one in total.examples["other"]] == ["n20", "n21", "n22"]
    assert max(map(len, total.examples.values())) == MAX_EXAMPLES


@pytest.mark.parametrize(
    ("length", "kept"), [(MAX_MESSAGE, "x" * MAX_MESSAGE), (5_000, "x" * (MAX_MESSAGE - 1) + "…")]
)
def test_a_long_message_is_cut(length: int, kept: str) -> None:
    assert count_failure("bad", "a", None, "x" * length).examples["bad"][0].message == kept


def test_a_response_has_no_example_and_totals_survive_being_written_and_read() -> None:
    total = count_response({"usage": {"prompt_tokens": 1, "completion_tokens": 2}}, LineCost(500))
    assert total.examples == {}
    total.add(failed("a"))
    assert json.decode(json.encode(total), type=Totals) == total
    assert json.decode(b'{"done": 1}', type=Totals) == Totals(done=1)
