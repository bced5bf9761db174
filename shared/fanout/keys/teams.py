"""
Teams: each has an account of its own, whose budget, limits and models all its keys share.

A request of a key in a team reserves of both accounts. A key may name a team that has no account;
then the name only groups its spend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from ..config.catalog import is_allowed
from ..errors import NotFound, RequestError, Unauthorized
from .account import TEAM, UNKNOWN_KEY, account_key
from .items import Item, ItemKey
from .ledger import Ledger
from .litellm import changes_of, info_of, read_fields
from .management import Changes, KeyManager, accounts_in

INDEX = "teams"
"""The partition with the name of every team."""

KEY_FIELDS = frozenset({"key", "key_alias", "duration", "user_id", "key_type", "team_id", "spend"})
"""The fields of keys that teams do not have."""

HIDDEN = frozenset({"token", "key_name", "key_alias", "team_id", "user_id", "key_type", "expires"})


async def team_of(ledger: Ledger, item: Item) -> Item | None:
    """The account of a key's team, `None` without one; raises `Unauthorized` if it is blocked."""
    if not item["team_id"]:
        return None
    team = await ledger.store.get(account_key(f"{TEAM}{item['team_id']}"))
    if team is not None and team["blocked"]:
        raise Unauthorized(UNKNOWN_KEY)
    return team


def shared_models(
    own: frozenset[str] | None, others: frozenset[str] | None
) -> frozenset[str] | None:
    """The model names that both may use; `None` is all."""
    if own is None or others is None:
        return others if own is None else own
    return frozenset(
        [name for name in own if is_allowed(others, name)]
        + [name for name in others if is_allowed(own, name)]
    )


def read_team(body: Mapping[str, Any], now: float) -> Changes:
    """
    The fields of a team's account that a request sets.

    Source: litellm 1.110.2, `proxy/_types.py` (`NewTeamRequest`, `UpdateTeamRequest`), 2026-11.
    """
    given = {name: value for name, value in body.items() if name not in {"team_id", "team_alias"}}
    for name in KEY_FIELDS & given.keys():
        raise RequestError(f"`{name}` is not a field of teams: leave it out", name)
    changes = changes_of(read_fields(given), now)
    if "team_alias" in body:
        alias = body["team_alias"]
        if alias is not None and not isinstance(alias, str):
            raise RequestError("`team_alias` must be a string", "team_alias")
        changes["name"] = alias or ""
    return changes


def team_body(item: Item) -> dict[str, Any]:
    """A team's account as LiteLLM shows it."""
    shown = {name: value for name, value in info_of(item).items() if name not in HIDDEN}
    alias = item.get("name") or None
    return {"team_id": item["id"].removeprefix(TEAM), "team_alias": alias, **shown}


class TeamManager:
    """Manages the teams of a ledger in the name of `actor`, whom the audit rows name."""

    def __init__(self, ledger: Ledger, actor: str) -> None:
        self._store = ledger.store
        self._keys = KeyManager(ledger, actor)

    async def create(self, team_id: str | None, fields: Changes) -> Item:
        """A new team; raises `RequestError` if its id is in use."""
        name = f"{TEAM}{team_id or uuid4()}"
        account = self._keys.account(name, "", fields)
        if not await self._store.create(account_key(name), account):
            raise RequestError(f"there is a team `{team_id}` already", "team_id", "team_exists")
        await self._store.create(ItemKey(INDEX, name), {"at": account["created_at"]})
        await self._keys.audit("create_team", name, fields)
        return account

    async def find(self, team_id: str) -> Item:
        """The account of a team; raises `NotFound`."""
        item = await self._store.get(account_key(f"{TEAM}{team_id}"))
        if item is None:
            raise NotFound("there is no such team")
        return item

    async def update(self, item: Item, fields: Changes, action: str = "update_team") -> Item:
        """Change a team; returns it."""
        return await self._keys.update(item, fields, action)

    async def keys(self, team_id: str) -> Sequence[Item]:
        """The accounts of the team's keys."""
        return [one for one in await self._keys.accounts() if one["team_id"] == team_id]

    async def delete(self, item: Item) -> None:
        """Delete a team and its keys, as LiteLLM does; their spend rows stay."""
        for key in await self.keys(item["id"].removeprefix(TEAM)):
            await self._keys.delete(key)
        await self._store.delete(account_key(item["id"]))
        await self._store.delete(ItemKey(INDEX, item["id"]))
        await self._keys.audit("delete_team", item["id"], {})

    async def teams(self) -> Sequence[Item]:
        """Every team, the newest first."""
        return await accounts_in(self._store, INDEX)
