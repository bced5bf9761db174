"""Which lines of a job may be on a provider's flex tier, by their form and their model's prices."""

from __future__ import annotations

from ...config.catalog import Catalog
from ...errors import FanoutError
from ...routing.flex import has_flex
from ...telemetry.prices import FLEX
from ..lanes import REALTIME, LaneChoice
from .estimates import conversations_of, models_of, tier_of
from .lines import Line


def flex_model(line: Line, choice: LaneChoice) -> str | None:
    """
    The model of a line that may be on the flex tier if its model has one; else `None`.

    Such a line has one model and one conversation. It asks for the tier itself, or names none and
    the job chooses it. A race is for speed, so it is sent in real time.
    """
    tier = tier_of(line)
    if tier != FLEX and (choice == REALTIME or line.body.get("service_tier") is not None):
        return None
    names = models_of(line)
    if len(names) != 1 or len(conversations_of(line)) != 1 or _is_race(line):
        return None
    return names[0]


def offers_flex(catalog: Catalog, name: str) -> bool:
    """Whether a deployment of this one model has a flex tier that is cheaper."""
    if name in catalog.routes.sets:
        return False
    try:
        return any(map(has_flex, catalog.find(name)))
    except FanoutError:
        return False


def _is_race(line: Line) -> bool:
    fanout = line.body.get("fanout")
    mode = fanout.get("mode") if isinstance(fanout, dict) else None
    return bool(line.body.get("fastest_response")) or mode in {"race", "hedge"}
