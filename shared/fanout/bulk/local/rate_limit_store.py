"""The rate limit state of all models, in SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ...errors import StorageBusy, StorageError
from ...transport.error_mapping import MAX_RETRY_AFTER
from ..pacing.estimated_limit import CALLS
from ..pacing.limits import Limits, add_learned, read_learned
from ..pacing.rate_limit_state import (
    Reservation,
    State,
    advance,
    believable,
    mark_written,
    refunded,
)
from .sqlite import Database

T = TypeVar("T")

CACHE_SECONDS = 1.0
"""Seconds for which a model's pause and learned limits are not read again."""

BUSY_PAUSE = 0.5
"""Seconds before a call is made again while another process writes to the database."""


class _Cached(NamedTuple):
    """A model's state, when it was read, and the learned limits in it."""

    at: float
    state: State
    limits: Limits | None


class SQLiteRateLimitStore:
    """
    The rate limit state of all models, for every process of this machine.

    Pauses and learned limits may be up to a second old. While the database cannot be used, for
    example on a full disk, this process goes by the state that it knows.
    """

    has_workers = False

    def __init__(self, database: Database, now: Callable[[], float] | None = None) -> None:
        self._db = database
        self._now = now
        self._cache: dict[str, _Cached] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    async def reserve(
        self,
        model: str,
        reservations: list[Reservation],
        now: float,
        waiting: int = 0,  # noqa: ARG002
    ) -> float:
        """Reserve in one transaction; without reservations, return the end of the model's pause."""
        if not reservations:
            cached = self._recent(model, now) or await self._cached(model, now)
            return max(now, cached.state.get("pause", 0.0))
        starts: list[float] = []

        def move(state: State) -> State:
            moved, start = advance(state, reservations, now)
            starts.append(start)
            return moved

        await self._change(model, move, now)
        return starts[-1]

    async def _change(self, model: str, change: Callable[[State], State], now: float) -> None:
        """Change the stored state; without a database, the known one."""
        try:
            await _unless_busy(
                lambda: self._db.change_rate_limit_state(model, _with_times(change, now))
            )
        except StorageError:
            state = change((await self._cached(model, now)).state)
            self._cache[model] = _Cached(now, state, read_learned(state, now))

    async def _cached(self, model: str, now: float) -> _Cached:
        """The state. If several lines need to read it, one does, and the others wait for that."""
        if found := self._recent(model, now):
            return found
        async with self._reading.setdefault(model, asyncio.Lock()):
            if found := self._recent(model, now):
                return found
            try:
                stored = await _unless_busy(lambda: self._db.rate_limit_state(model))
                state = believable(stored, now)
            except StorageError:
                old = self._cache.get(model)
                state = old.state if old else {}
            found = self._cache[model] = _Cached(now, state, read_learned(state, now))
            return found

    def _recent(self, model: str, now: float) -> _Cached | None:
        cached = self._cache.get(model)
        return cached if cached and 0 <= now - cached.at < CACHE_SECONDS else None

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Move the time of the next reservation back; no line waits for it."""
        if reservation.kind == CALLS:
            change = partial(refunded, reservation=reservation)
            self._db.change_rate_limit_state(model, change).add_done_callback(_ignore_error)
            return
        seconds = reservation.amount / reservation.rate
        self._db.move_back(model, reservation.kind, seconds).add_done_callback(_ignore_error)

    async def pause(self, model: str, until: float) -> None:
        """Keep the later of two pauses."""

        def later(state: State) -> State:
            known = state.get("pause", until)
            return {**state, "pause": known if until < known < until + MAX_RETRY_AFTER else until}

        try:
            change = _with_times(later, self._now()) if self._now else later
            await _unless_busy(lambda: self._db.change_rate_limit_state(model, change))
            self._cache.pop(model, None)
        except StorageError:
            cached = self._cache.get(model, _Cached(until, {}, None))
            self._cache[model] = _Cached(cached.at, later(cached.state), cached.limits)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Read them from the state."""
        return (self._recent(model, now) or await self._cached(model, now)).limits

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """Add them to the state, if they are new; no line waits for it."""

        def add(state: State) -> State:
            return add_learned(state, deployment_id, limits, now)

        cached = self._cache.get(model)
        if cached is None or add(cached.state) != cached.state:
            self._cache.pop(model, None)
            change = _with_times(add, now)
            self._db.change_rate_limit_state(model, change).add_done_callback(_ignore_error)

    async def state(self, model: str, now: float) -> State:
        """Read it again."""
        self._cache.pop(model, None)
        return (await self._cached(model, now)).state

    def note(self, model: str, numbers: Mapping[str, float], now: float) -> None:
        """Add them to the state; no line waits for it."""
        self._cache.pop(model, None)
        change = _with_times(lambda state: {**state, **numbers}, now)
        self._db.change_rate_limit_state(model, change).add_done_callback(_ignore_error)

    async def flush(self) -> None:
        """Do nothing: all of it is shared already."""


def _with_times(change: Callable[[State], State], now: float) -> Callable[[State], State]:
    """The change of a state whose times fit the clock; the result says when it was written."""
    return lambda state: mark_written(change(believable(state, now)), now)


async def _unless_busy(call: Callable[[], Awaitable[T]]) -> T:
    """The result of the call, which is made again while another process has the database."""
    while True:
        try:
            return await call()
        except StorageBusy:
            await asyncio.sleep(BUSY_PAUSE)


def _ignore_error(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()
