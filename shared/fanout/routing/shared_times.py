"""
Counts the times to the first content, and the hedges, together with other processes.

A process adds what it has counted to a store and reads the sum: every `INTERVAL` seconds if there
is something new, after each hedge, and when it first uses a model. No request waits for that, but
for the first hedge of a process, which needs to know what the others have used of the budget.

Loaded for the first request that asks for a hedge by these times.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from .first_token_times import FirstTokenTimes

INTERVAL = 10.0
"""Seconds between two additions of a process, unless there is a hedge that others must know."""

MOST_KEYS = 24
"""
Keys that one addition writes beside the budget: models and sizes of requests.

The others wait for the next addition.
"""

PATIENCE = 1.0
"""Seconds that an addition may take; what is left then is added by the next one."""

Stored: TypeAlias = tuple[float, Mapping[str, int], Mapping[str, int]]
"""When a slot began, in seconds since 1970, its counts, and those of the slot before."""


class CountStore(Protocol):
    """Counts by key and name that processes share; each key has a slot and the one before it."""

    async def add(self, key: str, counts: Mapping[str, int], now: float) -> Stored:
        """Add to the slot of this key, which begins `now` if there is none; all that is stored."""
        ...

    async def turn(self, key: str, old: Stored, now: float) -> None:
        """Begin the next slot of this key, unless another process has."""
        ...


class SharedTimes:
    """
    Adds the changes of `times` to a store.

    If the store cannot be used, this process goes by its own counts; `report` gets the first error.
    """

    def __init__(
        self,
        times: FirstTokenTimes,
        store: CountStore,
        now: Callable[[], float],
        report: Callable[[str, BaseException], None] = lambda _, __: None,
    ) -> None:
        self._times = times
        self._store = store
        self._now = now
        self._report = report
        self._is_reported = False
        self._last: float | None = None
        self._turn = asyncio.Lock()
        times.sharing = self

    async def before_first_hedge(self) -> None:
        """Read what others have used of the budget, if this process has not read it yet."""
        async with self._turn:
            if self._last is None:
                await self._share()

    async def share_if_due(self) -> None:
        """
        Share what is new, if `INTERVAL` is over or others must know it at once.

        Of several requests that end meanwhile, none waits for the one that shares.
        """
        if self._turn.locked():
            return
        is_over = self._last is None or not 0 <= self._now() - self._last < INTERVAL
        if is_over or self._times.is_urgent:
            await self.share()

    async def keep_sharing(self) -> None:
        """Share what is new, when it is due, until cancelled."""
        while True:
            await self.share_if_due()
            await asyncio.sleep(1.0)

    async def share(self) -> None:
        """Add what this process has counted, and use the sum."""
        async with self._turn:
            await self._share()

    async def _share(self) -> None:
        changes = self._times.take_changes(MOST_KEYS)
        try:
            async with asyncio.timeout(PATIENCE):
                while changes:
                    key, counts = next(iter(changes.items()))
                    await self._add(key, counts)
                    del changes[key]
            self._last = self._now()
        except Exception as error:  # noqa: BLE001 -- requests do not depend on it
            self._last = self._now()
            if not self._is_reported:
                self._is_reported = True
                self._report("", error)
        finally:
            for key, counts in changes.items():
                self._times.put_back(key, counts)

    async def _add(self, key: str, counts: Counter[str]) -> None:
        now = self._now()
        stored = await self._store.add(key, counts, now)
        since, current, previous = stored
        if self._times.is_over(key, since, current):
            await self._store.turn(key, stored, now)
            since, current, previous = now, {}, current
        self._times.set_shared(key, since, current, previous)
