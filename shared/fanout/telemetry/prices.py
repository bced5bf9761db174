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
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from ..config.deployment import Deployment

LISTS = Path(__file__).parent / "price_lists"
MILLION = 1_000_000

NANODOLLARS = 1_000_000_000
"""Costs, caps and leases are in billionths of a dollar."""

PICODOLLARS = 1_000_000_000_000
"""Prices are in trillionths of a dollar: $0.01875 for a million tokens is 18,750 for one."""

Price: TypeAlias = tuple[float, float, float | None, float]


class TokenPrices(Struct, frozen=True):
    """Picodollars for an input token, an output token, a cached input token, and a request."""

    input: int
    output: int
    cached: int | None = None
    per_request: int = 0

    def cost(self, usage: Mapping[str, Any]) -> int:
        """The cost of a `usage` object in nanodollars, rounded up."""
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


class PriceList(Struct, frozen=True):
    """
    One provider's prices in US dollars: for a million input, output and cached tokens, and for a
    request.

    `exact` has models by name, in lower case. A model that is not in it has the price of the first
    regular expression in `patterns` that matches its name. `names` are models that have such a
    price, or capital letters.
    """

    source: str
    as_of: str
    exact: dict[str, Price] = field(default_factory=dict)
    patterns: list[tuple[str, Price]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def cost_of(deployment: Deployment, usage: Mapping[str, Any] | None) -> float | None:
    """The cost of a response in US dollars; `None` if its price or its usage is unknown."""
    nanodollars = nanodollars_of_usage(deployment, usage)
    return None if nanodollars is None else to_dollars(nanodollars)


def nanodollars_of_usage(deployment: Deployment, usage: Mapping[str, Any] | None) -> int | None:
    """The cost of a response in nanodollars; `None` if its price or its usage is unknown."""
    prices = prices_of(deployment) if usage is not None else None
    return None if prices is None or usage is None else prices.cost(usage)


def prices_of(deployment: Deployment) -> TokenPrices | None:
    """The config's prices if both are set, else those of the price list, if it has the model."""
    input_price, output_price = deployment.input_price, deployment.output_price
    if input_price is not None and output_price is not None:
        return _own(input_price, output_price)
    target, provider = deployment.target, deployment.provider.name
    model = target.options.get("base_model") or target.model
    prices = _listed(provider, model)
    if prices is None and "/" in model and "api_base" not in target.options:
        return _listed(provider, model.rpartition("/")[2])  # after a region, or in an ARN
    return prices


def listed_models(provider: str) -> tuple[str, ...]:
    """The names of the models that the provider's price list has, as its API spells them."""
    prices = _read(provider)
    if prices is None:
        return ()
    spelled = {name.lower(): name for name in prices.names}
    return (*(spelled.pop(name, name) for name in prices.exact), *spelled.values())


@lru_cache(maxsize=1024)
def _own(input_price: float, output_price: float) -> TokenPrices:
    """The config's prices, which are in dollars for a token."""
    return TokenPrices(_picodollars(input_price), _picodollars(output_price))


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
        return _per_token(*exact)
    for pattern, price in prices.patterns:
        if re.search(pattern, name):
            return _per_token(*price)
    return None


def _per_token(
    sent: float, received: float, cached: float | None, per_request: float
) -> TokenPrices:
    return TokenPrices(
        _picodollars(sent / MILLION),
        _picodollars(received / MILLION),
        None if cached is None else _picodollars(cached / MILLION),
        _picodollars(per_request),
    )


@lru_cache
def _read(provider: str) -> PriceList | None:
    path = LISTS / f"{provider}.json"
    return msgspec.json.decode(path.read_bytes(), type=PriceList) if path.is_file() else None
