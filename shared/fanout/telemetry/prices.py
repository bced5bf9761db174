"""
What tokens cost, in US dollars: the config's prices, else the public ones that come along.

The public ones are lists by provider, made by `make prices`; one is read when a deployment without
prices of its own first answers. Knows nothing of calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from ..config.resolve import Deployment

LISTS = Path(__file__).parent / "price_lists"
MILLION = 1_000_000

Price: TypeAlias = tuple[float, float, float | None, float]


class Rate(Struct, frozen=True):
    """US dollars: a token in, one out, one in that the provider's cache held, and a request."""

    sent: float
    got: float
    cached: float | None = None
    each: float = 0.0

    def of(self, usage: Mapping[str, Any]) -> float:
        """The cost of a usage object."""
        sent, got = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        details = usage.get("prompt_tokens_details") or {}
        held = min(details.get("cached_tokens") or 0, sent) if self.cached is not None else 0
        of_input = (sent - held) * self.sent + held * (self.cached or 0)
        return float(self.each + of_input + got * self.got)


class PriceList(Struct, frozen=True):
    """
    One provider's prices: dollars a million tokens in, out, and out of the cache; and a request.

    `exact` has models by their names, in lower case; `patterns` are searched where none is there.
    """

    source: str
    as_of: str
    exact: dict[str, Price] = field(default_factory=dict)
    patterns: list[tuple[str, Price]] = field(default_factory=list)


def cost_of(deployment: Deployment, usage: Mapping[str, Any] | None) -> float | None:
    """What an answer cost; `None` where nobody knows the price, or no usage is told."""
    rate = rate_of(deployment) if usage is not None else None
    return None if rate is None or usage is None else rate.of(usage)


def rate_of(deployment: Deployment) -> Rate | None:
    """The config's price where it has both, else the public one; `None` if there is none."""
    sent, got = deployment.input_price, deployment.output_price
    if sent is not None and got is not None:
        return Rate(sent, got)
    target = deployment.target
    return _listed(deployment.provider.name, target.options.get("base_model") or target.model)


@lru_cache(maxsize=1024)
def _listed(provider: str, model: str) -> Rate | None:
    prices = _read(provider)
    if prices is None:
        return None
    name = model.lower()
    if (exact := prices.exact.get(name)) is not None:
        return _rate(*exact)
    for pattern, price in prices.patterns:
        if re.search(pattern, name):
            return _rate(*price)
    return None


def _rate(sent: float, got: float, cached: float | None, each: float) -> Rate:
    held = None if cached is None else cached / MILLION
    return Rate(sent / MILLION, got / MILLION, held, each)


@lru_cache
def _read(provider: str) -> PriceList | None:
    path = LISTS / f"{provider}.json"
    return msgspec.json.decode(path.read_bytes(), type=PriceList) if path.is_file() else None
