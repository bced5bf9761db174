"""LiteLLM's endpoints for budgets (`/budget/…`), for those who manage keys."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import RequestError
from ...keys.budgets import BudgetManager, budget_body, read_budget
from ...keys.key_types import READ_ONLY
from ..exchange import Exchange
from ..queries import checked_query
from .requests import check_manager, id_of, ledger_of, object_of, required, strings_of

SETTINGS: Mapping[str, tuple[str, str]] = {
    "max_parallel_requests": ("Integer", "requests in flight"),
    "tpm_limit": ("Integer", "tokens a minute"),
    "rpm_limit": ("Integer", "requests a minute"),
    "budget_duration": ("String", "the window of the budget"),
    "max_budget": ("Float", "US dollars in a window"),
    "soft_budget": ("Float", "US dollars that the log says are spent"),
}


async def create_budget(exchange: Exchange) -> None:
    """`POST /budget/new`: a new budget, with `budget_id` or one that is made."""
    manager, body, ledger = _manager(exchange), await object_of(exchange), ledger_of(exchange)
    item = await manager.create(id_of(body, "budget_id"), read_budget(body, ledger.now()))
    await exchange.json(budget_body(item, ledger.now()))


async def update_budget(exchange: Exchange) -> None:
    """`POST /budget/update`: change a budget, and the limits of all that have it."""
    manager, body, ledger = _manager(exchange), await object_of(exchange), ledger_of(exchange)
    item = await manager.find(required(body, "budget_id"))
    if changes := read_budget(body, ledger.now()):
        item = await manager.update(item, changes)
    await exchange.json(budget_body(item, ledger.now()))


async def read_budgets(exchange: Exchange) -> None:
    """`POST /budget/info`: the budgets whose ids are in `budgets`; unknown ones are left out."""
    manager = _manager(exchange, READ_ONLY)
    wanted = set(strings_of(await object_of(exchange), "budgets"))
    if not wanted:
        raise RequestError("`budgets` is missing: a list of ids", "budgets")
    await _list(exchange, manager, wanted)


async def list_budgets(exchange: Exchange) -> None:
    """`GET /budget/list`: every budget."""
    manager = _manager(exchange, READ_ONLY)
    checked_query(exchange)
    await _list(exchange, manager, None)


async def delete_budget(exchange: Exchange) -> None:
    """`POST /budget/delete`: delete the budget `id`; who has it keeps its limits."""
    manager, ledger = _manager(exchange), ledger_of(exchange)
    item = await manager.find(required(await object_of(exchange), "id"))
    await manager.delete(item)
    await exchange.json(budget_body(item, ledger.now()))


async def list_settings(exchange: Exchange) -> None:
    """`GET /budget/settings`: the limits of the budget `budget_id`, each with its type."""
    manager = _manager(exchange, READ_ONLY)
    item = await manager.find(checked_query(exchange, "budget_id").get("budget_id", ""))
    body = budget_body(item, ledger_of(exchange).now())
    await exchange.json(
        [
            {
                "field_name": name,
                "field_type": kind,
                "field_description": about,
                "field_value": body[name],
                "stored_in_db": body[name] is not None,
                "field_default_value": None,
            }
            for name, (kind, about) in SETTINGS.items()
        ]
    )


async def _list(exchange: Exchange, manager: BudgetManager, wanted: set[str] | None) -> None:
    found, now = await manager.all(), ledger_of(exchange).now()
    await exchange.json(
        [budget_body(one, now) for one in found if wanted is None or one["budget_id"] in wanted]
    )


def _manager(exchange: Exchange, *types: str) -> BudgetManager:
    ledger = ledger_of(exchange)
    check_manager(exchange, *types)
    return BudgetManager(ledger, exchange.client.name)
