"""The rate limit state of all models, in SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from ...errors import StorageBusy, StorageError
from ..pacing.limits import Limits, add_learned, read_learned
from ..pacing.rate_limiter import Reservation, State, advance
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

    def __init__(self, database: Database) -> None:
        self._db = database
        self._cache: dict[str, _Cached] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    async def reserve(self, model: str, reservations: list[Reservation], now: float) -> float:
        """Reserve in one transaction; without reservations, return the end of the model's pause."""
        if not reservations:
            return max(now, (await self._cached(model, now)).state.get("pause", 0.0))
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
            await _unless_busy(lambda: self._db.change_rate_limit_state(model, change))
        except StorageError:
            state = change((await self._cached(model, now)).state)
            self._cache[model] = _Cached(now, state, read_learned(state, now))

    async def _cached(self, model: str, now: float) -> _Cached:
        """The state; of all lines that need it anew, one reads it and the others wait for that."""
        if found := self._recent(model, now):
            return found
        async with self._reading.setdefault(model, asyncio.Lock()):
            if found := self._recent(model, now):
                return found
            try:
                state = await _unless_busy(lambda: self._db.rate_limit_state(model))
            except StorageError:
                old = self._cache.get(model)
                state = old.state if old else {}
            found = self._cache[model] = _Cached(now, state, read_learned(state, now))
            return found

    def _recent(self, model: str, now: float) -> _Cached | None:
        cached = self._cache.get(model)
        return cached if cached and 0 <= now - cached.at < CACHE_SECONDS else None

    async def refund(self, model: str, reservation: Reservation) -> None:
        """Move the time of the next reservation back; nobody waits for it."""
        seconds = reservation.amount / reservation.rate
        self._db.move_back(model, reservation.kind, seconds).add_done_callback(_ignore_error)

    async def pause(self, model: str, until: float) -> None:
        """Keep the later of two pauses."""

        def later(state: State) -> State:
            return {**state, "pause": max(state.get("pause", until), until)}

        try:
            await _unless_busy(lambda: self._db.change_rate_limit_state(model, later))
            self._cache.pop(model, None)
        except StorageError:
            cached = self._cache.get(model, _Cached(until, {}, None))
            self._cache[model] = _Cached(cached.at, later(cached.state), cached.limits)

    async def learned_limits(self, model: str, now: float) -> Limits | None:
        """Read them from the state."""
        return (await self._cached(model, now)).limits

    def record_limits(self, model: str, deployment_id: str, limits: Limits, now: float) -> None:
        """Add them to the state, if they are new; nobody waits for it."""

        def add(state: State) -> State:
            return add_learned(state, deployment_id, limits, now)

        cached = self._cache.get(model)
        if cached is None or add(cached.state) != cached.state:
            self._cache.pop(model, None)
            self._db.change_rate_limit_state(model, add).add_done_callback(_ignore_error)

    async def flush(self) -> None:
        """Do nothing: all of it is shared already."""


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
