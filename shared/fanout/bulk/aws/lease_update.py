"""
The update that takes a lease of a model's rate limits, as `advance` of `rate_limit_state.py` does.

Each kind of limit has two numbers in the item: `requests` is the time of the next reservation, and
`requests burst` is later by what may be used at once. `advance` moves a kind's time on from itself,
from now, or from the other kind's time if that is later. This module says which of these holds by
the state that the worker knows, and the update's conditions say so to DynamoDB. If they do not hold
any more, DynamoDB returns the present state, and the next attempt goes by that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..pacing.estimated_limit import CALLS, CALLS_MADE
from ..pacing.rate_limit_state import Reservation, State
from .number_update import Condition, NumberUpdate, Sum

PAUSE = "pause"
WRITES = "writes"
"""The attribute that counts the leases of all workers, so that each sees how many there are."""


def burst_attribute(kind: str) -> str:
    """The attribute with a kind's time plus its burst."""
    return f"{kind} burst"


def lease_update(
    state: State,
    reservations: Sequence[Reservation],
    left: Mapping[str, float],
    now: float,
    calls_left: float = 0.0,
) -> NumberUpdate:
    """
    Move each kind's time on by its reservation, less the seconds `left` of the lease before.

    Calls at an estimated rate are counted, less the `calls_left`.

    `state` is what the worker knows of the item; it may be old.
    """
    earliest = max(now, state.get(PAUSE, 0.0))
    known = [r.kind for r in reservations if {r.kind, burst_attribute(r.kind)} <= state.keys()]
    latest = max(known, key=state.__getitem__, default=None)
    if latest is not None and state[latest] <= earliest:
        latest = None
    conditions = [_at_most(PAUSE, earliest, state)]
    sets: dict[str, Sum] = {}
    for r in reservations:
        burst = r.burst / r.rate
        step = r.amount / r.rate - left.get(r.kind, 0.0)
        base, needed = _base(r.kind, known, latest, earliest, state)
        if base.attribute != r.kind:
            step -= burst
        conditions += needed
        sets[r.kind] = Sum(base.attribute, base.plus + step)
        sets[burst_attribute(r.kind)] = Sum(base.attribute, base.plus + step + burst)
    others = {kind: seconds for kind, seconds in left.items() if kind not in sets}
    add = {WRITES: 1.0, **settle_update(others, calls_left).add}
    if calls := sum(r.amount for r in reservations if r.kind == CALLS) - calls_left:
        add[CALLS_MADE] = calls
    return NumberUpdate(sets, add, tuple(dict.fromkeys(conditions)))


def _base(
    kind: str, known: list[str], latest: str | None, earliest: float, state: State
) -> tuple[Sum, list[Condition]]:
    """From where a kind's time moves on, and the conditions that say so."""
    others = [one for one in known if one != kind]
    burst = burst_attribute(kind)
    if kind not in known:
        conditions = [Condition(kind, "missing")]
    elif state[burst] >= max([earliest, *(state[one] for one in others)]):
        own = [Condition(burst, ">=", one) for one in others]
        return Sum(kind, 0.0), [Condition(burst, ">=", earliest), *own]
    elif latest is None:
        conditions = [Condition(burst, "<", earliest)]
    else:
        conditions = [Condition(burst, "<", latest)]
    if latest is None:
        return Sum(None, earliest), [
            *conditions,
            *(_at_most(one, earliest, state) for one in others),
        ]
    later = [Condition(latest, ">=", one) for one in others if one != latest]
    return Sum(latest, 0.0), [*conditions, Condition(latest, ">=", earliest), *later]


def _at_most(attribute: str, time: float, state: State) -> Condition:
    if attribute in state:
        return Condition(attribute, "<=", time)
    return Condition(attribute, "missing")


def settle_update(left: Mapping[str, float], calls_left: float = 0.0) -> NumberUpdate:
    """Move times back by the seconds that are left of a lease, or on by those it has overused."""
    steps = {kind: -seconds for kind, seconds in left.items() if seconds}
    calls = {CALLS_MADE: -calls_left} if calls_left else {}
    bursts = {burst_attribute(kind): step for kind, step in steps.items()}
    return NumberUpdate(add=steps | bursts | calls)
