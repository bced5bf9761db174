"""The native batches of a planned job. A quote decides on them here, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from ...telemetry.prices import to_dollars
from ..costs import Costs
from ..input.estimates import estimate_cost
from ..input.planner import LineError
from ..input.quote import not_native
from ..lanes import LaneChoice, NativeChoice
from .ledger import BatchEntry
from .planned import BatchPlan, Choice, Label
from .realtime import line_backlog

MAX_REASONS = 3


def asks_for_batches(lane: LaneChoice, native: NativeChoice) -> bool:
    """Whether the user chose batches, also to save little."""
    return lane == "native" or native == "require"


def choice_of(
    costs: Costs,
    *,
    now: float,
    window: float,
    expires_at: float,
    is_asked: bool,
    tries_one: bool,
    is_over: Callable[[], bool] = lambda: False,
) -> Choice:
    """The choice of a job; each line costs what it reserves under a cost cap."""
    estimate, backlog = partial(estimate_cost, costs), line_backlog(costs.catalog)
    return Choice(
        now,
        window,
        expires_at,
        lambda one: backlog(one.line, one.size),
        lambda one: estimate(one.line, one.size),
        is_asked,
        tries_one,
        is_over,
    )


def chosen_batches(
    plan: BatchPlan,
    job: str,
    native: NativeChoice,
    max_cost: int | None,
    *,
    is_within: bool,
) -> Mapping[Label, BatchEntry] | LineError:
    """
    The batches of a planned job; its error if a line may not go by one although it must.

    With `is_within`, all batches together cost at most `max_cost` nanodollars in real time.
    """
    rows = plan.rows(job)
    if native == "require":
        if plan.reasons:
            return _required(plan.reasons)
        if (error := _over_cap(max_cost, rows.values())) is not None:
            return error
    return rows if max_cost is None or not is_within else _within(rows, max_cost)


def _within(rows: Mapping[Label, BatchEntry], most: int) -> dict[Label, BatchEntry]:
    """The rows that cost at most so many nanodollars together, the first ones first."""
    found: dict[Label, BatchEntry] = {}
    for label, row in rows.items():
        if row.estimate <= most:
            most -= row.estimate
            found[label] = row
    return found


def _required(reasons: Counter[str]) -> LineError:
    """The error of a job whose lines must all go by batches, and do not."""
    shown = "; ".join(
        f"{count} line{'' if count == 1 else 's'}: {why}"
        for why, count in reasons.most_common(MAX_REASONS)
    )
    return not_native(reasons.total(), f" ({shown})", " Nothing was sent.")


def _over_cap(max_cost: int | None, rows: Iterable[BatchEntry]) -> LineError | None:
    """The error of a job whose batches may cost more than its cap: some would go in real time."""
    most = sum(row.estimate for row in rows)
    if max_cost is None or most <= max_cost:
        return None
    message = (
        f"The lines may cost {to_dollars(most):g} US dollars, more than `max_cost_usd` "
        f"({to_dollars(max_cost):g}), so not all of them can go by their provider's own batches. "
        "Nothing was sent. Raise the cap, or use `auto` to send what fits."
    )
    return LineError("native_not_possible", message, "max_cost_usd", None)
