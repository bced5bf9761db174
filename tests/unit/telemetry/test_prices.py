"""
The cost of a response: the config's prices, else the package's price lists, which are compared with
genai-prices, from which they are made.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from fanout.config.catalog import Catalog
from fanout.config.deployment import Deployment
from fanout.telemetry.known_names import known_names, listed_names
from fanout.telemetry.prices import (
    LISTS,
    PICODOLLARS,
    TokenPrices,
    cost_of,
    prices_of,
    to_dollars,
    to_nanodollars,
)
from scripts.make_prices import lists, notice
from tests.unit.config.sections import catalog, deployment, entry

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
CACHED = {**USAGE, "prompt_tokens_details": {"cached_tokens": 600}}

MODELS = [
    "gpt-4o",
    "anthropic/claude-sonnet-4-5",
    "openai/gpt-4o-2024-08-06",
    "anthropic/claude-3-5-haiku-20241022",
    "openai/ft:gpt-4o-2024-08-06:acme::x",
    "azure/gpt-4o",
    "openai/o3-mini",
    "command-r-plus",
    "gemini/gemini-2.5-pro",
    "gemini/gemini-2.5-flash-lite-preview-09-2025",
    "groq/llama-3.3-70b-versatile",
    "mistral/mistral-large-latest",
    "deepseek/deepseek-chat",
    "xai/grok-4",
    "bedrock/us.anthropic.claude-sonnet-4-20250514-v1:0",
    "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
    "vertex_ai/gemini-2.5-pro",
    "vertex_ai/claude-sonnet-4-5@20250929",
    "vertex_ai/claude-opus-4-7",
    "openrouter/anthropic/claude-3.5-sonnet",
    "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "perplexity/sonar",
    "cerebras/llama3.1-8b",
]


def priced_deployment(model: str) -> Deployment:
    given: dict[str, Any] = {"api_base": "https://x.test"} if model.startswith("azure/") else {}
    return deployment(model, {"AWS_REGION": "us-east-1", "VERTEXAI_PROJECT": "p"}, **given)


@pytest.mark.parametrize("model", MODELS)
def test_a_models_price_is_the_one_of_genai_prices(model: str) -> None:
    found = priced_deployment(model)
    day = json.loads((LISTS / f"{found.provider.name}.json").read_text())["as_of"]
    theirs = calc_price(
        Usage(input_tokens=1000, output_tokens=100),
        found.target.model,
        provider_id=model.partition("/")[0] if "/" in model else found.provider.name,
        genai_request_timestamp=datetime.fromisoformat(day).replace(tzinfo=UTC),
    )
    assert cost_of(found, USAGE) == pytest.approx(float(theirs.total_price))


def test_cached_tokens_have_the_price_of_cached_tokens() -> None:
    found = deployment("openai/gpt-4o")
    prices = prices_of(found)
    assert prices is not None
    assert prices.cached is not None
    expected = 400 * prices.input + 600 * prices.cached + 100 * prices.output
    assert cost_of(found, CACHED) == pytest.approx(expected / PICODOLLARS)


TIERED = [
    ("openai/gpt-5", "flex", 0.5),
    ("openai/gpt-5", "priority", 2.0),
    ("openai/gpt-5", "fast", 2.0),
    ("openai/o3", "flex", 0.5),
    ("gemini/gemini-2.5-flash", "flex", 0.5),
    ("gemini/gemini-2.5-flash", "priority", 1.8),
    ("vertex_ai/gemini-2.5-pro", "flex", 0.5),
    ("bedrock/us.amazon.nova-2-lite-v1:0", "flex", 0.5),
]


@pytest.mark.parametrize(("model", "tier", "factor"), TIERED)
def test_a_response_has_the_price_of_the_tier_that_it_names(
    model: str, tier: str, factor: float
) -> None:
    found = priced_deployment(model)
    standard = cost_of(found, USAGE)
    assert standard is not None
    for other in (None, "auto", "default", "scale", "batch"):
        assert cost_of(found, USAGE, other) == standard
    assert cost_of(found, USAGE, tier) == pytest.approx(standard * factor, rel=0.01)


def test_cached_tokens_have_the_cached_price_of_their_tier() -> None:
    """OpenAI halves it under flex, Google does not: both are in the lists."""
    for model, factor in (("openai/gpt-5", 0.5), ("gemini/gemini-2.5-flash", 1.0)):
        prices = prices_of(priced_deployment(model))
        assert prices is not None
        flex = prices.of("flex")
        assert prices.cached is not None
        assert flex.cached is not None
        assert flex.cached == pytest.approx(prices.cached * factor)
        expected = 400 * flex.input + 600 * flex.cached + 100 * flex.output
        assert prices.cost(CACHED, "flex") == -(-expected // 1_000)


def test_without_a_price_flex_costs_the_standard_price_and_priority_is_unknown() -> None:
    own: dict[str, Any] = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}
    found = deployment("openai/gpt-5", {}, **own)
    assert cost_of(found, USAGE, "flex") == cost_of(found, USAGE) == pytest.approx(1.2)
    assert cost_of(found, USAGE, "priority") is None
    assert cost_of(found, USAGE, "fast") is None


def test_the_config_has_prices_of_tiers() -> None:
    own: dict[str, Any] = {
        "input_cost_per_token": 0.001,
        "output_cost_per_token": 0.002,
        "input_cost_per_token_flex": 0.0005,
        "output_cost_per_token_flex": 0.001,
        "input_cost_per_token_priority": 0.002,
        "output_cost_per_token_priority": 0.004,
    }
    found = deployment("openai/anything", {}, **own)
    assert cost_of(found, USAGE, "flex") == pytest.approx(0.6)
    assert cost_of(found, USAGE, "priority") == pytest.approx(2.4)
    prices = prices_of(found)
    assert prices is not None
    assert prices.has_cheaper_flex


def test_every_flex_price_is_at_most_the_standard_one_and_priority_at_least() -> None:
    for path in LISTS.glob("*.json"):
        listed = json.loads(path.read_text())
        for row in [*listed["exact"].values(), *(price for _, price in listed["patterns"])]:
            tiers = row[4] if len(row) > 4 else {}
            for tier, (sent, received, cached, _) in tiers.items():
                low, high = (
                    (row, (sent, received)) if tier == "priority" else ((sent, received), row)
                )
                assert low[0] <= high[0]
                assert low[1] <= high[1]
                assert cached is None or cached <= sent


def test_a_batch_has_its_own_price_or_a_part_of_the_standard_one() -> None:
    for model in ("openai/gpt-5", "anthropic/claude-opus-5", "gemini/gemini-2.5-flash"):
        standard = prices_of(deployment(model, {}))
        assert standard is not None
        assert standard.batch is not None
        assert standard.of_batch(1.0) == standard.batch
        assert standard.of_batch(0.5).output * 2 == standard.output
        assert standard.cost(USAGE, "batch") == standard.cost(USAGE)
    unlisted = TokenPrices(15, 30, cached=9, per_request=2)
    assert unlisted.of_batch(0.5) == TokenPrices(8, 15, cached=8, per_request=2)


def test_a_cost_is_a_whole_number_of_nanodollars_rounded_up() -> None:
    prices = TokenPrices(18_750, 1, per_request=2_000)
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    assert prices.cost(usage) == 59  # 58.251
    assert prices.cost({"prompt_tokens": 3.0, "completion_tokens": None}) == 59
    assert prices.cost({"prompt_tokens": "3", "completion_tokens": -1}) == 2
    assert type(prices.cost({"prompt_tokens": 2.5})) is int


@pytest.mark.parametrize(
    ("dollars", "nanodollars"),
    [(0.1, 100_000_000), (0.1 + 0.2, 300_000_000), (1e-9, 1), (1e-30, 1), (0.0, 0), (1e9, 10**18)],
)
def test_dollars_are_the_nearest_nanodollars(dollars: float, nanodollars: int) -> None:
    assert to_nanodollars(dollars) == nanodollars


@given(st.integers(1, 10**15))
def test_dollars_of_nanodollars_are_the_same_nanodollars(amount: int) -> None:
    assert to_nanodollars(to_dollars(amount)) == amount


def test_the_licenses_of_the_sources_are_beside_the_lists() -> None:
    assert "Copyright (c) Pydantic Services Inc." in notice()
    assert "Copyright (c) 2023 Berri AI" in notice()
    assert (LISTS / "LICENSE").read_text() == notice()


def test_the_configs_prices_override_the_price_lists() -> None:
    own: dict[str, Any] = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}
    found = deployment("openai/gpt-4o", {}, **own)
    assert cost_of(found, CACHED) == pytest.approx(1.0 + 0.2)


@pytest.mark.parametrize("model", ["openai/unknown-model", "local/smol", "ollama/llama3"])
def test_a_model_without_a_price_has_no_cost(model: str) -> None:
    assert cost_of(deployment(model), USAGE) is None


def test_a_model_that_is_marked_for_the_responses_api_has_its_own_price() -> None:
    plain = prices_of(priced_deployment("openai/gpt-5"))
    assert plain is not None
    assert prices_of(priced_deployment("openai/responses/gpt-5")) == plain
    assert prices_of(priced_deployment("azure/responses/gpt-4o")) is not None


VECTORS = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}


def test_models_for_embeddings_have_listed_prices_and_none_for_output() -> None:
    expected = {
        "openai/text-embedding-3-small": 0.00002,
        "azure/text-embedding-3-large": 0.00013,
        "cohere/embed-v4.0": 0.00012,
        "cohere/embed-english-v3.0": 0.0001,
        "gemini/gemini-embedding-001": 0.00015,
        "mistral/mistral-embed": 0.0001,
        "bedrock/amazon.titan-embed-text-v2:0": 0.00002,
        "bedrock/cohere.embed-multilingual-v3": 0.0001,
        "vertex_ai/text-embedding-005": 0.0001,
        "voyage/voyage-3.5": 0.00006,
    }
    found = {model: cost_of(priced_deployment(model), VECTORS) for model in expected}
    assert found == pytest.approx(expected)
    assert {cost_of(priced_deployment(model), USAGE) for model in expected} == {*expected.values()}


def test_embeddings_need_no_price_of_output() -> None:
    own = {"input_cost_per_token": 0.001}
    assert cost_of(deployment("openai/anything", {}, **own), VECTORS) == pytest.approx(1.0)
    assert cost_of(deployment("openai/anything", {}, **own), USAGE) is None
    prices = prices_of(deployment("hosted_vllm/BAAI/bge-m3", {}, api_base="http://h/v1", **own))
    assert prices is not None
    assert prices.output == 0


def test_a_response_without_usage_has_no_cost() -> None:
    assert cost_of(deployment("openai/gpt-4o"), None) is None


@pytest.mark.parametrize(
    "model",
    [
        "bedrock/us-east-1/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/us-east-1/us.anthropic.claude-opus-5",
        "bedrock/converse/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-6-v1",
    ],
)
def test_what_is_written_before_a_models_name_does_not_change_its_price(model: str) -> None:
    env = {"AWS_REGION": "us-east-1"}
    found = prices_of(deployment(model, env))
    assert found == prices_of(deployment(f"bedrock/{model.rpartition('/')[2]}", env))
    assert found is not None


def test_at_another_address_the_end_of_a_name_is_another_model() -> None:
    found = deployment("openai/mine/gpt-4o", api_base="http://h/v1", api_key="k")
    assert prices_of(found) is None


@pytest.mark.parametrize("star", ["*", "openai/*", "bedrock/*", "anthropic/*", "together_ai/*"])
def test_each_name_that_a_wildcard_lists_leads_to_a_model_with_a_price(star: str) -> None:
    env = {"AWS_REGION": "us-east-1", "VERTEXAI_PROJECT": "p", "AZURE_API_BASE": "https://r"}
    found = catalog(env, model_list=[entry(star, star)])
    names = list(known_names(found))
    for name in names:
        (one,) = found.find(name)
        assert prices_of(one) is not None, name
    assert len(names) == len({name.lower() for name in names}) > 10


@pytest.mark.parametrize(
    "name",
    [
        "anthropic/claude-sonnet-4-5",
        "bedrock/amazon.nova-lite-v1:0",
        "bedrock/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "gemini/gemini-2.5-pro",
        "vertex_ai/claude-opus-4-6",
        "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ],
)
def test_a_model_whose_price_is_a_pattern_is_listed_too(name: str) -> None:
    found = list(known_names(catalog(model_list=[entry("*", "*")])))
    assert name in found


def test_without_a_config_the_models_of_providers_whose_key_is_set_are_listed() -> None:
    env = {"GROQ_API_KEY": "k", "COHERE_API_KEY": "k", "AZURE_API_KEY": "k", "OPENAI_API_KEY": ""}
    found = list(known_names(Catalog({}, env, is_open=True)))
    assert {name.partition("/")[0] for name in found} == {"groq", "cohere"}
    assert "groq/llama-3.3-70b-versatile" in found
    for name in found:
        (one,) = Catalog({}, env, is_open=True).find(name)
        assert prices_of(one) is not None, name
    assert list(known_names(Catalog({}, env))) == []


def test_models_for_completions_only_are_not_listed() -> None:
    found = set(known_names(Catalog({}, {"OPENAI_API_KEY": "k"}, is_open=True)))
    assert "openai/gpt-4o" in found
    old = ("ada", "babbage-002", "davinci", "text-davinci-003", "gpt-3.5-turbo-instruct-0914")
    assert found.isdisjoint(f"openai/{name}" for name in old)


def test_models_for_embeddings_images_sound_and_moderation_are_not_listed() -> None:
    found = list(known_names(catalog(model_list=[entry("*", "*")])))
    words = ("embed", "tts", "whisper", "moderation", "dall-e", "native-audio", "transcribe")
    assert [name for name in found if any(word in name.lower() for word in words)] == []
    assert [name for name in found if re.match(r"openai/.*gpt-[\d.]*-?image", name)] == []
    assert "openrouter/openai/gpt-5-image" in found  # there it is for chat


def test_a_config_lists_all_its_names_and_on_request_those_for_chat() -> None:
    listed = [
        entry("openai/gpt-4o", "talk"),
        entry("openai/text-embedding-3-small", "vectors"),
        entry("openai/tts-1", "voice"),
    ]
    aliases = {"v": "vectors", "t": "talk", "both": {"models": ["vectors", "talk"], "mode": "all"}}
    found = catalog(model_list=listed, router_settings={"model_group_alias": aliases})
    assert listed_names(found) == ["talk", "vectors", "voice", "v", "t", "both"]
    assert listed_names(found, only_chat=True) == ["talk", "t", "both"]


def test_no_name_is_listed_that_its_api_does_not_have() -> None:
    found = list(known_names(catalog(model_list=[entry("*", "*")])))
    assert [name for name in found if name.startswith("gemini/claude")] == []
    assert [name for name in found if "regional." in name or "/ft:" in name] == []
    assert [name for name in found if "nova-sonic" in name or "-live" in name] == []


def test_ones_own_openai_compatible_server_has_no_price_list() -> None:
    assert not (LISTS / "openai_like.json").exists()


def test_the_lists_are_what_make_prices_writes() -> None:
    days: set[str] = {json.loads(path.read_text())["as_of"] for path in LISTS.glob("*.json")}
    (day,) = days
    written: dict[str, Any] = {path.stem: path.read_text() for path in LISTS.glob("*.json")}
    assert written == lists(day)
