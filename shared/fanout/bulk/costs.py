"""
What a line may cost and what it did: the config's prices, else the public tables.

The tables (`genai-prices`) are loaded when a name without a price of its own is first met.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..config.resolve import Catalog, Deployment
from ..errors import FanoutError
from .tally import answers_in


class Rate(Struct, frozen=True):
    """US dollars for a token in, and for one out."""

    sent: float
    got: float

    def of(self, usage: object) -> float:
        """The cost of a usage object."""
        if not isinstance(usage, Mapping):
            return 0.0
        sent, got = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        return float(sent * self.sent + got * self.got)


class Costs:
    """The prices of the names of a catalog; of several deployments the dearest."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._rates: dict[str, Rate | None] = {}

    def rate(self, model: str) -> Rate | None:
        """A name's price; `None` if nobody knows it."""
        if model not in self._rates:
            self._rates[model] = self._find(model)
        return self._rates[model]

    def _find(self, model: str) -> Rate | None:
        try:
            deployments = self._catalog.find(model)
        except FanoutError:
            return None
        rates = [_rate(deployment) for deployment in deployments]
        known = [rate for rate in rates if rate is not None]
        if len(known) < len(rates):
            return None
        return max(known, key=lambda rate: rate.sent + rate.got)

    def of(self, body: object) -> float:
        """What an answer cost, its losers too; 0 for what has no price."""
        return sum(self._of_answer(answer) for answer in answers_in(body))

    def _of_answer(self, answer: Mapping[str, Any]) -> float:
        report = answer.get("fanout")
        attempts = report.get("attempts") if isinstance(report, Mapping) else None
        if attempts:
            return sum(self._of_one(attempt) for attempt in attempts)
        choices = answer.get("choices") or ()
        several = [one for one in choices if isinstance(one, Mapping) and "model" in one]
        if several:
            return sum(self._of_one(choice) for choice in several)
        return self._of_one(answer)

    def _of_one(self, said: Mapping[str, Any]) -> float:
        usage, model = said.get("usage"), said.get("model")
        rate = self.rate(model) if usage and isinstance(model, str) else None
        return rate.of(usage) if rate else 0.0


def _rate(deployment: Deployment) -> Rate | None:
    sent, got = deployment.input_price, deployment.output_price
    if sent is not None and got is not None:
        return Rate(sent, got)
    return _listed(deployment.provider.name, deployment.target.model)


def _listed(provider: str, model: str) -> Rate | None:
    from genai_prices import Usage, calc_price

    def price(sent: int, got: int) -> float:
        usage = Usage(input_tokens=sent, output_tokens=got)
        return float(calc_price(usage, model, provider_id=provider).total_price)

    try:
        return Rate(price(1000, 0) / 1000, price(0, 1000) / 1000)
    except LookupError:
        return None
