"""Which lines may be on a provider's flex tier."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.bulk.input.flex_lines import flex_model, offers_flex
from fanout.bulk.input.line_parser import Line
from fanout.bulk.lanes import CHOICES, WITH_FLEX, LaneChoice
from fanout.config.catalog import Catalog
from fanout.config.load import check
from fanout.config.resolve import resolve
from tests.bulk.flex_provider import MODELS, flex_config

MESSAGE = {"role": "user", "content": "Hi"}


def line(**body: Any) -> Line:
    return Line("n", {"model": "m", "messages": [MESSAGE], **body})


@pytest.mark.parametrize("choice", CHOICES)
def test_a_plain_line_is_on_flex_if_the_job_chooses_it(choice: LaneChoice) -> None:
    assert flex_model(line(), choice) == ("m" if choice in WITH_FLEX else None)
    assert flex_model(line(service_tier=None), choice) == flex_model(line(), choice)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_line_with_a_tier_keeps_it(choice: LaneChoice) -> None:
    assert flex_model(line(service_tier="flex"), choice) == "m"
    for tier in ("auto", "default", "priority", "scale", 5):
        assert flex_model(line(service_tier=tier), choice) is None


@pytest.mark.parametrize(
    "body",
    [
        {"model": "a, b"},
        {"model": ["a", "b"]},
        {"fanout": {"models": ["a", "b"]}},
        {"messages": [[MESSAGE], [MESSAGE]]},
        {"fastest_response": True},
        {"fanout": {"mode": "race"}},
        {"fanout": {"mode": "hedge", "stagger": 1}},
        {"fanout": {"check": True}},
        {"fanout": {"attempts": 3, "escalate": ["b"]}},
        {"fanout": {"schema": {"type": "object"}}},
    ],
)
def test_races_checks_and_lines_with_several_responses_are_sent_in_real_time(
    body: dict[str, Any],
) -> None:
    assert flex_model(line(**body), "flex") is None


def test_one_model_in_any_form_is_one_model() -> None:
    for body in ({"model": ["m"]}, {"fanout": {"models": ["m"]}}, {"messages": [[MESSAGE]]}):
        assert flex_model(line(**body), "flex") == "m"


def catalog(config: dict[str, Any]) -> Catalog:
    return resolve(check(config, {}), {})


def test_a_model_offers_flex_if_a_deployment_of_it_is_cheaper_there() -> None:
    found = catalog(flex_config())
    assert {name: offers_flex(found, name) for name in (*MODELS, "plain", "unknown")} == {
        "openai": True, "gemini": True, "bedrock": True, "plain": False, "unknown": False,
    }  # fmt: skip
    dear = catalog(flex_config(input_cost_per_token_flex=1.0, output_cost_per_token_flex=1.0))
    assert not offers_flex(dear, "openai")


def test_a_name_for_several_models_has_no_flex() -> None:
    config = flex_config()
    both = {"models": ["openai", "gemini"], "mode": "all"}
    config["router_settings"]["model_group_alias"] = {"both": both}
    assert not offers_flex(catalog(config), "both")


def test_a_listed_model_offers_flex_without_a_price_in_the_config() -> None:
    listed = {"model_name": "m", "litellm_params": {"model": "openai/gpt-5", "api_key": "k"}}
    assert offers_flex(catalog({"model_list": [listed]}), "m")
