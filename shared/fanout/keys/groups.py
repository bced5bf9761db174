"""
Accounts that several keys share: that of a team, or of a user.

A request of such a key reserves of both accounts: its own, and its team's. If the team has none,
then its user's, as in LiteLLM, where a user's budget is for keys without a team. A key may name a
team or a user that has no account; then the name only groups its spend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from msgspec import Struct

from ..config.catalog import is_allowed
from ..errors import NotFound, RequestError, Unauthorized
from .account import TEAM, UNKNOWN_KEY, USER, account_key
from .items import Item, ItemKey
from .ledger import KeyLedger
from .litellm import changes_of, info_of, read_fields
from .management import MAX_ID, Changes, KeyManager, accounts_in

HIDDEN = frozenset({"token", "key_name", "key_alias", "team_id", "user_id", "key_type", "expires"})
"""What is shown of keys, and not of the accounts that they share."""


class Kind(Struct, frozen=True):
    """Teams, or users: how they are called, and what the ids of their accounts begin with."""

    name: str
    prefix: str

    @property
    def index(self) -> str:
        """The partition with the names of all accounts of this kind."""
        return f"{self.name}s"

    @property
    def id_field(self) -> str:
        """The field with the id, of a key too."""
        return f"{self.name}_id"

    @property
    def alias_field(self) -> str:
        """The field with the name."""
        return f"{self.name}_alias"

    def id_of(self, item: Item) -> str:
        """The id of an account."""
        return str(item["id"]).removeprefix(self.prefix)


TEAMS, USERS = Kind("team", TEAM), Kind("user", USER)

KINDS = (TEAMS, USERS)
"""Whose account a key shares: the first that there is."""

KEY_FIELDS = frozenset({"key", "key_alias", "duration", "key_type", "team_id", "user_id", "spend"})
"""The fields of keys that the accounts which they share do not have."""


async def shared_account(ledger: KeyLedger, item: Item) -> Item | None:
    """The account that a key shares, that of its team or else of its user; `None` if neither is."""
    for kind in KINDS:
        if name := item[kind.id_field]:
            found = await ledger.store.get(account_key(f"{kind.prefix}{name}"))
            if found is not None:
                return found
    return None


async def valid_shared_account(ledger: KeyLedger, item: Item) -> Item | None:
    """`shared_account`; raises `Unauthorized` if it is blocked."""
    found = await shared_account(ledger, item)
    if found is not None and found["blocked"]:
        raise Unauthorized(UNKNOWN_KEY)
    return found


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


def read_group(body: Mapping[str, Any], kind: Kind, now: float) -> Changes:
    """The fields of an account of this kind that a request sets."""
    own = {kind.id_field, kind.alias_field}
    given = {name: value for name, value in body.items() if name not in own}
    for name in sorted(KEY_FIELDS & given.keys()):
        if given.pop(name) not in (None, ""):
            raise RequestError(f"`{name}` is not a field of {kind.index}: leave it out", name)
    changes = changes_of(read_fields(given, whose=kind.index), now)
    if kind.alias_field in body:
        changes["name"] = text_of(body, kind.alias_field)
    return changes


def text_of(body: Mapping[str, Any], name: str) -> str:
    """A field's text, empty without one."""
    if not isinstance(value := body.get(name) or "", str):
        raise RequestError(f"`{name}` must be a string", name)
    return value


def group_body(item: Item, kind: Kind) -> dict[str, Any]:
    """An account as LiteLLM shows a team or a user."""
    shown = {name: value for name, value in info_of(item).items() if name not in HIDDEN}
    names = {kind.id_field: kind.id_of(item), kind.alias_field: item.get("name") or None}
    without: dict[str, Any] = (
        {"members_with_roles": [], "organization_id": None} if kind is TEAMS else {}
    )
    return {**names, **shown, **without}


class GroupManager:
    """Manages the teams or users of a ledger in the name of `actor`, whom the audit rows name."""

    def __init__(self, ledger: KeyLedger, actor: str, kind: Kind) -> None:
        self.kind = kind
        self._store = ledger.store
        self._keys = KeyManager(ledger, actor)

    async def create(self, given_id: str | None, fields: Changes, spent: int = 0) -> Item:
        """A new account; raises `RequestError` if its id is in use."""
        kind, name = self.kind, f"{self.kind.prefix}{given_id or uuid4()}"
        account = self._keys.account(name, "", fields, spent)
        if not await self._store.create(account_key(name), account):
            message = f"there is a {kind.name} `{given_id}` already"
            raise RequestError(message, kind.id_field, f"{kind.name}_exists")
        await self._store.create(ItemKey(kind.index, name), {"at": account["created_at"]})
        await self._keys.audit(f"create_{kind.name}", name, fields)
        return account

    async def find(self, given_id: str) -> Item:
        """The account with this id; raises `NotFound`."""
        is_id = len(given_id) <= MAX_ID
        where = account_key(f"{self.kind.prefix}{given_id}")
        if not is_id or (item := await self._store.get(where)) is None:
            raise NotFound(f"there is no such {self.kind.name}")
        return item

    async def update(self, item: Item, fields: Changes, action: str = "update") -> Item:
        """Change an account; returns it."""
        return await self._keys.update(item, fields, f"{action}_{self.kind.name}")

    async def check_email(self, changes: Changes, item: Item | None = None) -> None:
        """Raise `RequestError` if another user than that of `item` has the address."""
        if not (email := changes.get("email")):
            return
        for other in await self.all():
            if other.get("email") == email and (item is None or other["id"] != item["id"]):
                raise RequestError(
                    "another user has this `user_email`", "user_email", "user_exists"
                )

    async def reset_spend(self, item: Item, spent: int) -> Item:
        """Set what the account has spent in this window."""
        return await self._keys.reset_spend(item, spent)

    async def keys(self, given_id: str) -> Sequence[Item]:
        """The accounts of the keys with this id."""
        field = self.kind.id_field
        return [one for one in await self._keys.accounts() if one[field] == given_id]

    async def delete(self, item: Item) -> None:
        """Delete an account and its keys, as LiteLLM does; their spend rows stay."""
        for key in await self.keys(self.kind.id_of(item)):
            await self._keys.delete(key)
        await self._store.delete(account_key(item["id"]))
        await self._store.delete(ItemKey(self.kind.index, item["id"]))
        await self._keys.audit(f"delete_{self.kind.name}", item["id"], {})

    async def all(self) -> Sequence[Item]:
        """Every account of this kind, the newest first."""
        return await accounts_in(self._store, self.kind.index)
