"""What the actions of `fanout team`, `fanout user` and `fanout budget` do."""

from __future__ import annotations

import argparse
import asyncio
import getpass
from collections.abc import Mapping, Sequence
from typing import Any

from ..gateway.factory import load_catalog
from ..keys.account import refreshed
from ..keys.budgets import BudgetManager, budget_body, read_budget
from ..keys.groups import TEAMS, USERS, GroupManager, Kind, group_body, read_group
from ..keys.items import Item
from ..keys.ledger import KeyLedger
from ..keys.management import Changes
from ..keys.opening import open_local
from ..settings import Settings
from .no_value import NONE, given_values
from .option_names import options_named
from .printing import dollars, field_lines, show, show_json
from .table import columns

FIELDS = {
    "budget": "max_budget",
    "soft_budget": "soft_budget",
    "window": "budget_duration",
    "rpm": "rpm_limit",
    "tpm": "tpm_limit",
    "parallel": "max_parallel_requests",
}
"""The options for limits, and LiteLLM's fields."""


def run_action(arguments: argparse.Namespace) -> int:
    """Run the action on the accounts of this machine."""
    settings = Settings.read(arguments.config)
    ledger = open_local(settings.env, load_catalog(settings))
    actor = f"cli:{getpass.getuser()}"
    options = {"user_email": "--email"} | {
        field: f"--{option.replace('_', '-')}" for option, field in FIELDS.items()
    }
    try:
        with options_named(options):
            if arguments.kind == "budget":
                asyncio.run(_budget(arguments, ledger, BudgetManager(ledger, actor)))
            else:
                kind = TEAMS if arguments.kind == "team" else USERS
                asyncio.run(_group(arguments, ledger, GroupManager(ledger, actor, kind), actor))
    finally:
        ledger.store.close()
    return 0


# ---- budgets ----


async def _budget(arguments: argparse.Namespace, ledger: KeyLedger, manager: BudgetManager) -> None:
    now = ledger.now()
    if arguments.action == "list":
        _list(arguments, "budget_id", [budget_body(item, now) for item in await manager.all()])
        return
    if arguments.action == "create":
        item = await manager.create(arguments.id, read_budget(given_values(arguments, FIELDS), now))
    else:
        item = await manager.find(arguments.id)
        if arguments.action == "update":
            item = await manager.update(item, read_budget(given_values(arguments, FIELDS), now))
        elif arguments.action == "delete":
            await manager.delete(item)
            _deleted(arguments)
            return
    _show(arguments, budget_body(item, now))


# ---- teams and users ----


async def _group(
    arguments: argparse.Namespace, ledger: KeyLedger, manager: GroupManager, actor: str
) -> None:
    kind, action = manager.kind, arguments.action
    if action == "list":
        bodies = [_body(ledger, item, kind) for item in await manager.all()]
        _list(arguments, kind.id_field, bodies)
        return
    budgets = BudgetManager(ledger, actor)
    item = None if action == "create" else await manager.find(arguments.id)
    changes = await _changes(arguments, ledger, kind, budgets, item)
    await manager.check_email(changes, item)
    if item is None:
        item = await manager.create(arguments.id, changes)
    elif action in {"block", "unblock"}:
        item = await manager.update(item, {"blocked": int(action == "block")}, action)
    elif action == "delete":
        await manager.delete(item)
        _deleted(arguments)
        return
    elif changes:
        item = await manager.update(item, changes)
    _show(arguments, _body(ledger, await budgets.keep(item), kind))


async def _changes(
    arguments: argparse.Namespace,
    ledger: KeyLedger,
    kind: Kind,
    budgets: BudgetManager,
    item: Item | None,
) -> Changes:
    """The fields of an account that the options set, with the limits of its budget."""
    if arguments.action not in {"create", "update"}:
        return {}
    given = given_values(arguments, {**FIELDS, "alias": kind.alias_field, "models": "models"})
    changes = dict(read_group(given, kind, ledger.now()))
    if (email := getattr(arguments, "email", None)) is not None:
        changes["email"] = "" if email is NONE else email
    budget_id = "" if arguments.budget_id is NONE else arguments.budget_id
    return await budgets.limits(budget_id, changes, item)


def _body(ledger: KeyLedger, item: Item, kind: Kind) -> dict[str, Any]:
    body = group_body({**item, **refreshed(item, ledger.now(), ledger.zone)}, kind)
    return body if kind is TEAMS else {**body, "user_email": item.get("email") or None}


# ---- what is printed ----


def _list(
    arguments: argparse.Namespace, id_field: str, bodies: Sequence[Mapping[str, Any]]
) -> None:
    if arguments.json:
        show_json({f"{arguments.kind}s": bodies})
        return
    heads = ("id", "alias", "spend", "budget", "window", "state")
    rows = [
        (
            one[id_field],
            one.get(f"{arguments.kind}_alias") or "",
            "" if (spend := one.get("spend")) is None else dollars(spend),
            "" if one["max_budget"] is None else dollars(one["max_budget"]),
            one["budget_duration"] or "",
            "blocked" if one.get("blocked") else "",
        )
        for one in bodies
    ]
    show(columns([heads, *rows]))


def _deleted(arguments: argparse.Namespace) -> None:
    if arguments.json:
        show_json({"deleted": arguments.id})
    else:
        show(f"deleted {arguments.id}")


def _show(arguments: argparse.Namespace, body: Mapping[str, Any]) -> None:
    if arguments.json:
        show_json(body)
    else:
        show(field_lines(body))
