"""
Settlements that the store did not accept: they are made in the background, when it responds again.

They end with the process, and when the request counts as crashed: then its row stays open, and a
sweep charges what it had reserved.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..errors import BudgetHeld, FanoutError, StorageBusy
from .account import BudgetReservation, Need
from .items import Item

if TYPE_CHECKING:
    from .ledger import KeyLedger

FIRST_PAUSE, MAX_PAUSE = 0.5, 15.0
"""Seconds between two attempts; each pause is twice the one before."""

MARGIN = 15.0
"""Seconds before the request counts as crashed, in which its settlement is not tried any more."""

LAST_ATTEMPT = 2.0
"""Seconds that all settlements have at the process's end."""

MAX_WAITING = 10_000


class Settlement:
    """
    The writes that settle a request, each of which is made once.

    `run` may be called again after an error. If the account may have changed already, only a
    sweep can tell, so it is not changed again.
    """

    def __init__(self, ledger: KeyLedger, held: BudgetReservation, row: Mapping[str, Any]) -> None:
        self.held = held
        self.is_open = False
        self._ledger = ledger
        self._row = row
        self._closed: Mapping[str, Any] = {}
        self._cost = self._tokens = 0
        self._is_closed = False
        self._uncounted = [one for one in (held, held.shared) if one is not None]

    async def open(self) -> None:
        """Write the open row, before the call or after it."""
        if not self.is_open:
            await self._ledger.open(self.held, self._row)
            self.is_open = True

    async def extend(self, items: Sequence[Item], cost: int) -> None:
        """
        Reserve so much more of the accounts, which are `items`, in the same row.

        Raises a `FanoutError` if that is not possible.
        """
        await self.open()
        held, ledger = self.held, self._ledger
        need = replace(held.need, cost=held.need.cost + cost)
        parts = [one for one in (held, held.shared) if one is not None]
        more: list[BudgetReservation] = []
        try:
            for item, one in zip(items, parts, strict=True):
                found, _ = await ledger.claim(item, Need(cost, requests=0), lambda _: None)
                more.append(found)
                if found.window != one.window:
                    raise BudgetHeld("the budget has a new window")
            await ledger.enlarge(held.row, need.cost)
        except FanoutError:
            for found in more:
                with suppress(FanoutError):  # a sweep does it
                    await ledger.count(found, 0, 0)
            raise
        self._uncounted = [replace(one, need=need, shared=None) for one in parts]
        shared = None if held.shared is None else self._uncounted[1]
        self.held = self._uncounted[0] = replace(self._uncounted[0], shared=shared)

    def set(self, cost: int, tokens: int, closed: Mapping[str, Any]) -> None:
        """What the request has cost, and the fields of its closed row."""
        self._cost, self._tokens, self._closed = cost, tokens, closed

    async def run(self) -> None:
        """Make the writes that are left."""
        await self.open()
        if not self._is_closed:
            self._is_closed = await self._ledger.close_row(
                self.held, self._cost, self._tokens, self._closed, "settled"
            )
            if not self._is_closed:  # a sweep has closed it
                self._uncounted.clear()
        while self._uncounted:
            one = self._uncounted.pop(0)
            try:
                await self._ledger.count(one, self._cost, self._tokens)
            except StorageBusy:  # nothing was written
                self._uncounted.insert(0, one)
                raise


class LateSettlements:
    """The settlements of one ledger that wait for its store, and the task that makes them."""

    def __init__(self, ledger: KeyLedger) -> None:
        self._ledger = ledger
        self._waiting: deque[Settlement] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, settlement: Settlement) -> None:
        """Make it when the store responds."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(settlement)
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Try each a last time."""
        if self._task is not None:
            self._task.cancel()
            with suppress(TimeoutError, FanoutError):
                async with asyncio.timeout(LAST_ATTEMPT):
                    await self._settle_all()

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while self._waiting:
            await asyncio.sleep(pause)
            try:
                await self._settle_all()
            except FanoutError:
                pause = min(2 * pause, MAX_PAUSE)

    async def _settle_all(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if first.held.lease_until - self._ledger.now() > MARGIN:
                await first.run()
            self._waiting.popleft()
