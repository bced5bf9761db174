"""Totals: exact counts, and a few examples of each cause of failure."""

from __future__ import annotations

import pytest

from fanout.bulk.lanes import LaneTotals
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
from fanout.cli.batch_progress import format_hedged, format_lanes
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


def on_flex(cost: int, saved: int) -> Totals:
    return count_response({}, LineCost(cost, lane="flex", saved=saved))


def test_lanes_add_up_and_the_rest_is_in_real_time() -> None:
    total, other = Totals(), Totals()
    other.add(on_flex(30_000_000, 20_000_000))
    for one in (on_flex(10_000_000, 20_000_000), count_response({}, LineCost(50_000_000)), other):
        total.add(one)
    total.add(failed("a"))
    assert total.by_lane == {
        "realtime": LaneTotals(1, 50_000_000),
        "flex": LaneTotals(2, 40_000_000, 40_000_000),
    }
    assert (total.cost, total.saved_usd) == (90_000_000, 0.04)
    assert other.lanes["flex"].lines == 1
    assert json.decode(json.encode(total), type=Totals) == total
    assert format_lanes(total) == "1 realtime $0.0500, 2 flex $0.0400, saved $0.0400"
    assert format_hedged(total) == ""
    total.add(Totals(hedged=LaneTotals(2, 30_000_000)))
    assert format_hedged(total) == "2 lines sent twice, $0.0300 known for unused responses"


def test_a_job_in_real_time_only_has_no_other_lane() -> None:
    assert format_lanes(count_response({}, LineCost(5))) == ""
    assert Totals().by_lane == {"realtime": LaneTotals()}
