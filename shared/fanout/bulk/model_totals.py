"""What the lines of a job have used of each model. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from msgspec import Struct

MAX_MODELS = 50
"""Models of a job that count under their own names, those with the most lines."""

OTHER = "other"
"""The name under which all others count."""


class ModelTotals(Struct, frozen=True, array_like=True):
    """Lines that have called a model, and the nanodollars and tokens of these calls."""

    lines: int = 0
    cost: int = 0
    sent: int = 0
    received: int = 0

    def plus(self, more: ModelTotals, sign: int = 1) -> ModelTotals:
        """The sum, or with the `sign` -1 the difference, which may be negative."""
        return ModelTotals(
            self.lines + sign * more.lines,
            self.cost + sign * more.cost,
            self.sent + sign * more.sent,
            self.received + sign * more.received,
        )


NOTHING = ModelTotals()

ByModel: TypeAlias = Mapping[str, ModelTotals]


def plus(found: ByModel, more: ByModel, sign: int = 1) -> dict[str, ModelTotals]:
    """The sum of each model, or the difference; models with nothing are left out."""
    total = {**found}
    for name, one in more.items():
        added = total.get(name, NOTHING).plus(one, sign)
        if added == NOTHING:
            total.pop(name, None)
        else:
            total[name] = added
    return total


def named_models(models: Mapping[str, int]) -> Collection[str] | None:
    """
    The models of a job that count under their own names, by the lines of each; `None` for all.

    It depends on the job alone, so all its workers count in the same way.
    """
    if len(models) <= MAX_MODELS:
        return None
    most = sorted(models, key=lambda name: (-models[name], name))
    return frozenset(most[:MAX_MODELS])
