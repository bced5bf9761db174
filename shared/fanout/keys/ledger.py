"""
The ledger of keys: authenticates a key, reserves what a request may cost, and settles what it cost.

A reservation is one conditional write. Each has a spend row, whose status goes from `open` to
`settled` or `lost` exactly once, and with it the account. A process that crashes in between leaves
an account with too little available, never with too much, and `sweep` corrects that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, tzinfo
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from ..errors import BudgetHeld, FanoutError, StorageBusy, Unauthorized
from .account import (
    ACCOUNT,
    UNKNOWN_KEY,
    BudgetReservation,
    Need,
    account_key,
    account_of,
    reaches_soft_budget,
    reserve,
    settlements,
)
from .items import Condition, Item, ItemKey, Store, Update, UpdateConflict
from .late_settlements import LateSettlements
from .spend_rows import members_of, open_reservation, row_name, row_partition
from .sweep import sweep

TRIES = 20
"""
Times that an update is computed. It is rejected only if the account's rights, window or minute
have changed since it was read, each of which happens once.
"""

SWEEP_INTERVAL = 60.0
"""Seconds between two sweeps of an account by one process, for refused requests."""

HASH = re.compile("[0-9a-f]{64}")

MAX_SWEPT = 1_000
"""Accounts of which a process remembers when it has swept them."""

NOTHING_RESERVED = Need(0, requests=0)


def digest_of(key: str) -> str:
    """LiteLLM's hash of a key, so that its keys can be imported: SHA-256 of all of it, in hex."""
    return sha256(key.encode()).hexdigest()


def hash_of(key: str) -> str:
    """The hash of a key, or of its hash."""
    return key if HASH.fullmatch(key) else digest_of(key)


class KeyLedger:
    """
    Accounts and spend rows in a store; `lease` is the most seconds that a request may take.

    `on_soft_budget` is called with an account whose spend reaches its soft budget, once a window.
    """

    def __init__(
        self,
        store: Store,
        *,
        lease: float,
        zone: tzinfo = UTC,
        now: Callable[[], float] = time.time,
        name: Callable[[float], str] = row_name,
    ) -> None:
        self.store = store
        self.zone = zone
        self.now = now
        self.on_soft_budget: Callable[[Item], object] = lambda _: None
        self._lease = lease
        self._name = name
        self.late = LateSettlements(self)
        self._swept: dict[str, float] = {}

    # ---- accounts ----

    async def find(self, digest: str) -> Item | None:
        """The account of a key with this hash, also of one that was replaced and still works."""
        item = await self.store.get(account_key(digest))
        if item is None:
            return None
        if "account" not in item:
            return item if item["until"] > self.now() else None
        link, item = item, await self.store.get(account_key(item["account"]))
        if item is None or link["made"] != item["made"]:  # of an account that is deleted
            return None
        is_valid = item["token"] == digest or link["until"] > self.now()
        return item if is_valid else None

    async def find_key(self, key: str) -> Item | None:
        """The account of a key, or of its hash."""
        return await self.find(hash_of(key))

    async def authenticate(self, digest: str) -> Item:
        """
        The account of a key with this hash; raises `Unauthorized`.

        The work is the same for unknown keys.
        """
        item = await self.find(digest)
        if item is None or item["blocked"] or item["expires_at"] <= self.now():
            raise Unauthorized(UNKNOWN_KEY)
        return item

    # ---- one request ----

    async def reserve(
        self, item: Item, need: Need, row: Mapping[str, Any], check: Callable[[Item], object]
    ) -> tuple[BudgetReservation, Item]:
        """`claim`, and `open` the spend row with the fields of `row`."""
        held, state = await self.claim(item, need, check)
        await self.open(held, row)
        return held, state

    async def claim(
        self, item: Item, need: Need, check: Callable[[Item], object]
    ) -> tuple[BudgetReservation, Item]:
        """
        Authorize and count a request, and reserve its cost; returns the account after that, too.

        `item` is the account as it was read. If its rights have changed since, `check` decides on
        the new ones. Raises `Unauthorized`, `BudgetExceeded`, `BudgetHeld` or `KeyRateLimited`, and
        what `check` raises.
        """
        is_new, key = False, account_key(item["id"])
        for _ in range(TRIES):
            check(item)
            at = self.now()
            update = reserve(item, need, at, self._lease, self.zone)
            if isinstance(update, FanoutError):
                if is_new and not await self._is_swept(item, update):
                    raise update
                item, is_new = await self._read(key), True
                continue
            try:
                state = await self.store.update(update)
            except UpdateConflict as rejected:
                if rejected.item is None:
                    raise Unauthorized(UNKNOWN_KEY) from None
                item, is_new = rejected.item, True
                continue
            where = ItemKey(row_partition(state["id"], at), self._name(at))
            until, counted = int(at + self._lease) + 1, (state["window"], state["minute"])
            return BudgetReservation(key, where, need, *counted, until, at), state
        raise StorageBusy(ACCOUNT, "the account changes too often")

    async def open(self, held: BudgetReservation, row: Mapping[str, Any]) -> None:
        """Write the open spend row of a reservation, once; it may be tried again."""
        opened = {
            "status": "open",
            "at": int(held.at),
            "window": held.window,
            "estimate": held.need.cost,
            "requests": held.need.requests,
            "lease_until": held.lease_until,
        }
        if (shared := held.shared) is not None:
            account = account_of(shared.account)
            opened["shared"] = {"account": account, "window": shared.window}
        await self.store.create(held.row, {**row, **opened})

    async def settle(
        self, held: BudgetReservation, cost: int, tokens: int, row: Mapping[str, Any], status: str
    ) -> bool:
        """
        Charge the real cost once; returns whether this call charged it.

        `row` has more fields of the spend row. `status` is the row's new one: `settled`,
        or `lost` for a request whose process crashed.
        """
        is_ours = await self.close_row(held, cost, tokens, row, status)
        if is_ours:
            await self.count(held, cost, tokens)
            if held.shared is not None:
                await self.count(held.shared, cost, tokens)
        return is_ours

    async def close_row(
        self, held: BudgetReservation, cost: int, tokens: int, row: Mapping[str, Any], status: str
    ) -> bool:
        """The first write of `settle`: whether the row was open."""
        closed = {**row, "status": status, "cost": cost, "tokens": tokens}
        is_open = Condition("status", "=", "open")
        try:
            await self.store.update(Update(held.row, (is_open,), set=closed))
        except UpdateConflict:
            return False
        return True

    async def count(self, held: BudgetReservation, cost: int, tokens: int) -> None:
        """
        Put the real cost in the place of a reservation whose row is closed, or has none.

        That of the key's team or user is another call's.
        """
        for update in settlements(held, cost, tokens, self.now()):
            with suppress(UpdateConflict):
                state = await self.store.update(update)
                if "spent" in update.add and reaches_soft_budget(state, cost):
                    self.on_soft_budget(state)
                break

    async def enlarge(self, row: ItemKey, cost: int) -> None:
        """Note in a row that more is reserved; raises `BudgetHeld` if a sweep has closed it."""
        is_open = Condition("status", "=", "open")
        try:
            await self.store.update(Update(row, (is_open,), set={"estimate": cost}))
        except UpdateConflict:
            raise BudgetHeld("the request takes too long") from None

    # ---- a job's lines ----

    async def renew(self, held: BudgetReservation) -> BudgetReservation:
        """Hold a reservation for longer, if it is still open; returns what it is now."""
        until = int(self.now() + self._lease) + 1
        is_open = Condition("status", "=", "open")
        exists = Condition("busy_until", ">=", 0)
        with suppress(UpdateConflict):
            await self.store.update(Update(held.row, (is_open,), set={"lease_until": until}))
            await self.store.update(Update(held.account, (exists,), set={"busy_until": until}))
        return replace(held, lease_until=until)

    def is_old(self, held: BudgetReservation) -> bool:
        """Whether half of the reservation's time is over."""
        return held.lease_until - self.now() < self._lease / 2

    def unreserved(self, item: Item) -> BudgetReservation:
        """A reservation of nothing, for what was spent without one; it is not refused."""
        at = self.now()
        where = ItemKey(row_partition(item["id"], at), self._name(at))
        counted, until = (item["window"], item["minute"]), int(at + self._lease) + 1
        return BudgetReservation(
            account_key(item["id"]), where, NOTHING_RESERVED, *counted, until, at
        )

    def reservation(self, account: str, where: ItemKey, row: Item) -> BudgetReservation:
        """The reservation of a spend row that is open."""
        return open_reservation(account, where, row)

    # ---- after a crash ----

    async def _is_swept(self, item: Item, error: FanoutError) -> bool:
        """Whether a sweep has freed something, after a refusal that may be due to a crash."""
        account, now = item["id"], self.now()
        is_suspect = isinstance(error, BudgetHeld) or item["reserved"] > 0
        if not is_suspect or now - self._swept.get(account, -SWEEP_INTERVAL) < SWEEP_INTERVAL:
            return False
        if len(self._swept) > MAX_SWEPT:
            self._swept.clear()
        self._swept[account] = now
        return await self.sweep(item)

    async def sweep(self, item: Item) -> bool:
        """Release what crashed requests hold of an account; whether there was anything."""
        return await sweep(self, item, self._lease)

    async def join(self, item: Item, shared: Item) -> None:
        """Note, once, that a key reserves of the account of its team or user."""
        if item.get("joined") == shared["id"]:
            return
        await self.store.create(ItemKey(members_of(shared["id"]), item["id"]), {"at": 0})
        there = (Condition("total_spent", ">=", 0),)
        with suppress(UpdateConflict):
            update = Update(account_key(item["id"]), there, set={"joined": shared["id"]})
            await self.store.update(update)

    async def _read(self, key: ItemKey) -> Item:
        if (item := await self.store.get(key)) is None:
            raise Unauthorized(UNKNOWN_KEY)
        return item
