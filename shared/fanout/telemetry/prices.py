"""
Prices of tokens: from the config, else from the price lists in the package.

There is one list for each provider, made by `make prices`. A list is read when its first price is
needed. Prices are whole picodollars and costs whole nanodollars, so that sums are exact; dollars,
as floats, are only in what people write and read. Decision 0013 says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from ..config.deployment import Deployment
from ..providers.registry import is_for_embeddings

LISTS = Path(__file__).parent / "price_lists"
MILLION = 1_000_000

NANODOLLARS = 1_000_000_000
"""Costs, caps and leases are in billionths of a dollar."""

PICODOLLARS = 1_000_000_000_000
"""Prices are in trillionths of a dollar: $0.01875 for a million tokens is 18,750 for one."""

FLEX, PRIORITY = "flex", "priority"
"""OpenAI's names of the cheaper, slower tier and of the faster, dearer one."""

BATCH = "batch"
"""How the price lists name the prices of a provider's own batches, which are no service tier."""

TIER_NAMES: Mapping[str, str] = {"fast": PRIORITY}
"""Other names of tiers: github.com/openai/openai-python, `chat_completion.py`, 2026-11."""

RESPONSES_MARK = "responses/"
"""What a config writes before a model that is called with the Responses API; its price is equal."""

DEARER = frozenset({PRIORITY, "ultrafast"})
"""Tiers that cost more than the standard one; any other costs at most as much."""


class TokenPrices(Struct, frozen=True):
    """
    Picodollars for an input token, an output token, a cached input token, and a request.

    These are the prices of the standard tier. `tiers` has those of others, by OpenAI's name, and
    `batch` those of the provider's own batches, if they are listed.
    """

    input: int
    output: int
    cached: int | None = None
    per_request: int = 0
    tiers: Mapping[str, TokenPrices] = field(default_factory=dict)
    batch: TokenPrices | None = None

    def of(self, tier: str | None) -> TokenPrices:
        """The prices of a service tier: the standard ones if it has none of its own."""
        if tier is None or not self.tiers:
            return self
        return self.tiers.get(TIER_NAMES.get(tier, tier), self)

    def knows(self, tier: str | None) -> bool:
        """Whether a response of this tier costs at most what `of` says."""
        name = TIER_NAMES.get(tier, tier) if tier else None
        return name not in DEARER or name in self.tiers

    @property
    def has_cheaper_flex(self) -> bool:
        """Whether `flex` has a price, and it is below the standard one."""
        flex = self.tiers.get(FLEX)
        return flex is not None and (flex.input, flex.output) < (self.input, self.output)

    def of_batch(self, factor: float) -> TokenPrices:
        """The prices of the provider's batches: listed ones, or else this part of the standard."""
        if self.batch is not None:
            return self.batch
        sent, received = ceil(self.input * factor), ceil(self.output * factor)
        cached = None if self.cached is None else min(self.cached, sent)
        return TokenPrices(sent, received, cached, self.per_request)

    def cost(self, usage: Mapping[str, Any], tier: str | None = None) -> int:
        """The cost of a `usage` object of a response of this tier in nanodollars, rounded up."""
        if tier is not None and self.tiers and (prices := self.of(tier)) is not self:
            return prices.cost(usage)
        sent = count_of(usage.get("prompt_tokens"))
        received = count_of(usage.get("completion_tokens"))
        total = self.per_request + sent * self.input + received * self.output
        if self.cached is not None:
            details = usage.get("prompt_tokens_details")
            if isinstance(details, dict):
                cached = min(count_of(details.get("cached_tokens")), sent)
                total += cached * (self.cached - self.input)
        return nanodollars_of(total)


MAX_TOKENS = 10**9
"""Tokens of one call at most; sums of their costs fit into 64 bits."""


def count_of(value: object) -> int:
    """
    A count of tokens in a provider's `usage`, rounded up; 0 for anything but a number.

    A count over `MAX_TOKENS` is a mistake, and counts as so many.
    """
    if type(value) is int and 0 <= value <= MAX_TOKENS:  # nearly every one
        return value
    if isinstance(value, (int, float)) and value > 0:
        return ceil(min(value, MAX_TOKENS))
    return 0


def nanodollars_of(picodollars: int) -> int:
    """An amount in nanodollars, rounded up."""
    return -(-picodollars // 1_000)


def to_nanodollars(dollars: float) -> int:
    """
    Dollars in nanodollars, to the nearest one; what is above 0 is at least 1.

    The nearest one is the amount that was written, as long as that has at most nine decimals.
    """
    return max(round(dollars * NANODOLLARS), int(dollars > 0))


def to_dollars(nanodollars: int) -> float:
    """Nanodollars in dollars."""
    return nanodollars / NANODOLLARS


class ListedPrice(Struct, frozen=True, array_like=True):
    """
    US dollars for a million input, output and cached tokens, and for a request.

    `tiers` has the same of other service tiers than the standard one, by OpenAI's name, and of the
    provider's own batches, by the name `BATCH`.
    """

    input: float
    output: float
    cached: float | None
    per_request: float
    tiers: dict[str, ListedPrice] = field(default_factory=dict)


class PriceList(Struct, frozen=True):
    """
    One provider's prices.

    `exact` has models by name, in lower case. A model that is not in it has the price of the first
    regular expression in `patterns` that matches its name. `names` are models that have such a
    price, or capital letters.
    """

    source: str
    as_of: str
    exact: dict[str, ListedPrice] = field(default_factory=dict)
    patterns: list[tuple[str, ListedPrice]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def cost_of(
    deployment: Deployment, usage: Mapping[str, Any] | None, tier: str | None = None
) -> float | None:
    """The cost of a response in US dollars; `None` if its price or its usage is unknown."""
    nanodollars = nanodollars_of_usage(deployment, usage, tier)
    return None if nanodollars is None else to_dollars(nanodollars)


def nanodollars_of_usage(
    deployment: Deployment, usage: Mapping[str, Any] | None, tier: str | None = None
) -> int | None:
    """
    The cost of a response in nanodollars; `None` if its price or its usage is unknown.

    `tier` is the service tier that the response names, if it does.
    """
    if usage is None:
        return None
    prices = prices_of_usage(deployment, usage)
    return prices.cost(usage, tier) if prices is not None and prices.knows(tier) else None


def prices_of_usage(deployment: Deployment, usage: Mapping[str, Any]) -> TokenPrices | None:
    """The prices of a call with this `usage`: one without output needs no price of it."""
    return prices_of(deployment, has_output=count_of(usage.get("completion_tokens")) > 0)


def prices_of(deployment: Deployment, *, has_output: bool = True) -> TokenPrices | None:
    """
    The config's prices if both are set, else those of the price list, if it has the model.

    Embeddings have no output, so their input price is enough: for a model that is named as one for
    embeddings, and for any call that is known to have no output (`has_output`).
    """
    input_price, output_price = deployment.input_price, deployment.output_price
    target, provider = deployment.target, deployment.provider
    model = target.options.get("base_model") or target.model
    if output_price is None and (not has_output or is_for_embeddings(model)):
        output_price = 0.0
    if input_price is not None and output_price is not None:
        return _own(input_price, output_price, deployment.tier_prices)
    if provider.has_responses:
        model = model.removeprefix(RESPONSES_MARK)
    prices = _listed(provider.name, model)
    if prices is None and "/" in model and "api_base" not in target.options:
        return _listed(provider.name, model.rpartition("/")[2])  # after a region, or in an ARN
    return prices


def listed_models(provider: str) -> tuple[str, ...]:
    """The names of the models that the provider's price list has, as its API spells them."""
    prices = _read(provider)
    if prices is None:
        return ()
    spelled = {name.lower(): name for name in prices.names}
    return (*(spelled.pop(name, name) for name in prices.exact), *spelled.values())


@lru_cache(maxsize=1024)
def _own(
    input_price: float, output_price: float, tiers: tuple[tuple[str, float, float], ...]
) -> TokenPrices:
    """The config's prices, which are in dollars for a token."""
    return TokenPrices(
        _picodollars(input_price),
        _picodollars(output_price),
        tiers={tier: _own(sent, received, ()) for tier, sent, received in tiers},
    )


def _picodollars(dollars: float) -> int:
    """A price in picodollars; what is above 0 is at least 1."""
    return max(round(dollars * PICODOLLARS), int(dollars > 0))


@lru_cache(maxsize=1024)
def _listed(provider: str, model: str) -> TokenPrices | None:
    prices = _read(provider)
    if prices is None:
        return None
    name = model.lower()
    if (exact := prices.exact.get(name)) is not None:
        return _per_token(exact)
    for pattern, price in prices.patterns:
        if re.search(pattern, name):
            return _per_token(price)
    return None


def _per_token(listed: ListedPrice) -> TokenPrices:
    cached, tiers = listed.cached, listed.tiers
    return TokenPrices(
        _picodollars(listed.input / MILLION),
        _picodollars(listed.output / MILLION),
        None if cached is None else _picodollars(cached / MILLION),
        _picodollars(listed.per_request),
        {tier: _per_token(price) for tier, price in tiers.items() if tier != BATCH},
        _per_token(tiers[BATCH]) if BATCH in tiers else None,
    )


@lru_cache
def _read(provider: str) -> PriceList | None:
    path = LISTS / f"{provider}.json"
    return msgspec.json.decode(path.read_bytes(), type=PriceList) if path.is_file() else None
