"""
LiteLLM's endpoint for the changes of keys, teams, users and budgets (`GET /audit`).

Shapes: litellm 1.110.2, `litellm_enterprise/proxy/audit_logging_endpoints.py`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...keys.account import TEAM, USER
from ...keys.audit import ACTIONS, audit_rows, shown_changes
from ...keys.items import Item
from ...keys.key_types import READ_ONLY
from ...keys.litellm import time_text
from ...keys.spend import period_of
from ..exchange import Exchange
from ..queries import checked_query, choice_of
from .requests import check_manager, ledger_of, number

TABLES = {
    TEAM: "LiteLLM_TeamTable",
    USER: "LiteLLM_UserTable",
    "budget:": "LiteLLM_BudgetTable",
}
"""What the id of an account begins with, and LiteLLM's table of such accounts."""

KEYS = "LiteLLM_VerificationToken"

VALUES: Mapping[str, Sequence[str]] = {
    "action": ACTIONS,
    "table_name": (KEYS, *TABLES.values()),
    "sort_by": ("updated_at",),
    "sort_order": ("asc", "desc"),
}
"""The parameters that have one of some values."""

FILTERS = ("changed_by", "action", "table_name", "object_id")
PARAMETERS = ("page", "page_size", "start_date", "end_date", "sort_by", "sort_order", *FILTERS)


async def list_changes(exchange: Exchange) -> None:
    """`GET /audit`: who has changed what in some days (the last 30), in pages, the newest first."""
    check_manager(exchange, READ_ONLY)
    ledger, query = ledger_of(exchange), checked_query(exchange, *PARAMETERS)
    page, size = number(query, "page", 1, 10**6), number(query, "page_size", 10, 100)
    for name, values in VALUES.items():
        choice_of(query, name, values)
    period = period_of(query.get("start_date"), query.get("end_date"), ledger.now())
    rows = [_change(*one) for one in await audit_rows(ledger.store, period.start, period.end)]
    found = [
        row for row in rows if all(query.get(name, row[name]) == row[name] for name in FILTERS)
    ]
    if query.get("sort_order") == "asc":
        found.reverse()
    await exchange.json(
        {
            "audit_logs": found[(page - 1) * size : page * size],
            "total": len(found),
            "page": page,
            "page_size": size,
            "total_pages": -(-len(found) // size),
        }
    )


def _change(name: str, row: Item) -> dict[str, Any]:
    """
    A row as LiteLLM shows it; an action is `create`, `update_team`, `reset_spend`, ….

    Values from before the change are not stored.
    """
    prefix = next((one for one in TABLES if row["account"].startswith(one)), "")
    return {
        "id": name,
        "updated_at": time_text(row["at"]),
        "changed_by": row["actor"],
        "changed_by_api_key": None,
        "action": row["action"],
        "table_name": TABLES.get(prefix, KEYS),
        "object_id": row["account"].removeprefix(prefix),
        "before_value": None,
        "updated_values": shown_changes(row),
    }
