"""The cost of a line's response, in nanodollars."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from ..config.catalog import Catalog
from ..errors import FanoutError
from ..telemetry.prices import BATCH, FLEX, TokenPrices, count_of, prices_of, to_nanodollars
from .lanes import NATIVE, REALTIME
from .model_totals import OTHER, ByModel, ModelTotals, plus
from .totals import LineCost, charged_calls, responses_in

MAX_RECORDED = 20
"""Models whose prices a job's record has at most: it is written again with each change."""

TOKENS = ("prompt_tokens", "completion_tokens")


class Costs:
    """
    The prices of a catalog's models; of several deployments, the most expensive one counts.

    `recorded` are those that a job had, which count first.
    """

    def __init__(self, catalog: Catalog, recorded: Mapping[str, TokenPrices] = {}) -> None:
        self.catalog = catalog
        self._prices: dict[tuple[str, bool], TokenPrices | None] = {
            (name, has_output): prices
            for name, prices in recorded.items()
            for has_output in (True, False)
        }
        self._batch_prices: dict[str, TokenPrices] = {}

    def prices(self, model: str, *, has_output: bool = True) -> TokenPrices | None:
        """
        The prices of a model; `None` if a deployment's price is unknown, or the model.

        Without output, as for embeddings, no price of it is needed.
        """
        key = model, has_output
        if key not in self._prices:
            self._prices[key] = self._find(model, has_output=has_output)
        return self._prices[key]

    def to_record(self, models: Iterable[str], *, has_batches: bool) -> dict[str, TokenPrices]:
        """The prices of these models, of which there are few, and of those called in their place"""
        names = set[str]()
        for model in models:
            several = self.catalog.routes.sets.get(model)
            for name in (model,) if several is None else several.models:
                names.update(self.catalog.routes.may_respond(name))
            if len(names) > MAX_RECORDED:
                return {}
        found: dict[str, TokenPrices] = {}
        for name in sorted(names):
            prices = self.prices(name) or self.prices(name, has_output=False)
            if prices is not None and has_batches:
                prices = replace(prices, batch=self.batch_prices(name, prices))
            if prices is not None:
                found[name] = prices
        return found

    def unpriced(self, model: str, *, has_output: bool = True) -> str | None:
        """The model without a price that a response may have: this one or a fallback of it."""
        for name in self.catalog.routes.may_respond(model):
            if self.prices(name, has_output=has_output) is None:
                return name
        return None

    def _find(self, model: str, *, has_output: bool) -> TokenPrices | None:
        if several := self.catalog.routes.sets.get(model):
            return self._sum([self.prices(one, has_output=has_output) for one in several.models])
        try:
            deployments = self.catalog.find(model)
        except FanoutError:
            return None
        all_prices = [prices_of(one, has_output=has_output) for one in deployments]
        known = [one for one in all_prices if one is not None]
        if len(known) < len(all_prices):
            return None
        return max(known, key=lambda one: one.input + one.output)

    @classmethod
    def _sum(cls, parts: list[TokenPrices | None]) -> TokenPrices | None:
        """The most that a name for several models may cost: each of them responds."""
        known = [one for one in parts if one is not None]
        if len(known) < len(parts):
            return None
        tiers = {tier for one in known for tier in one.tiers}
        return TokenPrices(
            sum(one.input for one in known),
            sum(one.output for one in known),
            per_request=sum(one.per_request for one in known),
            tiers={
                tier: found
                for tier in tiers
                if (found := cls._sum([replace(one.of(tier), tiers={}) for one in known]))
            },
        )

    def cost_of(self, body: object) -> LineCost:
        """The cost of a response, with the losers of a race."""
        parts = [part for response in responses_in(body) for part in charged_calls(response)]
        if len(parts) == 1:  # nearly every line
            return self._cost_of_usage(parts[0])
        costs = [self._cost_of_usage(part) for part in parts]
        cost = sum(one.nanodollars for one in costs)
        is_complete = all(one.is_complete for one in costs)
        if {one.lane for one in costs} == {FLEX}:
            return LineCost(cost, is_complete, FLEX, sum(one.saved for one in costs))
        return LineCost(cost, is_complete)

    def cost_by_model(self, names: Collection[str] | None, body: object) -> LineCost:
        """`cost_of`, with the part of each model of the `names`; the others count together."""
        models: ByModel = {}
        for part in (part for one in responses_in(body) for part in charged_calls(one)):
            if isinstance(model := part.get("model"), str):
                name = model if names is None or model in names else OTHER
                cost, found = self._cost_of_usage(part).nanodollars, part.get("usage")
                usage = found if isinstance(found, dict) else {}
                used = ModelTotals(1, cost, *(count_of(usage.get(kind)) for kind in TOKENS))
                models = plus(models, {name: used})
        return replace(self.cost_of(body), models=models)

    def _cost_of_usage(self, part: Mapping[str, Any]) -> LineCost:
        """
        The cost of a part at the price of the service tier that it names.

        A failed choice without a usage may have had calls; then its own cost counts.
        """
        usage, model = part.get("usage"), part.get("model")
        if not isinstance(usage, dict) or not isinstance(model, str):
            cost = part.get("cost_usd") if part.get("error") else None
            return LineCost(to_nanodollars(cost)) if isinstance(cost, int | float) else NOTHING
        has_output = count_of(usage.get("completion_tokens")) > 0
        prices, tier = self.prices(model, has_output=has_output), _tier(part)
        lane = FLEX if tier == FLEX else REALTIME
        if prices is None:
            return LineCost(0, False, lane)
        if tier == BATCH:  # only native batches have it, in results that Fanout writes
            cost = self.batch_prices(model, prices).cost(usage)
            return LineCost(cost, True, NATIVE, max(0, prices.cost(usage) - cost))
        cost = prices.cost(usage, tier)
        saved = max(0, prices.cost(usage) - cost) if lane == FLEX else 0
        return LineCost(cost, prices.knows(tier), lane, saved)

    def batch_prices(self, model: str, prices: TokenPrices) -> TokenPrices:
        """What the model's native batches cost; of several deployments, the most expensive one."""
        if prices.batch is not None:
            return prices.batch
        if model not in self._batch_prices:
            from ..providers.registry import native_batches  # only jobs with batches need it

            found = [
                batches.price_factor
                for one in self.catalog.find(model)
                if (batches := native_batches(one.provider.name, one.target)) is not None
            ]
            cheaper = [factor for factor in found if factor < 1]
            self._batch_prices[model] = prices.of_batch(max(cheaper, default=1.0))
        return self._batch_prices[model]


NOTHING = LineCost(0)


def _tier(part: Mapping[str, Any]) -> str | None:
    tier = part.get("service_tier")
    return tier if isinstance(tier, str) else None
