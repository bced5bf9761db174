"""The pages that are made from the stack's code, and the sums on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.props import GatewayProps
from scripts.aws import cost, job_cost, prices
from scripts.aws.make_docs import choices, pages

from .synth import Synthesised


def test_the_pages_are_current() -> None:
    stale = [path.name for path, text in pages() if path.read_text() != text]
    assert stale == [], "make docs"


def test_every_choice_is_in_the_table_with_what_it_is() -> None:
    rows = [row.split(" | ") for row in choices().splitlines()[2:]]
    assert [row[0].strip("| `") for row in rows] == [
        f"fanout:{name}" for name in GatewayProps.model_fields
    ]
    assert all(len(row[3]) > 10 for row in rows)


def test_the_page_of_costs_counts_what_the_stack_has(stack: Synthesised) -> None:
    assert len(stack.of("SecretsManager::Secret")) == cost.KEYS
    assert len(stack.of("CloudWatch::Alarm")) == cost.ALARMS
    assert len(stack.of("CloudWatch::Dashboard")) == 1


@pytest.mark.parametrize(
    ("memory", "dollars"), [(256, 10.20), (512, 20.20), (1_024, 40.20), (1_769, 69.30)]
)
def test_a_million_waits_of_three_seconds_are_paid_for_by_memory(
    memory: int, dollars: float
) -> None:
    assert cost.compute(1e6, memory, 3) == pytest.approx(dollars, abs=0.005)


def test_x_ray_records_one_request_a_second_and_a_share_of_the_others() -> None:
    second = 730 * 3600
    assert cost.traces(1e6) == pytest.approx(5.0)
    assert cost.traces(second) == pytest.approx(second * 5 / 1e6)
    assert cost.traces(second + 1e6) == pytest.approx((second + 50_000) * 5 / 1e6)


def test_at_the_break_even_both_cost_the_same() -> None:
    for dollars in (prices.PROXY.dollars, 82.29):
        assert cost.month(cost.break_even(dollars)) == pytest.approx(dollars, abs=0.01)


def test_an_idle_month_costs_its_keys_alarms_and_dashboard() -> None:
    assert cost.idle() == pytest.approx(4 * 0.40 + 10 * 0.10 + 3.00)
    assert cost.month(0) == cost.idle()


def test_a_job_costs_what_its_shards_do() -> None:
    million = job_cost.job(1_000_000, 1_024, 3)
    assert million.states == pytest.approx(5_000 * 3 * 0.025 / 1_000)
    waited = 5_000 * 8 * 1.0 + 2 * 20 * 1.769
    assert million.functions == pytest.approx(waited * 0.0000133334 + 0.001)
    writes, reads = 5_000 * (2 * 8 + 1), 5_000 * (8 + 3)
    assert million.records == pytest.approx((writes * 0.625 + reads * 0.125) / 1_000_000)
    assert million.total == pytest.approx(sum(million))
    assert job_cost.job(2_000_000, 1_024, 3).total == pytest.approx(2 * million.total)


def test_every_price_has_a_day_and_a_source() -> None:
    for price in prices.ALL:
        assert len(price.date.split("-")) == 3
        assert price.source.startswith("https://")


def test_no_page_is_made_twice() -> None:
    paths: list[Path] = [path for path, _ in pages()]
    assert len(set(paths)) == len(paths)
