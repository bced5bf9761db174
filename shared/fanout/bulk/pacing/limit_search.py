"""
The search for a limit that is not stated: one worker begins, and the others follow.

While it is unknown whether a model has limits, one worker sends one line, and then a few more with
each response and second (`ramp.py`). The others wait for it. If it finds no limit, all go on at its
rate, which doubles until a 429 shows a limit, or it is so high that none is left to find.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from ...providers.rate_limits import MINUTE
from .estimated_limit import OTHERS, Estimate, read_estimate
from .ramp import Ramp
from .rate_limit_state import SEARCH, RateLimitStore, Reservation
from .recent_calls import RecentCalls
from .rejection import Rejection

SEARCH_SECONDS = 12.0
"""Seconds for which the others wait for the worker that searches, at most."""

LOOK_INTERVAL = 0.5
"""Seconds between two looks at whether its search is over."""

SHORTEST_WAIT = 0.001

SECOND = 1.0

RECENT = 2.0
"""The last seconds of a search that show its rate."""


class LimitSearch:
    """One worker's part in the search for the limits of all models."""

    def __init__(self, store: RateLimitStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._recent_calls: dict[str, RecentCalls] = {}
        self._ramps: dict[str, Ramp | None] = {}
        self._waited: set[str] = set()
        self._claims: dict[str, Reservation] = {}

    def recent_calls(self, model: str) -> RecentCalls:
        """The calls of a model that this worker made."""
        if (calls := self._recent_calls.get(model)) is None:
            calls = self._recent_calls[model] = RecentCalls()
        return calls

    async def ramp(self, model: str) -> Ramp | Literal["again"] | None:
        """
        The slow start in which this worker searches; `None` if there is nothing to search.

        If another worker searches, it waits a moment, and returns `again`.
        """
        if model in self._ramps:
            ramp = self._ramps[model]
            return None if ramp is None or ramp.is_over else ramp
        now = self._now()
        state = await self._store.state(model, now)
        is_shared = self._store.has_workers
        if is_shared and (wait := state.get(SEARCH, 0.0) - now) > SHORTEST_WAIT:
            if model not in self._waited:
                self._waited.add(model)
                self._store.note(model, {OTHERS: now}, now)
            await asyncio.sleep(min(wait, LOOK_INTERVAL))
            return "again"
        if await self._store.learned_limits(model, now) is not None:
            self._ramps[model] = None
            return None
        if not is_shared:
            ramp = self._ramps[model] = Ramp()
            return ramp
        claim = Reservation(SEARCH, 1.0, 1 / SEARCH_SECONDS, 0.0)
        if await self._store.reserve(model, [claim], now) > now + SHORTEST_WAIT:
            await self._store.refund(model, claim)
            return "again"
        self._claims[model] = claim
        asyncio.get_running_loop().call_later(
            SEARCH_SECONDS - LOOK_INTERVAL, self._hand_over, model
        )
        ramp = self._ramps[model] = Ramp()
        return ramp

    def is_settled(self, model: str) -> bool:
        """Whether there is nothing left to search, so that lines without a limit start at once."""
        if model not in self._ramps or model in self._claims:
            return False
        ramp = self._ramps[model]
        return ramp is None or ramp.is_over

    async def is_over(self, model: str) -> bool:
        """Whether this worker's search is over; if it has just found no limit, all go on."""
        ramp = self._ramps.get(model)
        if ramp is not None and not ramp.is_over:
            return False
        if model in self._claims:
            self._hand_over(model)
            await self._end(model)
        return True

    def _hand_over(self, model: str) -> None:
        """Let all workers go on at this one's rate, which it searched for until now."""
        if model not in self._claims:
            return
        clock, calls = asyncio.get_running_loop().time(), self.recent_calls(model)
        rate = max(calls.recent(clock, one) / one for one in (RECENT, SEARCH_SECONDS)) * MINUTE
        found = Estimate(rate, self._now(), minute=float(calls.recent(clock)))
        if rate > 0:
            self._store.note(model, found.restart, self._now())

    async def _end(self, model: str) -> None:
        """Let the other workers go on."""
        if (ramp := self._ramps.get(model)) is not None:
            ramp.end()
        if claim := self._claims.pop(model, None):
            await self._store.refund(model, claim)

    async def rejected(
        self,
        model: str,
        started: float,
        clock: float,
        retry_after: float | None,
        size: float,
    ) -> float:
        """
        Make a new estimate after a 429; returns until when all workers are to pause.

        `started` is when its call began, by the `clock` that is that now. `size` is the
        call's, 1 for the mean one, or if the limit is known to be none of tokens.
        """
        now, calls = self._now(), self.recent_calls(model)
        state = await self._store.state(model, now)
        known = read_estimate(state, now)
        rejection = Rejection(now - (clock - started), now, retry_after, size)
        peak = calls.recent(clock, SECOND) * MINUTE
        found = rejection.after(known, state, calls.recent(clock) - 1, peak)
        if found is not None:
            is_new = known is None or found.at != known.at
            self._store.note(model, found.restart if is_new else found.numbers, now)
        await self._end(model)
        return 0.0 if found is None else found.at
