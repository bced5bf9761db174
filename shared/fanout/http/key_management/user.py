"""
LiteLLM's endpoints for users (`/user/…`), for those who manage keys.

A key reads about its own user only. Shapes: litellm 1.110.2,
`types/proxy/management_endpoints/user_requests.py`, `internal_user_endpoints.py`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import FanoutError, Forbidden, NotFound, RequestError
from ...keys.groups import TEAMS, USERS, GroupManager, group_body, read_group, text_of
from ...keys.items import Item
from ...keys.key_types import READ_ONLY
from ...keys.ledger import KeyLedger
from ...keys.litellm import amount_of, changes_of, created_body, info_of, read_fields
from ...keys.management import Changes, KeyManager
from ..exchange import Exchange
from ..queries import checked_query, choice_of
from .requests import (
    budgeted,
    check_manager,
    current,
    delete_listed,
    id_of,
    kept,
    ledger_of,
    may_read,
    number,
    object_of,
    ordered,
)

ROLE = "internal_user"
"""LiteLLM's role of a user without rights to manage; a key's type is what gives these here."""

ROLES = ("proxy_admin", "proxy_admin_viewer", ROLE, "internal_user_viewer")
"""The roles that a list may be asked for; no user has another one than `ROLE`."""

KEY_FIELDS = ("key_alias", "duration", "auto_create_key")
"""What a new user's request has for the key that is made with it."""

LIST = ("page", "page_size", "user_ids", "user_email", "role", "sort_by", "sort_order")
"""The parameters of a list of users."""

OWN = frozenset({*KEY_FIELDS, "user_email", "user_role", "send_invite_email", "spend"})
"""The fields that are read here, or, as no mail is sent, have no effect."""


async def create_user(exchange: Exchange) -> None:
    """`POST /user/new`: a new user, and unless `auto_create_key` is false, a key of it."""
    manager, body, ledger = _manager(exchange), await object_of(exchange), ledger_of(exchange)
    fields = await budgeted(exchange, body, _read(body, ledger))
    await manager.check_email(fields)
    spent = amount_of(body.get("spend") or 0, "spend")
    given = {name: body[name] for name in ("key_alias", "duration") if name in body}
    key_fields = changes_of(read_fields(given), ledger.now())
    item = await manager.create(id_of(body, "user_id"), fields, spent)
    shown = user_body(ledger, await kept(exchange, item))
    if body.get("auto_create_key") in (None, True):
        keys = KeyManager(ledger, exchange.client.name)
        try:
            key, made = await keys.create({**key_fields, "user_id": shown["user_id"]})
        except FanoutError:  # its alias may be in use: the request may be sent again
            await manager.delete(item)
            raise
        names = ("key", "token", "token_id", "key_name", "key_alias", "expires")
        shown |= {name: one for name, one in created_body(key, made).items() if name in names}
    else:
        shown["key"] = ""
    await exchange.json(shown)


async def update_user(exchange: Exchange) -> None:
    """`POST /user/update`: change the user `user_id`, or the one with `user_email`."""
    manager, body, ledger = _manager(exchange), await object_of(exchange), ledger_of(exchange)
    user_id = text_of(body, "user_id")
    item = await manager.find(user_id) if user_id else await _of_email(manager, body)
    changes = await budgeted(exchange, body, _read(body, ledger), item)
    await manager.check_email(changes, item)
    if changes:
        item = await kept(exchange, await manager.update(item, changes))
    if body.get("spend") is not None:
        item = await manager.reset_spend(item, amount_of(body["spend"], "spend"))
    shown = user_body(ledger, item)
    await exchange.json({"user_id": shown["user_id"], "data": shown})


async def delete_users(exchange: Exchange) -> None:
    """`POST /user/delete`: delete the users in `user_ids`, with their keys; how many they were."""
    items = await delete_listed(_manager(exchange), await object_of(exchange), "user_ids")
    await exchange.json(len(items))


async def read_user(exchange: Exchange) -> None:
    """`GET /user/info`: the user `user_id`, its keys, and their teams; all keys without one."""
    ledger, user_id = ledger_of(exchange), await _asked(exchange)
    manager, keys = GroupManager(ledger, "", USERS), KeyManager(ledger, "")
    item = await manager.find(user_id) if user_id else None
    if not may_read(exchange):
        found = [exchange.client.account.item]
    else:
        found = list(await (manager.keys(user_id) if user_id else keys.accounts()))
    ids = {one["team_id"] for one in found}
    teams = await GroupManager(ledger, "", TEAMS).all() if ids else ()
    await exchange.json(
        {
            "user_id": user_id or None,
            "user_info": None if item is None else user_body(ledger, item),
            "keys": [info_of(current(ledger, one)) for one in found],
            "teams": [
                group_body(current(ledger, one), TEAMS) for one in teams if TEAMS.id_of(one) in ids
            ],
        }
    )


async def read_user_alone(exchange: Exchange) -> None:
    """`GET /v2/user/info`: the user `user_id`, without its keys."""
    ledger, user_id = ledger_of(exchange), await _asked(exchange)
    if not user_id:
        raise RequestError("`user_id` is missing", "user_id")
    item = await GroupManager(ledger, "", USERS).find(user_id)
    await exchange.json(user_body(ledger, item))


async def list_users(exchange: Exchange) -> None:
    """`GET /user/list`: the users in pages, the newest first."""
    manager, ledger = _manager(exchange, READ_ONLY), ledger_of(exchange)
    query = checked_query(exchange, *LIST)
    page, size = number(query, "page", 1, 10**6), number(query, "page_size", 25, 100)
    ids = [one.strip() for one in query.get("user_ids", "").split(",") if one.strip()]
    email, role = query.get("user_email", "").lower(), choice_of(query, "role", ROLES, ROLE)
    found = [
        item
        for item in await manager.all()
        if role == ROLE
        and (not ids or USERS.id_of(item) in ids)
        and email in item.get("email", "").lower()
    ]
    keys = [one["user_id"] for one in await KeyManager(ledger, "").accounts()]
    bodies = ordered([user_body(ledger, item) for item in found], query)
    shown = bodies[(page - 1) * size : page * size]
    await exchange.json(
        {
            "users": [{**one, "key_count": keys.count(one["user_id"])} for one in shown],
            "total": len(found),
            "page": page,
            "page_size": size,
            "total_pages": -(-len(found) // size),
        }
    )


async def spend_users(exchange: Exchange) -> None:
    """`GET /spend/users`: the users that have spent the most, or the user `user_id`."""
    ledger, manager = ledger_of(exchange), GroupManager(ledger_of(exchange), "", USERS)
    user_id = await _asked(exchange)
    if not user_id and not may_read(exchange):
        await exchange.json([])
        return
    items = [await manager.find(user_id)] if user_id else await manager.all()
    shown = [user_body(ledger, item) for item in items]
    await exchange.json(sorted(shown, key=lambda one: -one["spend"]))


def user_body(ledger: KeyLedger, item: Item) -> dict[str, Any]:
    """A user as LiteLLM shows it."""
    return {
        **group_body(current(ledger, item), USERS),
        "user_email": item.get("email") or None,
        "user_role": ROLE,
        "teams": [],
    }


def _read(body: Mapping[str, Any], ledger: KeyLedger) -> Changes:
    """The fields of a user's account that a request sets."""
    if (role := body.get("user_role") or ROLE) != ROLE:
        raise RequestError(
            f"`user_role` must be `{ROLE}`, not {role!r:.40}: for the right to manage keys, make a"
            " key with the `key_type` `management`",
            "user_role",
        )
    if body.get("teams"):
        raise RequestError(
            "`teams` is not supported: give the user's keys a `team_id`",
            "teams",
            "unsupported_parameter",
        )
    given = {name: value for name, value in body.items() if name not in OWN and name != "teams"}
    changes = dict(read_group(given, USERS, ledger.now()))
    if "user_email" in body:
        changes["email"] = text_of(body, "user_email")
    return changes


async def _of_email(manager: GroupManager, body: Mapping[str, Any]) -> Item:
    if not (email := text_of(body, "user_email")):
        raise RequestError("`user_id` is missing", "user_id")
    for item in await manager.all():
        if item.get("email") == email:
            return item
    raise NotFound("there is no user with this `user_email`")


async def _asked(exchange: Exchange) -> str:
    """The user that the query asks for; an ordinary key's own one, and raises `Forbidden`."""
    user_id = checked_query(exchange, "user_id").get("user_id", "")
    if may_read(exchange):
        return user_id
    account = exchange.client.account
    own = "" if account is None else str(account.item["user_id"])
    if account is None or (user_id and user_id != own):
        raise Forbidden("this key may only read about its user", "user_id", "key_not_allowed")
    return own


def _manager(exchange: Exchange, *types: str) -> GroupManager:
    ledger = ledger_of(exchange)
    check_manager(exchange, *types)
    return GroupManager(ledger, exchange.client.name, USERS)
