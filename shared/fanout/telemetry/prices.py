"""
Prices of tokens in US dollars: from the config, else from the price lists in the package.

There is one list for each provider, made by `make prices`. A list is read when its first price is
needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from ..config.deployment import Deployment

LISTS = Path(__file__).parent / "price_lists"
MILLION = 1_000_000

Price: TypeAlias = tuple[float, float, float | None, float]


class TokenPrices(Struct, frozen=True):
    """US dollars for an input token, an output token, a cached input token, and a request."""

    input: float
    output: float
    cached: float | None = None
    per_request: float = 0.0

    def cost(self, usage: Mapping[str, Any]) -> float:
        """The cost of a `usage` object in US dollars."""
        sent, received = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        details = usage.get("prompt_tokens_details") or {}
        cached = min(details.get("cached_tokens") or 0, sent) if self.cached is not None else 0
        input_cost = (sent - cached) * self.input + cached * (self.cached or 0)
        return float(self.per_request + input_cost + received * self.output)


class PriceList(Struct, frozen=True):
    """
    One provider's prices in US dollars: for a million input, output and cached tokens, and for a
    request.

    `exact` has models by name, in lower case. A model that is not in it has the price of the first
    regular expression in `patterns` that matches its name.
    """

    source: str
    as_of: str
    exact: dict[str, Price] = field(default_factory=dict)
    patterns: list[tuple[str, Price]] = field(default_factory=list)


def cost_of(deployment: Deployment, usage: Mapping[str, Any] | None) -> float | None:
    """The cost of a response in US dollars; `None` if its price or its usage is unknown."""
    prices = prices_of(deployment) if usage is not None else None
    return None if prices is None or usage is None else prices.cost(usage)


def prices_of(deployment: Deployment) -> TokenPrices | None:
    """The config's prices if both are set, else those of the price list, if it has the model."""
    input_price, output_price = deployment.input_price, deployment.output_price
    if input_price is not None and output_price is not None:
        return TokenPrices(input_price, output_price)
    target = deployment.target
    return _listed(deployment.provider.name, target.options.get("base_model") or target.model)


def listed_models(provider: str) -> tuple[str, ...]:
    """The names of the models that the provider's price list has."""
    prices = _read(provider)
    return () if prices is None else tuple(prices.exact)


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
        sent / MILLION,
        received / MILLION,
        None if cached is None else cached / MILLION,
        per_request,
    )


@lru_cache
def _read(provider: str) -> PriceList | None:
    path = LISTS / f"{provider}.json"
    return msgspec.json.decode(path.read_bytes(), type=PriceList) if path.is_file() else None
