"""The pages that are generated from the stack's code, and the sums on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.props import GatewayProps
from scripts.aws import cost_page, instance_cost, job_cost, monthly_cost, prices
from scripts.aws.make_docs import options_table, pages

from .synth import Template


def test_the_pages_are_current() -> None:
    stale = [path.name for path, text in pages() if path.read_text() != text]
    assert stale == [], "make docs"


def test_every_option_is_in_the_table_with_a_description() -> None:
    rows = [row.split(" | ") for row in options_table().splitlines()[2:]]
    assert [row[0].strip("| `") for row in rows] == [
        f"fanout:{name}" for name in GatewayProps.model_fields
    ]
    assert all(len(row[3]) > 10 for row in rows)


def test_the_cost_page_counts_what_the_stack_has(stack: Template) -> None:
    assert len(stack.resources("SecretsManager::Secret")) == monthly_cost.KEYS
    assert len(stack.resources("CloudWatch::Alarm")) == monthly_cost.ALARMS
    assert not stack.resources("CloudWatch::Dashboard")


@pytest.mark.parametrize(
    ("memory", "dollars"), [(256, 10.20), (512, 20.20), (1_024, 40.20), (1_769, 69.30)]
)
def test_a_million_responses_of_three_seconds_cost_by_memory(memory: int, dollars: float) -> None:
    assert monthly_cost.compute(1e6, memory, 3) == pytest.approx(dollars, abs=0.005)


def test_x_ray_records_one_request_a_second_and_a_share_of_the_others() -> None:
    second = 730 * 3600
    assert monthly_cost.traces(1e6) == pytest.approx(5.0)
    assert monthly_cost.traces(second) == pytest.approx(second * 5 / 1e6)
    assert monthly_cost.traces(second + 1e6) == pytest.approx((second + 50_000) * 5 / 1e6)


def test_instances_cost_their_hours_with_the_fee_the_gateway_and_its_address() -> None:
    hour = 3 * 0.0816 * 1.15 + 0.045 + 0.005
    assert instance_cost.idle() == pytest.approx(730 * hour)


@pytest.mark.parametrize(("memory", "seconds"), [(512, 1), (512, 3), (1_024, 3), (512, 30)])
def test_at_the_break_even_lambda_and_instances_cost_the_same(memory: int, seconds: int) -> None:
    count = instance_cost.break_even(memory, seconds)
    on_lambda = monthly_cost.compute(count, memory, seconds)
    assert instance_cost.idle() + instance_cost.per_request(count) == pytest.approx(on_lambda)


def test_the_environments_that_always_run_take_64_requests_each() -> None:
    assert instance_cost.most(3) == 64


def test_at_the_break_even_both_cost_the_same() -> None:
    for dollars in (prices.PROXY.dollars, 82.29):
        assert monthly_cost.month(monthly_cost.break_even(dollars)) == pytest.approx(
            dollars, abs=0.01
        )


def test_an_idle_month_costs_its_keys_alarms_and_the_hourly_look_and_at_most_three_dollars() -> (
    None
):
    look = 730 * 1.5 * 1.769 * 0.0000133334
    assert monthly_cost.idle() == pytest.approx(4 * 0.40 + 10 * 0.10 + look, abs=0.001)
    assert monthly_cost.idle() <= 3
    assert monthly_cost.month(0) == monthly_cost.idle()


def test_a_job_costs_the_sum_of_its_shards() -> None:
    million = job_cost.job(1_000_000, 1_024, 3)
    assert million.states == pytest.approx(5_000 * 3 * 0.025 / 1_000)
    gb_seconds = 5_000 * 8 * 1.0 + 2 * 20 * 1.769
    assert million.functions == pytest.approx(gb_seconds * 0.0000133334 + 0.001)
    writes, reads = 5_000 * (2 * 8 + 1), 5_000 * (8 + 3)
    assert million.records == pytest.approx((writes * 0.625 + reads * 0.125) / 1_000_000)
    assert million.events == pytest.approx(5_000 * (8 + 1) * 2 / 1_000_000)
    assert million.total == pytest.approx(sum(million))
    assert job_cost.job(2_000_000, 1_024, 3).total == pytest.approx(2 * million.total)


def test_every_price_has_a_day_and_a_source() -> None:
    for price in prices.ALL:
        assert len(price.date.split("-")) == 3
        assert price.source.startswith("https://")


def test_no_page_is_generated_twice() -> None:
    paths: list[Path] = [path for path, _ in pages()]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(
    ("dollars", "text"),
    [(378.1, "$378.10"), (0.025, "$0.025"), (3, "$3.00"), (0.0000133334, "$0.0000133334")],
)
def test_a_price_is_printed_with_every_digit(dollars: float, text: str) -> None:
    assert f"| {text} |" in cost_page.price_table([price_of(dollars)])


def price_of(dollars: float) -> prices.Price:
    return prices.Price("a service", dollars, "month", "https://example.com", "2026-01-01")
