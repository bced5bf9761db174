"""
Audit rows: who has changed which account, when, and which fields. They hold no key.

There is one partition for each month, UTC, whose rows sort by time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..wire import json
from .items import Item, ItemKey, Store
from .litellm import shown_fields
from .spend_rows import row_name

ACTIONS = (
    *("create", "import", "update", "block", "unblock", "regenerate", "reset_spend", "delete"),
    *(f"{action}_{kind}" for kind in ("team", "user") for action in ("create", "update")),
    *(f"{action}_{kind}" for kind in ("team", "user") for action in ("block", "unblock", "delete")),
    *("create_budget", "update_budget", "delete_budget", "budget"),
)
"""What a row may say was done; `budget` is the change of an account by its budget."""

PAGE = 1_000
DAY = 86_400


def partition_of(at: float) -> str:
    """The partition of the rows of a month."""
    return f"audit#{datetime.fromtimestamp(at, UTC):%Y%m}"


async def write_audit(
    store: Store, now: float, actor: str, action: str, account: str, fields: Mapping[str, Any]
) -> None:
    """Write the row of a change that `actor` has made to an account."""
    row = {
        "at": int(now),
        "actor": actor,
        "action": action,
        "account": account,
        "changes": json.encode(dict(fields)).decode(),
    }
    await store.create(ItemKey(partition_of(now), row_name(now)), row)


async def audit_rows(store: Store, start: float, end: float) -> list[tuple[str, Item]]:
    """The rows from one time to another, each with its name, the newest first."""
    days = range(int(start) // DAY, int(end) // DAY + 1)
    after, before = (row_name(at).partition("-")[0] for at in (start, end))
    found: list[tuple[str, Item]] = []
    for partition in dict.fromkeys(partition_of(number * DAY) for number in days):
        last = after
        while page := await store.items(partition, after=last, before=before, limit=PAGE):
            found += page
            last = page[-1][0]
    return found[::-1]


def shown_changes(row: Item) -> dict[str, Any]:
    """The fields that a row says were changed, with the names and units of `GET /key/info`."""
    fields = dict(json.decode(row["changes"].encode()))
    if "name" in fields:
        kind = row["account"].partition(":")[0]
        fields[f"{kind}_alias"] = fields.pop("name") or None
    return shown_fields(fields)
