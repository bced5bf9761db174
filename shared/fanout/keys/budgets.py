"""
Budgets with a name: limits that are kept once, for all keys, teams and users that have its id.

An account has a copy of them, so that a request reads no more than without one. Each account has
the whole budget for itself, as in LiteLLM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import uuid4

from ..errors import NotFound, RequestError, StorageBusy
from ..telemetry.prices import to_dollars
from .account import limit_of
from .groups import KINDS
from .items import Condition, Item, ItemKey, Update, UpdateConflict
from .ledger import TRIES, KeyLedger
from .litellm import changes_of, read_fields, time_text
from .management import INDEX, MAX_ID, Changes, KeyManager, accounts_in, all_items
from .rate_limits import UNLIMITED
from .windows import NEVER, window_end

PARTITION = "budgets"

WITHOUT: Changes = {
    "max_budget": UNLIMITED,
    "soft_budget": UNLIMITED,
    "budget_duration": "",
    "rpm_limit": UNLIMITED,
    "tpm_limit": UNLIMITED,
    "parallel_limit": UNLIMITED,
}
"""The limits of a budget, when none is set."""

FIELDS = frozenset(
    {
        "max_budget",
        "soft_budget",
        "budget_duration",
        "rpm_limit",
        "tpm_limit",
        "max_parallel_requests",
    }
)
"""The fields of a request for a budget."""

IGNORED = frozenset({"budget_id", "budget_reset_at"})
"""The window ends with the calendar, not at `budget_reset_at`."""


def read_budget(body: Mapping[str, Any], now: float) -> Changes:
    """
    The limits that a request sets.

    Source: litellm 1.110.2, `proxy/_types.py` (`BudgetNewRequest`), 2026-11.
    """
    given = {name: value for name, value in body.items() if name not in IGNORED}
    for name, value in given.items():
        if name not in FIELDS and value not in (None, "", 0, [], {}):
            raise RequestError(
                f"`{name}` is not a field of budgets: leave it out", name, "unsupported_parameter"
            )
    return changes_of(read_fields({name: given[name] for name in given if name in FIELDS}), now)


def budget_body(item: Item, now: float) -> dict[str, Any]:
    """A budget as LiteLLM shows it."""
    budget, soft = limit_of(item, "max_budget"), limit_of(item, "soft_budget")
    end = window_end(item["budget_duration"], now, UTC)
    return {
        "budget_id": item["budget_id"],
        "max_budget": None if budget is None else to_dollars(budget),
        "soft_budget": None if soft is None else to_dollars(soft),
        "max_parallel_requests": limit_of(item, "parallel_limit"),
        "tpm_limit": limit_of(item, "tpm_limit"),
        "rpm_limit": limit_of(item, "rpm_limit"),
        "model_max_budget": None,
        "budget_duration": item["budget_duration"] or None,
        "budget_reset_at": None if end == NEVER else time_text(end),
        "created_at": time_text(item["created_at"]),
        "created_by": item["created_by"],
        "updated_at": time_text(item["updated_at"]),
        "updated_by": item["updated_by"],
    }


class BudgetManager:
    """Manages the budgets of a ledger in the name of `actor`, whom the audit rows name."""

    def __init__(self, ledger: KeyLedger, actor: str) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._actor = actor
        self._keys = KeyManager(ledger, actor)

    async def create(self, budget_id: str | None, fields: Changes) -> Item:
        """A new budget; raises `RequestError` if its id is in use."""
        now, name = int(self._ledger.now()), budget_id or str(uuid4())
        item: Item = {
            **WITHOUT,
            **fields,
            "budget_id": name,
            "version": 1,
            "created_at": now,
            "created_by": self._actor,
            "updated_at": now,
            "updated_by": self._actor,
        }
        if not await self._store.create(ItemKey(PARTITION, name), item):
            message = f"there is a budget `{name}` already"
            raise RequestError(message, "budget_id", "budget_exists")
        await self._keys.audit("create_budget", f"budget:{name}", fields)
        return item

    async def find(self, budget_id: str) -> Item:
        """The budget with this id; raises `NotFound`."""
        where, is_id = ItemKey(PARTITION, budget_id), len(budget_id) <= MAX_ID
        if not is_id or (item := await self._store.get(where)) is None:
            raise NotFound("there is no such budget")
        return item

    async def all(self) -> Sequence[Item]:
        """Every budget, by its id."""
        return [item for _, item in await all_items(self._store, PARTITION)]

    async def update(self, item: Item, fields: Changes) -> Item:
        """Change a budget and the accounts that have it; returns it."""
        where = ItemKey(PARTITION, item["budget_id"])
        for _ in range(TRIES):
            same = (Condition("version", "=", item["version"]),)
            given = {**fields, "updated_at": int(self._ledger.now()), "updated_by": self._actor}
            try:
                item = await self._store.update(Update(where, same, set=given, add={"version": 1}))
            except UpdateConflict as rejected:
                if rejected.item is None:
                    raise NotFound("there is no such budget") from None
                item = rejected.item
                continue
            await self._keys.audit("update_budget", f"budget:{item['budget_id']}", fields)
            for account in await self._accounts(item["budget_id"]):
                await self.keep(account)
            return item
        raise StorageBusy(PARTITION, "the budget changes too often")

    async def delete(self, item: Item) -> None:
        """Delete a budget; the accounts that have it keep its limits as their own."""
        await self._store.delete(ItemKey(PARTITION, item["budget_id"]))
        for account in await self._accounts(item["budget_id"]):
            await self._keys.update(account, {"budget_id": ""}, "delete_budget")
        await self._keys.audit("delete_budget", f"budget:{item['budget_id']}", {})

    async def limits(self, budget_id: str | None, changes: Changes, item: Item | None) -> Changes:
        """
        The changes of an account with the limits of the budget that a request gives to it.

        `budget_id` is `None` if the request does not have the field, and empty if it removes the
        account's budget. Raises `RequestError` for a limit of the account's own beside it.
        """
        current = item.get("budget_id", "") if item is not None else ""
        wanted = current if budget_id is None else budget_id
        own = {name for name in WITHOUT if name in changes and changes[name] != WITHOUT[name]}
        if wanted and own:
            name = "max_parallel_requests" if "parallel_limit" in own else min(own)
            raise RequestError(
                f"the limits are those of the budget `{wanted}`: leave out `{name}`, change the "
                "budget, or set `budget_id` to null",
                name,
            )
        if not wanted:
            return {**WITHOUT, **changes, "budget_id": ""} if current else changes
        rest = {name: value for name, value in changes.items() if name not in WITHOUT}
        if budget_id is None:
            return rest
        try:
            budget = await self.find(wanted)
        except NotFound:
            raise RequestError(f"there is no budget `{wanted}`", "budget_id") from None
        return {**rest, **_limits(budget), "budget_id": wanted}

    async def keep(self, item: Item) -> Item:
        """The account, with the limits that its budget has now."""
        if not item.get("budget_id"):
            return item
        for _ in range(TRIES):
            budget = await self._store.get(ItemKey(PARTITION, item["budget_id"]))
            if budget is None or all(item[name] == is_ for name, is_ in _limits(budget).items()):
                return item
            item = await self._keys.update(item, _limits(budget), "budget")
        raise StorageBusy(PARTITION, "the budget changes too often")

    async def _accounts(self, budget_id: str) -> list[Item]:
        """The accounts that have a budget."""
        found = [
            await accounts_in(self._store, index)
            for index in (INDEX, *(kind.index for kind in KINDS))
        ]
        return [item for some in found for item in some if item.get("budget_id", "") == budget_id]


def _limits(budget: Item) -> dict[str, Any]:
    return {name: budget[name] for name in WITHOUT}
