"""
LiteLLM's endpoints for virtual keys (`/key/…`), for the master key and keys of type `management`.

A key of another type may read its own account only. Shapes: `keys/litellm.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from ...errors import Forbidden, NotFound, RequestError
from ...keys.items import Item
from ...keys.key_types import READ_ONLY
from ...keys.ledger import hash_of
from ...keys.litellm import amount_of, changes_of, created_body, info_of, read_fields
from ...keys.management import KeyManager
from ...keys.windows import seconds_of
from ...telemetry.prices import to_nanodollars
from ..exchange import Exchange
from ..queries import checked_query, flag_of
from .requests import (
    budgeted,
    current,
    kept,
    ledger_of,
    manager_of,
    may_read,
    number,
    object_of,
    ordered,
    required,
    strings_of,
)

MIN_KEY = 16
"""Characters of a key that the caller chooses, LiteLLM's minimum."""

OWN_KEY = re.compile(f"(?=.{{{MIN_KEY}}})sk-[!-~]+")
MAX_PAGE = 100
MAX_UPDATES = 500
FILTERS = {
    "team_id": "team_id",
    "user_id": "user_id",
    "key_alias": "key_alias",
    "key_hash": "token",
}
INCLUDES = ("include_team_keys", "include_created_by_keys")
"""LiteLLM's flags that add no keys, as teams have no members."""

LIST = ("page", "size", "return_full_object", *INCLUDES, "sort_by", "sort_order", *FILTERS)
"""The parameters of a list of keys."""

NEW_KEY = frozenset({"new_key", "grace_period", "new_master_key"})


async def generate_key(exchange: Exchange) -> None:
    """`POST /key/generate`: a new key, which only this response shows."""
    manager, body = manager_of(exchange), await object_of(exchange)
    fields = read_fields(body)
    key = None
    if isinstance(fields.key, str):
        key = await _own_key(exchange, fields.key, "key")
    ledger = ledger_of(exchange)
    spent = amount_of(fields.spend or 0, "spend") if fields.spend is not UNSET else 0
    changes = await budgeted(exchange, body, changes_of(fields, ledger.now()))
    key, item = await manager.create(changes, key, spent)
    await exchange.json(created_body(key, current(ledger, await kept(exchange, item))))


async def update_key(exchange: Exchange) -> None:
    """`POST /key/update`: change an account; the fields that are not sent stay."""
    item = await _updated(exchange, manager_of(exchange), await object_of(exchange))
    info = info_of(current(ledger_of(exchange), item))
    await exchange.json({"key": item["token"], **info})


async def update_keys(exchange: Exchange) -> None:
    """`POST /key/bulk_update`: change each of the `keys`, also if others cannot be changed."""
    manager, body = manager_of(exchange), await object_of(exchange)
    asked, ledger = body.get("keys"), ledger_of(exchange)
    if not isinstance(asked, list) or not 0 < len(asked) <= MAX_UPDATES:
        raise RequestError(f"`keys` must be a list of 1 to {MAX_UPDATES} changes", "keys")
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for one in asked:
        try:
            item = await _updated(exchange, manager, one)
        except RequestError as error:
            key = one.get("key") if isinstance(one, dict) else None
            token = hash_of(key) if isinstance(key, str) else ""
            failed.append({"key": token, "key_info": None, "failed_reason": str(error)})
        else:
            info = info_of(current(ledger, item))
            done.append({"key": item["token"], "key_info": info})
    shown = {"successful_updates": done, "failed_updates": failed}
    await exchange.json({"total_requested": len(asked), **shown})


async def check_key(exchange: Exchange) -> None:
    """`POST /key/health`: the key of the request is valid; there are no callbacks to check."""
    ledger_of(exchange)
    await exchange.json({"key": "healthy", "logging_callbacks": None})


async def _updated(exchange: Exchange, manager: KeyManager, body: Any) -> Item:
    """The account of the `key` in `body`, with the other fields changed."""
    fields = read_fields(body)
    if not isinstance(fields.key, str):
        raise RequestError("`key` is missing: the key or its hash", "key")
    item, ledger = await manager.find(fields.key), ledger_of(exchange)
    changes = await budgeted(exchange, body, changes_of(fields, ledger.now()), item)
    if changes:
        item = await kept(exchange, await manager.update(item, changes))
    if isinstance(fields.spend, int | float):
        item = await manager.reset_spend(item, to_nanodollars(fields.spend))
    return item


async def delete_keys(exchange: Exchange) -> None:
    """`POST /key/delete`: delete the accounts in `keys` (keys or hashes) or `key_aliases`."""
    manager, body = manager_of(exchange), await object_of(exchange)
    keys, aliases = strings_of(body, "keys"), strings_of(body, "key_aliases")
    if not keys and not aliases:
        raise RequestError("`keys` is missing: a list of keys or hashes", "keys")
    items = [await manager.find(key) for key in keys]
    items += [await manager.find_alias(alias) for alias in aliases]
    for item in items:
        await manager.delete(item)
    await exchange.json({"deleted_keys": [item["token"] for item in items]})


async def block_key(exchange: Exchange) -> None:
    """`POST /key/block`: reject the key from the next request on."""
    await _set_blocked(exchange, 1, "block")


async def unblock_key(exchange: Exchange) -> None:
    """`POST /key/unblock`: accept the key again."""
    await _set_blocked(exchange, 0, "unblock")


async def _set_blocked(exchange: Exchange, blocked: int, action: str) -> None:
    manager = manager_of(exchange)
    item = await manager.find(required(await object_of(exchange), "key"))
    item = await manager.update(item, {"blocked": blocked}, action)
    await exchange.json(info_of(current(ledger_of(exchange), item)))


async def regenerate_key(exchange: Exchange) -> None:
    """`POST /key/regenerate`: a new key for an account, the old one valid for `grace_period`."""
    body = await object_of(exchange)
    await _regenerate(exchange, required(body, "key"), body)


async def change_key(exchange: Exchange) -> None:
    """`POST /key/{key}/regenerate`, or `…/reset_spend` with `reset_to`; a hash is as good."""
    key, _, what = exchange.tail.rpartition("/")
    body = await object_of(exchange)
    if what == "regenerate":
        await _regenerate(exchange, key, body)
    elif what == "reset_spend":
        manager, spent = manager_of(exchange), amount_of(body.get("reset_to", 0), "reset_to")
        item = await manager.reset_spend(await manager.find(key), spent)
        await exchange.json(info_of(current(ledger_of(exchange), item)))
    else:
        raise NotFound("no such path: `/key/{key}/` has `regenerate` and `reset_spend`")


async def _regenerate(exchange: Exchange, key: str, body: Mapping[str, Any]) -> None:
    manager, ledger = manager_of(exchange), ledger_of(exchange)
    fields = read_fields(body, NEW_KEY)
    own, grace = body.get("new_key"), body.get("grace_period")
    new = None if own in (None, "") else await _own_key(exchange, str(own), "new_key")
    overlap = seconds_of(str(grace), "grace_period") if grace else 0
    item = await manager.find(key)
    changes = await budgeted(exchange, body, changes_of(fields, ledger.now()), item)
    made, item = await manager.regenerate(item, new, overlap, changes)
    await exchange.json(created_body(made, current(ledger, await kept(exchange, item))))


async def read_key(exchange: Exchange) -> None:
    """`GET /key/info`: the account of `key` (a key or its hash); without one, the caller's own."""
    key = checked_query(exchange, "key").get("key", "")
    own: Item | None = exchange.client.account and exchange.client.account.item
    ledger = ledger_of(exchange)
    if not key and own is not None:
        item = own
    elif may_read(exchange):
        item = await KeyManager(ledger, "").find(key)
    else:
        found = await ledger.find_key(key)
        if own is None or found is None or found["id"] != own["id"]:
            raise Forbidden("this key may only read about itself", "key", "key_not_allowed")
        item = found
    await exchange.json({"key": item["token"], "info": info_of(current(ledger, item))})


async def list_keys(exchange: Exchange) -> None:
    """
    `GET /key/list`: the hashes of keys, or all of them with `return_full_object=true`.

    Deleted keys are not there, and no key has an organization.
    """
    manager, ledger = manager_of(exchange, READ_ONLY), ledger_of(exchange)
    query = checked_query(exchange, *LIST)
    page, size = number(query, "page", 1, 10**6), number(query, "size", 10, MAX_PAGE)
    for name in INCLUDES:
        flag_of(query, name)
    wanted = {field: query[name] for name, field in FILTERS.items() if name in query}
    shown = [info_of(current(ledger, item)) for item in await manager.accounts()]
    chosen = [one for one in shown if all(one[name] == text for name, text in wanted.items())]
    found = ordered(chosen, query, "desc")
    chosen = found[(page - 1) * size : page * size]
    is_full = flag_of(query, "return_full_object")
    await exchange.json(
        {
            "keys": [one if is_full else one["token"] for one in chosen],
            "total_count": len(found),
            "current_page": page,
            "total_pages": -(-len(found) // size),
        }
    )


async def _own_key(exchange: Exchange, key: str, param: str) -> str:
    if not OWN_KEY.fullmatch(key):
        raise RequestError(
            f"`{param}` must begin with `sk-` and have at least {MIN_KEY} characters, without "
            "spaces and beyond ASCII",
            param,
        )
    if exchange.authenticator is not None and await exchange.authenticator.is_config_key(key):
        raise RequestError(f"`{param}` is a key of the gateway's config", param, "key_exists")
    return key
