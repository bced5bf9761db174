"""What a line may cost and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config.resolve import Catalog
from ..errors import FanoutError
from ..telemetry.prices import TokenPrices, prices_of
from .totals import answers_in


class Costs:
    """The prices of the names of a catalog; of several deployments the dearest."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._rates: dict[str, TokenPrices | None] = {}

    def rate(self, model: str) -> TokenPrices | None:
        """A name's price; `None` if nobody knows it."""
        if model not in self._rates:
            self._rates[model] = self._find(model)
        return self._rates[model]

    def _find(self, model: str) -> TokenPrices | None:
        try:
            deployments = self._catalog.find(model)
        except FanoutError:
            return None
        rates = [prices_of(deployment) for deployment in deployments]
        known = [rate for rate in rates if rate is not None]
        if len(known) < len(rates):
            return None
        return max(known, key=lambda rate: rate.input + rate.output)

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
        return rate.cost(usage) if rate and isinstance(usage, Mapping) else 0.0
