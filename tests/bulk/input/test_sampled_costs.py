"""A job's cost by the responses to twenty of its lines, for scripted jobs of many kinds."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fanout.bulk.input.sampled_costs import (
    CONFIDENCE,
    Estimate,
    Part,
    Response,
    Sampler,
    estimate_costs,
)
from tests.bulk.input.sampled_jobs import JOBS, PRICES, Line, completion, open_text

LINES, SAMPLE, SEEDS = 1_000, 20, 6


def estimated(make: Callable[[Random], Line], seed: int) -> tuple[Estimate, float]:
    """The estimate of a job without its sample, and what that costs."""
    chosen = Random(seed)  # noqa: S311 -- the same jobs each time
    lines = [make(chosen) for _ in range(LINES)]
    sampler = Sampler(SAMPLE)
    for number, line in enumerate(lines):
        sampler.add(line.model, number, line.estimated)
    drawn = sampler.draw()
    assert len({one.number for one in drawn}) == len(drawn) == SAMPLE
    sent = {one.number for one in drawn}
    responses = [
        Response(one, lines[one.number].tokens_in, lines[one.number].tokens_out) for one in drawn
    ]
    rest = [line for number, line in enumerate(lines) if number not in sent]
    parts = {}
    for model, (sold, bought) in PRICES.items():
        own = [line for line in rest if line.model == model]
        parts[model] = Part(len(own), sum(line.estimated for line in own), sold, bought)
    cost = sum(
        line.tokens_in * PRICES[line.model][0] + line.tokens_out * PRICES[line.model][1]
        for line in rest
    )
    found = estimate_costs(responses, parts)
    assert found is not None
    return found, cost


def test_the_estimate_is_within_a_tenth_in_nine_of_ten_jobs_and_the_range_has_its_confidence() -> (
    None
):
    results = [estimated(make, seed) for make in JOBS for seed in range(SEEDS)]
    near = sum(abs(found.cost / cost - 1) <= 0.1 for found, cost in results)
    inside = sum(found.low <= cost <= found.high for found, cost in results)
    assert near >= 0.9 * len(results)
    assert inside >= 0.9 * len(results) * CONFIDENCE / 100


def test_lengths_that_twenty_lines_cannot_tell_have_a_wide_range() -> None:
    results = [estimated(open_text, seed) for seed in range(10)]
    assert sum(found.low <= cost <= found.high for found, cost in results) >= 8
    assert sum(found.high > 1.15 * found.cost for found, _ in results) >= 8


def test_answers_that_shrink_with_the_length_of_the_prompt_have_a_narrow_range() -> None:
    """Longer prompts leave less to be written."""
    results = [estimated(completion, seed) for seed in range(20)]
    assert sum(abs(found.cost / cost - 1) <= 0.03 for found, cost in results) >= 18
    assert sum(found.low <= cost <= found.high for found, cost in results) >= 17
    assert sum(found.high < 1.06 * found.cost for found, _ in results) >= 18


def test_a_file_with_fewer_lines_than_the_sample_is_drawn_whole() -> None:
    sampler = Sampler(20)
    for number in range(7):
        sampler.add("a", number, 10**number)
    drawn = sampler.draw()
    assert [one.number for one in drawn] == list(range(7))
    assert {one.weight for one in drawn} == {1.0}


def test_there_is_no_estimate_for_a_model_without_a_response() -> None:
    assert estimate_costs([], {"a": Part(3, 30, 1.0, 1.0)}) is None
    nothing = estimate_costs([], {"a": Part(0, 0, 1.0, 1.0)})
    assert nothing is not None
    assert nothing.cost == 0
