"""
The rate limit state of models, and its store: GCRA, the leaky bucket as one number.

A model's state holds, for requests and for tokens, the time at which the next reservation may
start. Each reservation moves that time on by what it takes at the allowed rate. So it is first
come, first served, and nothing polls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from .limits import Limits, add_learned, read_learned

State = dict[str, float]
"""
A model's rate limit state.

`requests` and `tokens` are the times of the next reservation, `pause` the end of a `Retry-After`;
`limits.py` adds the learned limits.
"""


class Reservation(Struct, frozen=True):
    """An `amount` of requests or tokens (`kind`), at `rate` a second and with `burst` at once."""

    kind: str
    amount: float
    rate: float
    burst: float


class RateLimitStore(Protocol):
    """The state of all models, shared by all workers."""

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Make all reservations together, and return the time from which they may be used."""
        ...

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Return an amount that was not used; a negative amount was used in addition."""
        ...

    async def pause(self, model: str, until: float) -> None:
        """Let no reservation start before that time."""
        ...

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """
        What any worker learned of the model in the last day; up to a second or so old.

        `None` if no worker has had a response from it. If responses had no limits, empty limits.
        """
        ...

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """
        Share what a response of one deployment says, at the latest with the next reservation.

        It may be called for each response.
        """
        ...

    async def flush(self) -> None:
        """Return what this worker holds of the shared state; the worker is done."""
        ...


def advance(
    state: Mapping[str, float], reservations: list[Reservation], now: float
) -> tuple[State, float]:
    """The state after the reservations, and when they may start; every store uses this."""
    bases = {r.kind: max(state.get(r.kind, 0.0), now - r.burst / r.rate) for r in reservations}
    start = max([now, state.get("pause", 0.0), *bases.values()])
    # A reservation that waits for another one still uses the rate at the time it starts.
    moved = {
        r.kind: max(bases[r.kind], start - r.burst / r.rate) + r.amount / r.rate
        for r in reservations
    }
    return {**state, **moved}, start


class MemoryRateLimitStore:
    """The state in memory, for the workers of one process."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Move the model's times on."""
        state = self._states.get(model, {})
        self._states[model], start = advance(state, reservations, now)
        return start

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Move the time back."""
        self._states[model][reservation.kind] -= reservation.amount / reservation.rate

    async def pause(self, model: str, until: float) -> None:
        """Keep the later of two pauses."""
        state = self._states.setdefault(model, {})
        state["pause"] = max(state.get("pause", 0.0), until)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Read them from the state."""
        return read_learned(self._states.get(model, {}), now)

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """Add them to the state."""
        state = self._states.get(model, {})
        self._states[model] = add_learned(state, deployment_id, limits, now)

    async def flush(self) -> None:
        """Do nothing: all of it is shared already."""
