"""
The delays of an adaptive hedge: each model gets the 95th percentile of its own times, lately.

Loaded for the first request with `stagger: p95` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import time

from msgspec.structs import replace

from ..config.catalog import Catalog
from ..errors import FanoutError
from ..routing.first_token_times import FirstTokenTimes
from ..routing.leg import Leg
from ..schema.fanout import FanOutRequest
from ..telemetry.observers import DecisionRecord, NullObserver, Observer


def first_token_times(catalog: Catalog) -> FirstTokenTimes:
    """The times of a gateway, from now on; the clock is one that processes share."""
    return FirstTokenTimes(catalog.balancing.hedge_budget, time)


class HedgeDelays:
    """The delays between the models of one cell, whose `legs` are in the order of their start."""

    def __init__(
        self, times: FirstTokenTimes, legs: Sequence[Leg], observer: Observer | None = None
    ) -> None:
        self._times, self._legs = times, legs
        self._observer = observer or NullObserver()
        times.count_call()
        for leg in legs:
            leg.times = times

    def delay(self, index: int) -> float:
        """Seconds that the model before it usually needs, or more in one of twenty cases."""
        leg = self._legs[index - 1]
        return self._times.delay(leg.model, leg.size)

    async def allows(self, index: int) -> bool:
        """Whether the budget of extra calls allows this one; a failure starts it anyway."""
        del index
        if self._times.sharing is not None:
            await self._times.sharing.before_first_hedge()
        is_allowed = self._times.take()
        leg, outcome = self._legs[0], "started" if is_allowed else "withheld"
        self._observer.decision(DecisionRecord(leg.request_id, leg.mode, outcome))
        return is_allowed


def other_providers_first(request: FanOutRequest, catalog: Catalog) -> FanOutRequest:
    """
    The request with its models ordered so that the second one is of another provider, if it can be.

    When one model of a provider is slow, its others often are.
    """
    first, *rest = request.models
    own = _provider(first, catalog)
    others = [name for name in rest if _provider(name, catalog) != own]
    ordered = (first, *others, *(name for name in rest if name not in others))
    return request if ordered == request.models else replace(request, models=ordered)


def _provider(name: str, catalog: Catalog) -> str:
    try:
        return catalog.find(name)[0].provider.name
    except FanoutError:
        return name
