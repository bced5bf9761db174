"""
Sweeps: what requests have reserved whose process crashed is released, and costs what it may have.

A sweep may run at any time, also twice, and beside requests.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import Unauthorized
from .account import UNKNOWN_KEY, account_key, needs_repair, repaired
from .items import Item, ItemKey, UpdateConflict
from .spend_rows import lost_fields, members_of, months, open_reservation, row_name, window_of

if TYPE_CHECKING:
    from .ledger import KeyLedger

PAGE = 1_000
"""Spend rows that a sweep reads at once."""

MAX_MEMBERS = 100_000
"""Keys of a team whose rows a sweep reads."""


async def sweep(ledger: KeyLedger, item: Item, lease: float) -> bool:
    """
    Release what crashed requests hold of an account; whether there was anything.

    The row of a request that was not settled in time becomes `lost`, and costs what it had
    reserved: its calls may have been made. If no request can be in flight, the account's numbers
    are those of its rows. Those of a team or user are in the partitions of its keys. A request
    takes `lease` seconds at most.
    """
    is_changed, spent, now, store = False, 0, ledger.now(), ledger.store
    since, is_idle = float(item["window_start"]), needs_repair(item, now)
    if not is_idle:  # only what has crashed of late; its sum is not needed
        since = max(since, now - 2 * lease)
    start = row_name(since).partition("-")[0]
    members = await store.items(members_of(item["id"]), limit=MAX_MEMBERS)
    for account in (item["id"], *(name for name, _ in members)):
        for partition in months(account, since, now):
            after = start
            while rows := await store.items(partition, after=after, limit=PAGE):
                for name, row in rows:
                    window = window_of(row, account, item["id"])
                    if row["status"] == "open" and row["lease_until"] <= now:
                        held = open_reservation(account, ItemKey(partition, name), row)
                        cost, used = row["estimate"], lost_fields(row)
                        is_changed |= await ledger.settle(held, cost, 0, used, "lost")
                    elif row["status"] == "open":
                        continue
                    else:
                        cost = row["cost"]
                    spent += cost if window == item["window"] else 0
                after = rows[-1][0]
    if (current := await store.get(account_key(item["id"]))) is None:
        raise Unauthorized(UNKNOWN_KEY)
    if is_idle and current["window"] == item["window"] and needs_repair(current, now):
        with suppress(UpdateConflict):
            await store.update(repaired(current, spent))
            is_changed = True
    return is_changed
