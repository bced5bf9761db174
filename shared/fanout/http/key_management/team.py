"""LiteLLM's endpoints for teams (`/team/…`), for those who manage keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import Forbidden, NotFound, RequestError
from ...keys.groups import TEAMS, USERS, GroupManager, group_body, read_group
from ...keys.key_types import READ_ONLY
from ...keys.litellm import info_of
from ..exchange import Exchange
from ..queries import checked_query
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
    required,
    strings_of,
)

PERMISSIONS = "team_member_permissions"

NO_MEMBERS = "teams have no members: give the user's keys the team's `team_id`"

PAGED = ("page", "page_size", "team_id", "team_alias", "user_id", "sort_by", "sort_order")
"""The parameters of a list of teams in pages."""


async def create_team(exchange: Exchange) -> None:
    """`POST /team/new`: a new team, with `team_id` or one that is made."""
    manager, body, ledger = _manager(exchange), await object_of(exchange), ledger_of(exchange)
    fields = await budgeted(exchange, body, read_group(body, TEAMS, ledger.now()))
    item = await kept(exchange, await manager.create(id_of(body, "team_id"), fields))
    await exchange.json(group_body(item, TEAMS))


async def update_team(exchange: Exchange) -> None:
    """`POST /team/update`: change a team; the fields that are not sent stay."""
    manager, body, ledger = _manager(exchange), await object_of(exchange), ledger_of(exchange)
    item = await manager.find(required(body, "team_id"))
    read = read_group(body, TEAMS, ledger.now())
    if changes := await budgeted(exchange, body, read, item):
        item = await kept(exchange, await manager.update(item, changes))
    shown = group_body(current(ledger, item), TEAMS)
    await exchange.json({"team_id": shown["team_id"], "data": shown})


async def delete_teams(exchange: Exchange) -> None:
    """`POST /team/delete`: delete the teams in `team_ids`, with their keys."""
    items = await delete_listed(_manager(exchange), await object_of(exchange), "team_ids")
    await exchange.json({"deleted_teams": [group_body(item, TEAMS)["team_id"] for item in items]})


async def block_team(exchange: Exchange) -> None:
    """`POST /team/block`: reject the team's keys from the next request on."""
    await _set_blocked(exchange, 1, "block")


async def unblock_team(exchange: Exchange) -> None:
    """`POST /team/unblock`: accept the team's keys again."""
    await _set_blocked(exchange, 0, "unblock")


async def _set_blocked(exchange: Exchange, blocked: int, action: str) -> None:
    manager = _manager(exchange)
    item = await manager.find(required(await object_of(exchange), "team_id"))
    item = await manager.update(item, {"blocked": blocked}, action)
    await exchange.json(group_body(current(ledger_of(exchange), item), TEAMS))


async def read_team_info(exchange: Exchange) -> None:
    """`GET /team/info`: the team `team_id` and its keys; a key may read about its own team."""
    ledger, team_id = ledger_of(exchange), checked_query(exchange, "team_id").get("team_id", "")
    account = exchange.client.account
    if not team_id:
        raise RequestError("`team_id` is missing", "team_id")
    if not may_read(exchange) and (account is None or account.item["team_id"] != team_id):
        raise Forbidden("this key may only read about its team", "team_id", "key_not_allowed")
    manager = GroupManager(ledger, "", TEAMS)
    item = await manager.find(team_id)
    keys = await manager.keys(team_id) if may_read(exchange) else ()
    await exchange.json(
        {
            "team_id": team_id,
            "team_info": group_body(current(ledger, item), TEAMS),
            "keys": [info_of(current(ledger, one)) for one in keys],
            "team_memberships": [],
        }
    )


async def list_teams(exchange: Exchange) -> None:
    """`GET /team/list`: every team, the newest first, or those of the keys of `user_id`."""
    manager = _manager(exchange, READ_ONLY)
    await exchange.json(await _teams(exchange, manager, checked_query(exchange, "user_id")))


async def list_teams_in_pages(exchange: Exchange) -> None:
    """`GET /v2/team/list`: the teams in pages, or those of `team_id`, `team_alias`, `user_id`."""
    manager = _manager(exchange, READ_ONLY)
    query = checked_query(exchange, *PAGED)
    page, size = number(query, "page", 1, 10**6), number(query, "page_size", 10, 100)
    asked = {name: query[name] for name in ("team_id", "team_alias") if name in query}
    teams = await _teams(exchange, manager, query)
    found = ordered(
        [one for one in teams if all(one[name] == text for name, text in asked.items())], query
    )
    await exchange.json(
        {
            "teams": found[(page - 1) * size : page * size],
            "total": len(found),
            "page": page,
            "page_size": size,
            "total_pages": -(-len(found) // size),
        }
    )


async def _teams(
    exchange: Exchange, manager: GroupManager, query: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The teams as LiteLLM shows them; of a `user_id`, those of its keys."""
    ledger = ledger_of(exchange)
    teams = [group_body(current(ledger, one), TEAMS) for one in await manager.all()]
    if (user_id := query.get("user_id")) is None:
        return teams
    keys = await GroupManager(ledger, "", USERS).keys(user_id)
    ids = {one["team_id"] for one in keys}
    return [one for one in teams if one["team_id"] in ids]


async def list_available_teams(exchange: Exchange) -> None:
    """`GET /team/available`: the teams that a user may join; there are no members, so none."""
    ledger_of(exchange)
    checked_query(exchange)
    await exchange.json([])


async def reject_members(exchange: Exchange) -> None:
    """`POST /team/member_…`: a 404, as teams have no members."""
    _manager(exchange)
    raise NotFound(NO_MEMBERS)


async def list_permissions(exchange: Exchange) -> None:
    """`GET /team/permissions_list`: what a team's members may do; there are no members."""
    manager = _manager(exchange, READ_ONLY)
    team_id = checked_query(exchange, "team_id").get("team_id", "")
    await manager.find(team_id)
    none: dict[str, list[str]] = {PERMISSIONS: [], "all_available_permissions": []}
    await exchange.json({"team_id": team_id, **none})


async def update_permissions(exchange: Exchange) -> None:
    """`POST /team/permissions_update`: a 404 unless the list is empty, as teams have no members."""
    manager, body = _manager(exchange), await object_of(exchange)
    item = await manager.find(required(body, "team_id"))
    if strings_of(body, PERMISSIONS):
        raise NotFound(NO_MEMBERS)
    await exchange.json({**group_body(current(ledger_of(exchange), item), TEAMS), PERMISSIONS: []})


def _manager(exchange: Exchange, *types: str) -> GroupManager:
    ledger = ledger_of(exchange)
    check_manager(exchange, *types)
    return GroupManager(ledger, exchange.client.name, TEAMS)
