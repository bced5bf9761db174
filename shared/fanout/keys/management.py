"""
Creates and changes keys. Each change is one conditional update, and leaves an audit row.

A change of a limit moves what is left of it by the difference, so it is exact while requests run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import FanoutError, NotFound, RequestError, StorageBusy
from .account import ACCOUNT, NOTHING, account_key, changed, new_account, refreshed
from .aliases import alias_key, free_alias, take_alias
from .audit import write_audit
from .items import Condition, Item, ItemKey, Store, Update, UpdateConflict
from .ledger import TRIES, KeyLedger, digest_of
from .rate_limits import UNLIMITED
from .secrets import new_key, shown
from .spend_rows import row_name
from .windows import NEVER, window_end

Changes: TypeAlias = Mapping[str, Any]
"""Fields of an account by name, in the account's own units."""

LEFT = {
    "max_budget": "available",
    "rpm_limit": "rpm_left",
    "tpm_limit": "tpm_left",
    "parallel_limit": "parallel_left",
}
"""What is left of each limit."""

DEFAULTS: Changes = {
    "alias": "",
    "models": [],
    "tags": [],
    "team_id": "",
    "user_id": "",
    "metadata": "{}",
    "soft_budget": UNLIMITED,
    "key_type": "llm_api",
}

INDEX = "keys"
"""The partition with the name of every account, also of deleted ones, whose spend rows stay."""

PAGE = 1_000

MAX_ID = 256
"""Characters of an id or an alias; a longer one is none, and is not looked up."""


async def all_items(store: Store, partition: str) -> list[tuple[str, Item]]:
    """Every item of a partition with its name, page by page."""
    found: list[tuple[str, Item]] = []
    after = ""
    while page := await store.items(partition, after=after, limit=PAGE):
        found += page
        after = page[-1][0]
    return found


async def accounts_in(store: Store, index: str) -> Sequence[Item]:
    """The accounts whose names an index has, the newest first; deleted ones are not there."""
    names = [name for name, _ in await all_items(store, index)]
    found = [await store.get(account_key(name)) for name in names]
    there = [item for item in found if item is not None]
    return sorted(there, key=lambda item: (-item["created_at"], item["id"]))


class KeyManager:
    """Manages the keys of a ledger in the name of `actor`, whom the audit rows name."""

    def __init__(self, ledger: KeyLedger, actor: str) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._actor = actor

    async def create(
        self, fields: Changes, key: str | None = None, spent: int = 0
    ) -> tuple[str, Item]:
        """A new key and its account. Raises `RequestError` if the key or its alias is in use."""
        key = key or new_key()
        account = self.account(digest_of(key), shown(key), fields, spent)
        if not await self._add(account, fields, "create"):
            raise RequestError("this key exists already", "key", "key_exists")
        return key, account

    async def import_key(self, digest: str, name: str, fields: Changes, spent: int) -> bool:
        """
        An account for a key of which only the hash is known; whether there was none.

        `name` is what lists show of it, and `spent` what it has spent in this window.
        """
        if await self._store.get(account_key(digest)) is not None:
            return False
        account = self.account(digest, name, fields, spent)
        return await self._add(account, fields, "import")

    def account(self, digest: str, name: str, fields: Changes, spent: int = 0) -> Item:
        """A new account, which is not stored."""
        now = self._ledger.now()
        given = {**DEFAULTS, **fields}
        account: Item = new_account(digest, now, self._ledger.zone, given)
        return {
            **account,
            **given,
            "spent": spent,
            "total_spent": max(spent, given.get("total_spent", 0)),
            "base": spent,
            "available": account["available"] - spent,
            "token": digest,
            "made": row_name(now),
            "until": NEVER,
            "key_name": name,
            "created_at": int(now),
            "created_by": self._actor,
            "updated_at": int(now),
        }

    async def _add(self, account: Item, fields: Changes, action: str) -> bool:
        """Store a new account; whether there was none."""
        digest = account["id"]
        await self._take_alias(account["alias"], digest)
        if not await self._create(digest, account):
            await self._free_alias(account["alias"], digest)
            return False
        await self._store.create(ItemKey(INDEX, digest), {"at": account["created_at"]})
        await self.audit(action, digest, fields)
        return True

    async def _create(self, digest: str, item: Item) -> bool:
        """Store an account or a link; whether there was none, or the link of a deleted account."""
        where = account_key(digest)
        if await self._store.create(where, item):
            return True
        found = await self._store.get(where)
        if found is None or "account" not in found:
            return False
        account = await self._store.get(account_key(found["account"]))
        if account is not None and account["made"] == found["made"]:
            return False
        await self._store.delete(where)
        return await self._store.create(where, item)

    async def find(self, key: str) -> Item:
        """The account of a key or of its hash; raises `NotFound`."""
        if (item := await self._ledger.find_key(key)) is None:
            raise NotFound("there is no such key")
        return item

    async def find_alias(self, alias: str) -> Item:
        """The account with this alias; raises `NotFound`."""
        is_alias = 0 < len(alias) <= MAX_ID
        found = await self._store.get(alias_key(alias)) if is_alias else None
        item = await self._store.get(account_key(found["account"])) if found else None
        if item is None:
            raise NotFound("there is no key with this alias")
        return item

    async def update(self, item: Item, fields: Changes, action: str = "update") -> Item:
        """Change an account; returns it. Raises `NotFound`, or `RequestError` for its alias."""
        account, token = item["id"], item["token"]
        if "alias" in fields and fields["alias"] != item["alias"]:
            await self._take_alias(fields["alias"], account)
        for _ in range(TRIES):
            if "token" in fields and item["token"] != token:
                raise RequestError("the key has just been replaced by another one", "key")
            now = self._ledger.now()
            given = {**fields, "updated_at": int(now)}
            if "budget_duration" in fields:
                given["window_end"] = window_end(fields["budget_duration"], now, self._ledger.zone)
            add = {
                left: fields[limit] - item[limit] for limit, left in LEFT.items() if limit in fields
            }
            fresh = refreshed(item, now, self._ledger.zone)
            update = changed(item, fresh, set=given, add={**add, "version": 1})
            try:
                new = await self._store.update(update)
            except UpdateConflict as rejected:
                if rejected.item is None:
                    raise NotFound("there is no such key") from None
                item = rejected.item
                continue
            if new["alias"] != item["alias"]:
                await self._free_alias(item["alias"], account)
            await self.audit(action, account, fields)
            return new
        raise StorageBusy(ACCOUNT, "the account changes too often")

    async def delete(self, item: Item) -> None:
        """Delete an account with all its keys; its spend rows and its name in the index stay."""
        account = item["id"]
        await self._store.delete(account_key(account))
        if item["token"] != account:
            await self._store.delete(account_key(item["token"]))
        await self._free_alias(item["alias"], account)
        await self.audit("delete", account, {})

    async def regenerate(
        self,
        item: Item,
        key: str | None = None,
        overlap: float = 0.0,
        fields: Changes = NOTHING,
    ) -> tuple[str, Item]:
        """
        A new key for the same account, whose `fields` change too; and the account.

        The old key is valid for `overlap` more seconds, with the same budget. A link is valid as
        long as the account names it, or until its time: so of several calls at once, one succeeds.
        """
        key = key or new_key()
        digest, old = digest_of(key), item["token"]
        link = {"account": item["id"], "made": item["made"], "until": 0}
        if not await self._create(digest, link):
            raise RequestError("this key exists already", "new_key", "key_exists")
        until = int(self._ledger.now() + overlap)
        changes: dict[str, Any] = {**fields, "token": digest, "key_name": shown(key)}
        try:
            if old == item["id"]:
                changes["until"] = until
            else:
                exists = (Condition("until", ">=", 0),)
                await self._store.update(Update(account_key(old), exists, set={"until": until}))
            return key, await self.update(item, changes, "regenerate")
        except (FanoutError, UpdateConflict) as error:
            await self._store.delete(account_key(digest))
            if isinstance(error, UpdateConflict):
                raise NotFound("there is no such key") from None
            raise

    async def reset_spend(self, item: Item, spent: int) -> Item:
        """Set what the account has spent in this window; requests in flight still count."""
        for _ in range(TRIES):
            fresh = refreshed(item, self._ledger.now(), self._ledger.zone)
            change = spent - {**item, **fresh}["spent"]
            add = {"spent": change, "base": change, "available": -change}
            same = (Condition("spent", "=", item["spent"]),)
            try:
                new = await self._store.update(changed(item, fresh, add=add, conditions=same))
            except UpdateConflict as rejected:
                if rejected.item is None:
                    raise NotFound("there is no such key") from None
                item = rejected.item
                continue
            await self.audit("reset_spend", item["id"], {"spent": spent})
            return new
        raise StorageBusy(ACCOUNT, "the account changes too often")

    async def accounts(self) -> Sequence[Item]:
        """Every account, the newest first."""
        return await accounts_in(self._store, INDEX)

    async def audit(self, action: str, account: str, fields: Changes) -> None:
        """Write who has changed what; the fields hold no key."""
        now = self._ledger.now()
        await write_audit(self._store, now, self._actor, action, account, fields)

    async def _take_alias(self, alias: str, account: str) -> None:
        await take_alias(self._store, alias, account, self._ledger.now())

    async def _free_alias(self, alias: str, account: str) -> None:
        await free_alias(self._store, alias, account)


def made_at(item: Item) -> float:
    """When an account was made, in seconds since 1970, to the millisecond."""
    return int(item["made"].partition("-")[0], 16) / 1_000
