"""What the actions of `fanout key` do."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..disk.threads import in_thread
from ..errors import ConfigError, NotFound
from ..gateway.factory import load_catalog
from ..keys.account import refreshed
from ..keys.budgets import BudgetManager
from ..keys.items import Item
from ..keys.ledger import KeyLedger
from ..keys.litellm import amount_of, changes_of, created_body, info_of, read_fields
from ..keys.management import KeyManager
from ..keys.opening import open_local
from ..keys.postgres import is_address, read_tables
from ..keys.windows import seconds_of
from ..secret import is_like_address
from ..settings import Settings
from .key_reports import show_changes, show_spend
from .no_value import NONE, given_values
from .option_names import options_named
from .printing import dollars, field_lines, show, show_json
from .table import columns

if TYPE_CHECKING:
    from ..keys.imports import Imported

FIELDS = {
    "alias": "key_alias",
    "models": "models",
    "budget": "max_budget",
    "soft_budget": "soft_budget",
    "window": "budget_duration",
    "rpm": "rpm_limit",
    "tpm": "tpm_limit",
    "parallel": "max_parallel_requests",
    "expires": "duration",
    "tag": "tags",
    "team": "team_id",
    "user": "user_id",
    "type": "key_type",
}
"""The options of a key, and LiteLLM's fields."""

OPTIONS = {
    **{field: f"--{option.replace('_', '-')}" for option, field in FIELDS.items()},
    "start_date": "--from",
    "end_date": "--to",
}
"""The options by the fields that errors name."""

NO_MASTER_KEY = (
    "fanout: the gateway accepts virtual keys once the config has `general_settings.master_key`"
)


def run_action(arguments: argparse.Namespace) -> int:
    """Run the action on the keys of this machine."""
    settings = Settings.read(arguments.config)
    catalog = load_catalog(settings)
    if arguments.action in {"create", "import"} and not catalog.has_virtual_keys:
        show(NO_MASTER_KEY, file=sys.stderr)
    ledger = open_local(settings.env, catalog)
    try:
        with options_named(OPTIONS):
            return asyncio.run(_run(arguments, ledger))
    finally:
        ledger.store.close()


async def _run(arguments: argparse.Namespace, ledger: KeyLedger) -> int:
    manager = KeyManager(ledger, f"cli:{getpass.getuser()}")
    action = arguments.action
    if action == "create":
        key, item = await manager.create(await _fields(arguments, ledger))
        item = await BudgetManager(ledger, "").keep(item)
        _show_new(arguments, key, _now(ledger, item))
    elif action == "list":
        await _list(arguments, manager, ledger)
    elif action == "spend":
        await show_spend(arguments, ledger)
    elif action == "audit":
        await show_changes(arguments, ledger)
    elif action == "import":
        return await _import(arguments, manager, ledger)
    else:
        item = await _find(manager, arguments.key)
        if action == "regenerate":
            overlap = seconds_of(arguments.overlap, "--overlap") if arguments.overlap else 0
            key, item = await manager.regenerate(item, overlap=overlap)
            _show_new(arguments, key, _now(ledger, item))
        elif action == "delete":
            await manager.delete(item)
            _show(arguments, {"deleted": item["token"]}, f"deleted {_name(item)}")
        else:
            item = await _changed(arguments, manager, ledger, item)
            info = info_of(_now(ledger, item))
            _show(arguments, info, field_lines(info))
    return 0


async def _changed(
    arguments: argparse.Namespace, manager: KeyManager, ledger: KeyLedger, item: Item
) -> Item:
    """The account after the action."""
    match arguments.action:
        case "update":
            item = await manager.update(item, await _fields(arguments, ledger, item))
            return await BudgetManager(ledger, "").keep(item)
        case "block" | "unblock":
            blocked = int(arguments.action == "block")
            return await manager.update(item, {"blocked": blocked}, arguments.action)
        case "reset-spend":
            return await manager.reset_spend(item, amount_of(arguments.to, "--to"))
        case _:  # info
            return item


async def _fields(
    arguments: argparse.Namespace, ledger: KeyLedger, item: Item | None = None
) -> Mapping[str, Any]:
    """The fields of an account that the options set, with the limits of its budget."""
    given = given_values(arguments, FIELDS)
    changes = changes_of(read_fields(given), ledger.now())
    budget_id = "" if arguments.budget_id is NONE else arguments.budget_id
    return await BudgetManager(ledger, "").limits(budget_id, changes, item)


async def _find(manager: KeyManager, text: str) -> Item:
    try:
        return await manager.find_alias(text)
    except NotFound:
        return await manager.find(text)


def _now(ledger: KeyLedger, item: Item) -> Item:
    return {**item, **refreshed(item, ledger.now(), ledger.zone)}


def _name(item: Item) -> str:
    return str(item["alias"] or item["key_name"])


def _show(arguments: argparse.Namespace, value: object, text: str) -> None:
    if arguments.json:
        show_json(value)
    else:
        show(text)


def _show_new(arguments: argparse.Namespace, key: str, item: Item) -> None:
    _show(arguments, created_body(key, item), f"{key}\n(shown once; Fanout stores its hash only)")


async def _list(arguments: argparse.Namespace, manager: KeyManager, ledger: KeyLedger) -> None:
    shown = [info_of(_now(ledger, item)) for item in await manager.accounts()]
    if arguments.json:
        show_json({"keys": shown})
        return
    heads = ("key", "alias", "spend", "budget", "window", "models", "state")
    rows = [
        (
            one["key_name"],
            one["key_alias"] or "",
            dollars(one["spend"]),
            "" if one["max_budget"] is None else dollars(one["max_budget"]),
            one["budget_duration"] or "",
            ", ".join(one["models"]) or "all",
            "blocked" if one["blocked"] else "",
        )
        for one in shown
    ]
    show(columns([heads, *rows]))


async def _import(arguments: argparse.Namespace, manager: KeyManager, ledger: KeyLedger) -> int:
    from ..keys.imports import import_keys

    if is_address(arguments.source):
        others, text = await _import_others(arguments.source, ledger)
    else:
        others, text = {}, await _read(arguments.source)
    done = await import_keys(manager, ledger, text)
    lines = [
        f"{name}: {one.created} imported, {one.present} were there already"
        for name, one in others.items()
    ]
    notes = [note for one in (*others.values(), done) for note in one.notes]
    lines += [f"{done.created} imported, {done.present} were there already", *notes]
    counts = {
        name: {"imported": one.created, "present": one.present} for name, one in others.items()
    }
    _show(
        arguments,
        {"imported": done.created, "present": done.present, **counts, "notes": notes},
        "\n".join(lines),
    )
    return 0


async def _read(path: str) -> str:
    """The file's text; no error shows its name: it may be an address, and have a password."""
    if is_like_address(path):
        raise ConfigError(
            "LiteLLM's database must be Postgres: give its `postgresql://` address, or its table of"
            " keys as a CSV file"
        )
    try:
        return await in_thread(Path(path).read_text, encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read the file of keys: {error.strerror}") from None
    except ValueError:  # not UTF-8, or a name with a zero byte
        raise ConfigError("the file of keys is no CSV in UTF-8") from None


async def _import_others(address: str, ledger: KeyLedger) -> tuple[Mapping[str, Imported], str]:
    """Import the budgets, teams and users of a database; returns its table of keys, too."""
    from ..keys.groups import KINDS, GroupManager
    from ..keys.imports import import_budgets, import_group

    tables, actor = await in_thread(read_tables, address), f"cli:{getpass.getuser()}"
    done: dict[str, Imported] = {}
    if (text := tables.get("budgets")) is not None:
        done["budgets"] = await import_budgets(BudgetManager(ledger, actor), ledger, text)
    for kind in KINDS:
        if (text := tables.get(kind.index)) is not None:
            groups = GroupManager(ledger, actor, kind)
            done[kind.index] = await import_group(groups, ledger, text)
    return done, tables["keys"]
