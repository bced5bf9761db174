"""
The rate limit state of models, and its store: GCRA, the leaky bucket as one number.

A model's state holds, for requests and for tokens, the time at which the next reservation may
start. Each reservation moves that time on by what it takes at the allowed rate. So it is first
come, first served, and nothing polls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import Protocol

from msgspec import Struct

from ...transport.error_mapping import MAX_RETRY_AFTER
from .estimated_limit import AT, BEGAN, CALLS, CALLS_MADE, OTHERS, REJECTED_AT
from .limits import LEARNED_AT, Limits, add_learned, read_learned

State = dict[str, float]
"""
A model's rate limit state.

`requests`, `tokens`, `calls` and `search` are the times of the next reservation, `pause` the end of
a `Retry-After`; `limits.py` adds the learned limits and `estimated_limit.py` an estimate. `written`
is when a store of one machine last changed it.
"""

WRITTEN = "written"
CLOCK_TOLERANCE = 5.0
"""Seconds by which a stored time may be ahead of the clock, which is set all the time."""

MAX_AHEAD = 1800.0
"""Seconds in which the next reservation may start; a later time is not believed."""


SEARCH = "search"
"""The kind of reservation of the worker that looks for a model's unknown limits."""

_NEXT = ("requests", "tokens", CALLS, SEARCH)
_TIMES = frozenset({*_NEXT, "pause", WRITTEN, AT, REJECTED_AT, BEGAN, OTHERS})
_LATEST = dict.fromkeys(_NEXT, MAX_AHEAD) | {"pause": MAX_RETRY_AFTER, AT: MAX_RETRY_AFTER}
"""How many seconds ahead a time may be; all others are times of the past."""


class Reservation(Struct, frozen=True):
    """An `amount` of requests or tokens (`kind`), at `rate` a second and with `burst` at once."""

    kind: str
    amount: float
    rate: float
    burst: float


class RateLimitStore(Protocol):
    """
    The state of all models, shared by all workers.

    `has_workers` says whether many workers usually share it, and not one process after another.
    """

    has_workers: bool

    async def reserve(
        self, model: str, reservations: list[Reservation], now: float, waiting: int = 0
    ) -> float:
        """
        Make all reservations together, and return the time from which they may be used.

        `waiting` is how many lines of this worker wait for the next ones.
        """
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

    async def state(self, model: str, now: float) -> State:
        """The state of a model as it is now, with what this worker has noted."""
        ...

    def note(self, model: str, numbers: Mapping[str, float], now: float) -> None:
        """Share numbers of a model's state, at the latest with the next reservation or pause."""
        ...

    async def flush(self) -> None:
        """Return what this worker holds of the shared state; the worker is done."""
        ...


class RateLimitUnavailable(Exception):
    """The store could not be read or written; no line is at fault."""


def unavailable(model: str) -> RateLimitUnavailable:
    """The error of a store that could not be read or written for this model."""
    return RateLimitUnavailable(f"cannot read or write the rate limits of `{model}`")


@contextmanager
def store_errors(model: str) -> Iterator[None]:
    """Raise `RateLimitUnavailable` for anything that the store raises inside the block."""
    try:
        yield
    except Exception as error:
        raise unavailable(model) from error


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
    made = sum(r.amount for r in reservations if r.kind == CALLS)
    if made:
        moved[CALLS_MADE] = state.get(CALLS_MADE, 0.0) + made
    return {**state, **moved}, start


def refunded(state: Mapping[str, float], reservation: Reservation) -> State:
    """The state without what was reserved and is not used."""
    kind, amount = reservation.kind, reservation.amount
    if kind not in state:
        return {**state}
    back = {kind: state[kind] - amount / reservation.rate}
    if kind == CALLS:
        back[CALLS_MADE] = state.get(CALLS_MADE, 0.0) - amount
    return {**state, **back}


def believable(state: Mapping[str, float], now: float) -> State:
    """
    The state by this machine's clock of now, which may have gone back since it was written.

    Its times then go back as far. What still lies further in the future than it could is left out,
    and so is what is no number.
    """
    kept = {kind: at for kind, at in state.items() if isinstance(at, (int, float)) and isfinite(at)}
    if (ahead := kept.get(WRITTEN, now) - now) > CLOCK_TOLERANCE:
        kept = {kind: at - ahead if _is_time(kind) else at for kind, at in kept.items()}
    return {
        kind: at
        for kind, at in kept.items()
        if at - now <= CLOCK_TOLERANCE  # this holds for most, and takes the least time
        or not _is_time(kind)
        or at - now <= _LATEST.get(kind, 0.0) + CLOCK_TOLERANCE
    }


def _is_time(kind: str) -> bool:
    return kind in _TIMES or kind.startswith(LEARNED_AT)


def mark_written(state: State, now: float) -> State:
    """The state with the time of its last change, to the second."""
    return state if 0 <= now - state.get(WRITTEN, 0.0) < 1 else {**state, WRITTEN: now}


class MemoryRateLimitStore:
    """The state in memory, for the workers of one process."""

    has_workers = True

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def _state(self, model: str, now: float) -> State:
        return believable(self._states.get(model, {}), now)

    async def reserve(
        self,
        model: str,
        reservations: list[Reservation],
        now: float,
        waiting: int = 0,  # noqa: ARG002
    ) -> float:
        """Move the model's times on."""
        state, start = advance(self._state(model, now), reservations, now)
        self._states[model] = mark_written(state, now)
        return start

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Move the time back."""
        self._states[model] = refunded(self._states[model], reservation)

    async def pause(self, model: str, until: float) -> None:
        """Keep the later of two pauses."""
        state = self._states.setdefault(model, {})
        state["pause"] = max(state.get("pause", 0.0), until)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Read them from the state."""
        return read_learned(self._state(model, now), now)

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """Add them to the state."""
        state = add_learned(self._state(model, now), deployment_id, limits, now)
        self._states[model] = mark_written(state, now)

    async def state(self, model: str, now: float) -> State:
        """Return it."""
        return self._state(model, now)

    def note(self, model: str, numbers: Mapping[str, float], now: float) -> None:
        """Add them to the state."""
        self._states[model] = mark_written({**self._state(model, now), **numbers}, now)

    async def flush(self) -> None:
        """Do nothing: all of it is shared already."""
