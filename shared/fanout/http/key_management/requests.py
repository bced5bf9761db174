"""What the endpoints for keys, teams, users, budgets and spend share: rights, values, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.model import MASTER
from ...errors import Forbidden, NotFound, RequestError
from ...keys.account import refreshed
from ...keys.budgets import BudgetManager
from ...keys.groups import GroupManager
from ...keys.items import Item
from ...keys.key_types import MANAGEMENT, READ_ONLY
from ...keys.ledger import KeyLedger
from ...keys.management import MAX_ID, Changes, KeyManager
from ..endpoints import parse_body
from ..exchange import Exchange
from ..queries import choice_of

ORDERS = ("asc", "desc")


def ledger_of(exchange: Exchange) -> KeyLedger:
    if exchange.authenticator is None or exchange.authenticator.keys is None:
        raise NotFound("there are no virtual keys: set `general_settings.master_key`")
    return exchange.authenticator.keys()


def manager_of(exchange: Exchange, *types: str) -> KeyManager:
    """The manager in the client's name; raises `Forbidden` if the client may not manage keys."""
    ledger = ledger_of(exchange)
    check_manager(exchange, *types)
    return KeyManager(ledger, exchange.client.name)


def check_manager(exchange: Exchange, *types: str) -> None:
    """Raise `Forbidden` unless the client may manage keys, or has a key of one of these types."""
    account = exchange.client.account
    is_allowed = exchange.client.name == MASTER or (
        account is not None and account.item["key_type"] in {MANAGEMENT, *types}
    )
    if not is_allowed:
        raise Forbidden(
            "this key may not manage keys: use the master key, or one of type `management`",
            None,
            "key_not_allowed",
        )


def may_read(exchange: Exchange) -> bool:
    """Whether the client may read about every key."""
    account = exchange.client.account
    types = {MANAGEMENT, READ_ONLY}
    return exchange.client.name == MASTER or (
        account is not None and account.item["key_type"] in types
    )


def current(ledger: KeyLedger, item: Item) -> Item:
    """The account at this moment: its window may be over."""
    return {**item, **refreshed(item, ledger.now(), ledger.zone)}


async def object_of(exchange: Exchange) -> Mapping[str, Any]:
    body = await exchange.parsed(lambda data: parse_body(data) if data.strip() else {})
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    return body


def strings_of(body: Mapping[str, Any], name: str) -> list[str]:
    given = body.get(name) or []
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise RequestError(f"`{name}` must be a list of strings", name)
    return given


async def delete_listed(manager: GroupManager, body: Mapping[str, Any], name: str) -> list[Item]:
    """Delete the teams or users whose ids the field `name` lists; none if one does not exist."""
    items = [await manager.find(one) for one in strings_of(body, name)]
    if not items:
        raise RequestError(f"`{name}` is missing: a list of ids", name)
    for item in items:
        await manager.delete(item)
    return items


def required(body: Mapping[str, Any], name: str) -> str:
    if not isinstance(given := body.get(name), str) or not given:
        raise RequestError(f"`{name}` is missing: the key or its hash", name)
    return given


def ordered(
    bodies: list[dict[str, Any]], query: Mapping[str, str], default: str = "asc"
) -> list[dict[str, Any]]:
    """The bodies by the field `sort_by`, in the order `sort_order` (`asc` or `desc`)."""
    given = {name: text.lower() for name, text in query.items() if name == "sort_order"}
    field, order = query.get("sort_by", ""), choice_of(given, "sort_order", ORDERS, default)
    if not field:
        return bodies
    if bodies and not isinstance(bodies[0].get(field, []), str | int | float | None):
        raise RequestError(
            f"`sort_by` must be a field with one value, not `{field[:64]}`", "sort_by"
        )
    there = [one for one in bodies if one[field] is not None]
    rest = [one for one in bodies if one[field] is None]
    return sorted(there, key=lambda one: one[field], reverse=order == "desc") + rest


def number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise RequestError(f"`{name}` must be a number from 1 to {most}", name)
    return int(text)


async def budgeted(
    exchange: Exchange, body: Mapping[str, Any], changes: Changes, item: Item | None = None
) -> Changes:
    """The changes of an account, with the limits of the budget that the request gives to it."""
    given = body.get("budget_id") or "" if "budget_id" in body else None
    if given is not None and not isinstance(given, str):
        raise RequestError("`budget_id` must be a string", "budget_id")
    return await BudgetManager(ledger_of(exchange), "").limits(given, changes, item)


async def kept(exchange: Exchange, item: Item) -> Item:
    """The account, if its budget has just changed with the limits that it has now."""
    return await BudgetManager(ledger_of(exchange), exchange.client.name).keep(item)


def id_of(body: Mapping[str, Any], name: str) -> str | None:
    """The id that a request gives to what it makes."""
    given = body.get(name) or None
    if given is not None and (not isinstance(given, str) or len(given) > MAX_ID):
        raise RequestError(f"`{name}` must be a string of at most {MAX_ID} characters", name)
    return given
