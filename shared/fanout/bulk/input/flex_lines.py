"""Which lines of a job may be on a provider's flex tier, by their form and their model's prices."""

from __future__ import annotations

from ...config.catalog import Catalog
from ...errors import FanoutError
from ...routing.flex import has_flex
from ...telemetry.prices import FLEX
from ..lanes import WITH_FLEX, LaneChoice
from .estimates import CHECKS, conversations_of, models_of, tier_of
from .line_parser import Line


def flex_model(line: Line, choice: LaneChoice) -> str | None:
    """
    The model of a line that may be on the flex tier if its model has one; else `None`.

    Such a line has one model and one conversation. It asks for the tier itself, or names none and
    the job chooses it. A race is for speed, and a checked response takes several calls, so these
    are sent in real time.
    """
    tier = tier_of(line)
    if tier != FLEX and (choice not in WITH_FLEX or line.body.get("service_tier") is not None):
        return None
    names = models_of(line)
    if len(names) != 1 or len(conversations_of(line)) != 1 or _is_special(line):
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


TOGETHER = frozenset({"race", "hedge", "agree", "best", "merge"})
"""The modes in which several models are called at once."""


def _is_special(line: Line) -> bool:
    """Whether it is a race, or its response is to be checked."""
    given = line.body.get("fanout")
    fanout = given if isinstance(given, dict) else {}
    is_race = bool(line.body.get("fastest_response")) or fanout.get("mode") in TOGETHER
    return is_race or not CHECKS.isdisjoint(fanout)
