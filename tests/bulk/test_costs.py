"""What a line costs, by the service tier that its response names, and what is reserved for it."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.bulk.costs import Costs
from fanout.bulk.input.estimates import estimate_cost, estimate_for_key
from fanout.bulk.input.line_parser import Line
from fanout.bulk.service.new_job import MAX_COST_CAP, cost_cap
from fanout.bulk.totals import LineCost
from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.errors import RequestError
from fanout.keys.metering import estimate as known_request
from fanout.schema.fanout import parse_request

PRICES = {
    "input_cost_per_token": 0.001,
    "output_cost_per_token": 0.002,
    "input_cost_per_token_flex": 0.0005,
    "output_cost_per_token_flex": 0.001,
    "input_cost_per_token_priority": 0.002,
    "output_cost_per_token_priority": 0.004,
}
PLAIN = {name: PRICES[name] for name in ("input_cost_per_token", "output_cost_per_token")}
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
STANDARD = 19_000_000
"""Nanodollars of `USAGE`."""


def costs(*prices: dict[str, Any]) -> Costs:
    """The costs of a model `m` with a deployment for each of these prices."""
    models = [
        {"model_name": "m", "litellm_params": {"model": f"openai/{n}", "api_key": "k", **own}}
        for n, own in enumerate(prices)
    ]
    config: Any = {"model_list": models}
    return Costs(resolve(check(config, {}), {}))


def response(tier: str | None, **more: Any) -> dict[str, Any]:
    named = {} if tier is None else {"service_tier": tier}
    return {"model": "m", "choices": [], "usage": USAGE, **named, **more}


@pytest.mark.parametrize(
    ("tier", "factor"),
    [(None, 1), ("default", 1), ("scale", 1), ("flex", 0.5), ("priority", 2), ("fast", 2)],
)
def test_the_tier_that_the_response_names_sets_its_price(tier: str | None, factor: float) -> None:
    cost = int(STANDARD * factor)
    expected = (
        LineCost(cost, lane="flex", saved=STANDARD - cost) if tier == "flex" else LineCost(cost)
    )
    assert costs(PRICES).cost_of(response(tier)) == expected


def test_a_dearer_tier_without_a_price_counts_in_part() -> None:
    assert costs(PLAIN).cost_of(response("priority")) == LineCost(STANDARD, is_complete=False)
    assert costs(PLAIN).cost_of(response("flex")) == LineCost(STANDARD, lane="flex")


def test_each_response_of_a_line_has_its_own_tier() -> None:
    choices = [response("flex"), response("default"), response(None)]
    combined = {"model": "m, m, m", "choices": choices, "service_tier": "flex"}
    assert costs(PRICES).cost_of(combined) == LineCost(int(STANDARD * 2.5))
    both = {"model": "m, m", "choices": choices[:1] * 2}
    assert costs(PRICES).cost_of(both) == LineCost(STANDARD, lane="flex", saved=STANDARD)
    race = response("flex", fanout={"attempts": [response("flex"), response("priority")]})
    assert costs(PRICES).cost_of(race) == LineCost(int(STANDARD * 2.5))


def test_of_several_deployments_the_most_expensive_one_counts_with_its_tiers() -> None:
    cheap = {name: price / 10 for name, price in PRICES.items()}
    half = STANDARD // 2
    expected = LineCost(half, lane="flex", saved=half)
    assert costs(cheap, PRICES).cost_of(response("flex")) == expected


@pytest.mark.parametrize(("tier", "factor"), [(None, 1), ("flex", 1), ("priority", 2), ("auto", 1)])
def test_a_line_reserves_the_price_that_it_may_get(tier: str | None, factor: int) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 7}
    line = Line("n", body if tier is None else {**body, "service_tier": tier})
    assert estimate_cost(costs(PRICES), line, 20) == STANDARD * factor


MODES: dict[str, tuple[int, dict[str, Any]]] = {
    "fallback": (3, {"model": ["m", "dear"], "fanout": {"mode": "fallback"}}),
    "cascade": (3, {"model": ["m", "dear"], "fanout": {"start": 1, "schema": {"type": "object"}}}),
    "hedge": (4, {"model": ["m", "dear"], "fanout": {"mode": "hedge"}}),
    "all": (4, {"model": ["m", "dear"]}),
    "once": (3, {"model": ["m", "dear"], "fanout": {"mode": "hedge", "stagger": 1, "once": True}}),
    "own fallbacks": (3, {"model": "m", "fallbacks": ["dear"]}),
    "fallbacks of the config": (3, {"model": "m2"}),
    "fallbacks for long prompts": (3, {"model": "m3"}),
    "and those of a fallback": (3, {"model": "m", "fallbacks": ["m3"]}),
}


@pytest.mark.parametrize("name", MODES)
def test_a_line_reserves_as_much_as_a_request(name: str) -> None:
    """One model after the other costs what the dearest of them does."""
    triple = {name: price * 3 for name, price in PLAIN.items()}
    models = [
        {"model_name": one, "litellm_params": {"model": "openai/x", "api_key": "k", **prices}}
        for one, prices in (("m", PLAIN), ("m2", PLAIN), ("m3", PLAIN), ("dear", triple))
    ]
    to_dear = {"fallbacks": [{"m2": ["dear"]}], "context_window_fallbacks": [{"m3": ["dear"]}]}
    config: Any = {"model_list": models, "router_settings": to_dear}
    known = Costs(resolve(check(config, {}), {}))
    factor, fields = MODES[name]
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 7, **fields}
    if name != "cascade":  # whose attempts a request reserves at once
        request = known_request(parse_request(body), known)
        assert estimate_for_key(known, Line("n", body), 20) == request.need.cost
    assert estimate_cost(known, Line("n", body), 20) == STANDARD * factor


@pytest.mark.parametrize(
    ("cost", "paid"), [(0.038, 38_000_000), (1e-7, 100), (0, 0), (None, 0), ("0.1", 0)]
)
def test_a_choice_that_never_fitted_its_schema_costs_what_its_calls_did(
    cost: object, paid: int
) -> None:
    error = {"code": "schema_mismatch", "message": "no"}
    failed = {"model": "m", "index": 0, "usage": None, "error": error, "cost_usd": cost}
    good = {"model": "m", "index": 1, "usage": USAGE, "cost_usd": 0.019}
    body = response(None, choices=[failed, good])
    assert costs(PRICES).cost_of(body).nanodollars == STANDARD + paid
    assert costs(PRICES).cost_of({**body, "choices": [failed]}).nanodollars == paid


@pytest.mark.parametrize(
    ("dollars", "rule"),
    [
        (0, "above 0"),
        (float("nan"), "above 0"),
        (1e-10, r"at least a billionth of a US dollar \(1e-9\)"),
        (MAX_COST_CAP + 1, f"at most {MAX_COST_CAP}"),
    ],
)
def test_a_cap_that_cannot_be_kept_is_an_error_of_its_field(dollars: float, rule: str) -> None:
    with pytest.raises(RequestError, match=f"`max_cost_usd` must be {rule}") as caught:
        cost_cap(dollars)
    assert caught.value.param == "max_cost_usd"


def test_the_smallest_cap_is_one_of_the_units_of_costs() -> None:
    assert (cost_cap(1e-9), cost_cap(None)) == (1, None)
